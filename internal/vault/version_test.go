// The version of a document, from a real server and from answers that one does
// not give.

package vault_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

func TestTheVersionIsWhatTheNextWriteGives(t *testing.T) {
	s := vaulttest.Start(t)
	s.MountV1("old")
	s.PutV1("old", "a", map[string]any{"apiKey": "k"})
	s.PutV1("old", "metadata/b", map[string]any{"current_version": 3})
	s.Policy("metadata", `path "secret/metadata/*" { capabilities = ["read"] }
		path "old/*" { capabilities = ["read"] }`)
	cl := open(t, withToken(s.Addr, s.NewToken(time.Hour, "metadata")))
	writer := open(t, withToken(s.Addr, s.Token))

	a := store.Address{Path: "a"}
	wantVersion := func(when string, want int) {
		t.Helper()
		if v, err := cl.Version(t.Context(), a); v != want || err != nil {
			t.Errorf("%s: %d, %v; want %d", when, v, err, want)
		}
		if v, err := writer.Put(t.Context(), a, map[string]secret.Value{"apiKey": secret.New("k")}, want); v != want+1 || err != nil {
			t.Errorf("%s: writing upon %d: %d, %v", when, want, v, err)
		}
	}
	if _, err := cl.Version(t.Context(), a); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("before the first write: %v", err)
	}
	s.Do(http.MethodPost, "secret/metadata/a", map[string]any{"max_versions": 5})
	wantVersion("with settings and no version", 0)
	wantVersion("after a write", 1)
	s.Do(http.MethodDelete, "secret/data/a", nil)
	wantVersion("deleted", 2)
	s.Do(http.MethodPut, "secret/destroy/a", map[string]any{"versions": []int{1, 2, 3}})
	wantVersion("destroyed", 3)
	s.Do(http.MethodDelete, "secret/metadata/a", nil)
	for what, c := range map[string]struct {
		address store.Address
		want    error
	}{
		"with all versions deleted":         {a, store.ErrNotFound},
		"in KV version 1":                   {store.Address{Mount: "old", Path: "a"}, store.ErrMisconfigured},
		"in what only looks like version 2": {store.Address{Mount: "old", Path: "b"}, store.ErrMisconfigured},
		"of any engine":                     {store.Address{Path: "/secret/data/a"}, store.ErrMisconfigured},
		"of another path":                   {store.Address{Path: "a/../b"}, store.ErrMisconfigured},
		"in no mount":                       {store.Address{Mount: "none", Path: "a"}, store.ErrDenied},
	} {
		if v, err := cl.Version(t.Context(), c.address); v != 0 || !errors.Is(err, c.want) {
			t.Errorf("%s: %d, %v; want %v", what, v, err, c.want)
		}
	}
}

func TestWhatIsNoVersionIsNotTakenForOne(t *testing.T) {
	for name, c := range map[string]struct {
		kind, body string
		want       error
	}{
		"no number":       {"application/json", `{"data":{"versions":{}}}`, store.ErrUnavailable},
		"below zero":      {"application/json", `{"data":{"current_version":-1}}`, store.ErrUnavailable},
		"not a number":    {"application/json", `{"data":{"current_version":"` + canary + `"}}`, store.ErrUnavailable},
		"a page":          {"text/html", `{"data":{"current_version":3}}`, store.ErrUnavailable},
		"cut off":         {"application/json", `{"data":{"current_version":3`, store.ErrUnavailable},
		"a proper answer": {"application/json", `{"data":{"current_version":3}}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			addr, _ := fake(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", c.kind)
				_, _ = w.Write([]byte(c.body))
			})
			cl := open(t, withToken(addr, "t"))
			if _, err := cl.Version(t.Context(), store.Address{Path: "a"}); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}
