package custody_test

import (
	"errors"
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
	"github.com/apikeyinject/caddy-apikey-inject/internal/vault"
)

// policy returns a policy as docs/keys.md has it: that of the management API's
// role, caddy-api, or of the Connect page's, caddy-connect.
func policy(t *testing.T, name string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/keys.md")
	must(t, err)
	m := regexp.MustCompile(`(?s)vault policy write ` + name + ` - <<'EOF'\n(.*?)EOF\n`).FindSubmatch(page)
	if m == nil {
		t.Fatalf("docs/keys.md has no policy %s", name)
	}
	return string(m[1])
}

// TestThePolicyIsTheLeastThatWorks takes one capability after the other away
// from the policy, and looks for what then no longer works.
func TestThePolicyIsTheLeastThatWorks(t *testing.T) {
	s := vaulted(t)
	whole := policy(t, "caddy-api")
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

// TestTheConnectPagesPolicyIsTheLeastThatWorks does the same with the lesser one.
func TestTheConnectPagesPolicyIsTheLeastThatWorks(t *testing.T) {
	s := vaulted(t)
	whole := policy(t, "caddy-connect")
	with := func(id, rules string) *vault.Client {
		s.vault.Policy(id, rules)
		return client(t, s.vault.Addr, s.vault.NewToken(time.Hour, id))
	}
	keys := with("page", whole)
	page := s.custodyOf(s.db, keys)
	must(t, page.Enter(t.Context(), aConnection("cust-1"), secret.New("old")))
	must(t, page.Enter(t.Context(), aConnection("cust-1"), secret.New("new")))
	if _, err := keys.Get(t.Context(), address("acme", "cust-1")); !errors.Is(err, store.ErrDenied) {
		t.Errorf("it reads a key: %v", err)
	}
	want(t, "a removal", page.Remove(t.Context(), "acme", "cust-1"), store.ErrDenied)
	for _, c := range []struct {
		path, capability string
		further          bool
	}{{"data", "create", false}, {"data", "update", true}, {"metadata", "read", false}} {
		id := "page-" + c.path + "-" + c.capability
		if c.further {
			must(t, page.Enter(t.Context(), aConnection(id), secret.New("old")))
		}
		less := s.custodyOf(s.db, with(id, without(t, whole, c.path, c.capability)))
		want(t, c.path+" without "+c.capability, less.Enter(t.Context(), aConnection(id), secret.New("new")), store.ErrDenied)
	}
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
