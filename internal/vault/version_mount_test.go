// A mount that was replaced since it was looked at.

package vault

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

func TestAMountThatBecameVersion1SaysNothingOfADocument(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.HasPrefix(r.URL.Path, "/v1/sys/internal/"):
			_, _ = w.Write([]byte(`{"data":{"type":"kv","options":{"version":"1"}}}`))
		case r.URL.Path == "/v1/auth/token/lookup-self":
			_, _ = w.Write([]byte(`{"data":{"ttl":0,"renewable":false}}`))
		default:
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"errors":[]}`))
		}
	}))
	t.Cleanup(srv.Close)
	cl, err := New(Config{Addresses: []string{srv.URL}, Auth: Auth{Method: MethodToken, Token: secret.New("t")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cl.Close(context.Background()) })
	cl.mounts.set(mountID{mount: cl.cfg.Mount}, mountInfo{version: 2, at: time.Now().Add(-2 * redetectAfter)})
	if _, err := cl.Version(t.Context(), store.Address{Path: "a"}); !errors.Is(err, store.ErrMisconfigured) {
		t.Errorf("got %v", err)
	}
}
