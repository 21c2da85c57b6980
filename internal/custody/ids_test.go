package custody_test

import (
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// names differ in case, space, normal form, or in what a URL or a pattern would
// make of them.
var names = []string{
	"Cust-1", "cust-1", "CUST-1", "a b", "a  b", "a_b", "a..b", "ab", "a.b", "é", "e\u0301", "ａ", "a", " a", "a ", "ß", "ss", "İ", "i",
	"a+b", "a%b", "100%", "a?b", "a#b", "a&b", "a;b", "a*b", "*", "+", "a:b", "a@b", "~a", "a\\b", "...", "data", "metadata", "a'b", `a"b`, "ﬁ", "fi",
}

func TestEachIDHasItsOwnKey(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		c := s.custody()
		for _, name := range names {
			mustEnter(t, c, name, "key of "+name)
			mustIntegrate(t, s.db, name)
			// As an integration's key, too.
			must(t, c.Enter(t.Context(), &catalog.Connection{Integration: name, ID: "cust"}, secret.New("key for "+name)))
		}
		for _, name := range names {
			s.wantKey(name, "key of "+name)
			d, err := s.store.Get(t.Context(), address(name, "cust"))
			if err != nil || d.Version != 1 || d.Fields[store.DefaultField].Value.Reveal() != "key for "+name {
				t.Errorf("the integration %q: %+v, %v", name, d, err)
			}
		}
		for i, name := range names {
			if i%2 == 0 {
				must(t, c.Remove(t.Context(), "acme", name))
			}
		}
		for i, name := range names {
			if i%2 == 0 {
				s.wantNothing(name)
			} else {
				s.wantKey(name, "key of "+name)
			}
			if s.forgotten[name] != 1-i%2 {
				t.Errorf("%q was forgotten %d times", name, s.forgotten[name])
			}
		}
	})
}
