package custody_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/custody"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// policy returns the policy of the management API's role as docs/keys.md has it.
func policy(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/keys.md")
	must(t, err)
	m := regexp.MustCompile(`(?s)vault policy write caddy-api - <<'EOF'\n(.*?)EOF\n`).FindSubmatch(page)
	if m == nil {
		t.Fatal("docs/keys.md has no policy for the management API")
	}
	return string(m[1])
}

// TestThePolicyIsTheLeastThatWorks takes one capability after the other away
// from the policy, and looks for what then no longer works.
func TestThePolicyIsTheLeastThatWorks(t *testing.T) {
	s := vaulted(t)
	whole := policy(t)
	for _, c := range []struct {
		path, capability string
		denied           string
	}{
		{"data", "create", "a first key"},
		{"data", "update", "a further key"},
		{"metadata", "read", "a first key"},
		{"metadata", "delete", "a removal"},
	} {
		t.Run(c.path+" without "+c.capability, func(t *testing.T) {
			id := c.path + "-" + c.capability
			mustEnter(t, s.custody(), id, "old")
			s.vault.Policy(id, without(t, whole, c.path, c.capability))
			less := s.custodyOf(s.db, client(t, s.vault.Addr, s.vault.NewToken(time.Hour, id)))
			var err error
			switch c.denied {
			case "a first key":
				err = less.Enter(t.Context(), aConnection(id+"-first"), secret.New("new"))
			case "a further key":
				err = less.Enter(t.Context(), aConnection(id), secret.New("new"))
			case "a removal":
				err = less.Remove(t.Context(), "acme", id)
			}
			want(t, c.denied, err, store.ErrDenied)
		})
	}
	if _, err := s.keys.Get(t.Context(), address("acme", "data-create")); err == nil {
		t.Error("the policy lets keys be read")
	}
	elsewhere := custody.New(custody.Config{Catalog: s.db, Place: func(_, id string) (store.Store, store.Address, string, error) {
		return s.keys, store.Address{Path: "elsewhere/" + id}, "", nil
	}})
	want(t, "outside of the prefix", elsewhere.Enter(t.Context(), aConnection("cust-1"), secret.New("k")), store.ErrDenied)
}

// without returns the policy without a capability on the paths of one kind.
func without(t *testing.T, whole, path, capability string) string {
	t.Helper()
	blocks := strings.SplitAfter(whole, "}\n")
	for i, b := range blocks {
		if strings.Contains(b, "secret/"+path+"/") {
			less := regexp.MustCompile(fmt.Sprintf(`"%s",? ?`, capability)).ReplaceAllString(b, "")
			if less == b {
				t.Fatalf("%s has no %s", path, capability)
			}
			blocks[i] = strings.Replace(less, ", ]", "]", 1)
		}
	}
	return strings.Join(blocks, "")
}

var _ custody.Catalog = (*catalog.DB)(nil)
