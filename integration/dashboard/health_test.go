package dashboard

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// routes are two fixed keys.
const routes = "\tapikey_inject /a/* https://a.example {\n\t\tname X-Key\n\t\tkey fixed/one\n\t\tlabel_as one\n\t\tallow anyone\n\t}\n" +
	"\tapikey_inject /b/* https://b.example {\n\t\tname X-Key\n\t\tkey fixed/two\n\t\tlabel_as two\n\t\tallow anyone\n\t}\n"

var both = map[string]string{"fixed/one": "k1", "fixed/two": "k2"}

// wantHealth waits until the API's site answers so, without any name, and the
// operator is told these parts: of two keys one is read before the other.
func (r *rig) wantHealth(want string, parts ...string) {
	r.t.Helper()
	status := http.StatusOK
	if strings.Contains(want, "false") {
		status = http.StatusServiceUnavailable
	}
	details := ""
	until(r.t, want+" with "+strings.Join(parts, ", "), func() bool {
		a := r.as("", http.MethodGet, "/health", "")
		if strings.TrimSpace(a.body) != want {
			return false
		}
		if a.status != status || a.header.Get("Cache-Control") != "no-store" {
			r.t.Errorf("it answers %d with %v", a.status, a.header)
		}
		got, body, err := r.caddy.Do(http.MethodGet, "/apikey_inject/health", "")
		if err != nil || got != status {
			r.t.Errorf("the admin endpoint answers %d %s, %v", got, body, err)
		}
		if body != details {
			details = body
			r.t.Logf("the operator is told %s", details)
		}
		return !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(details, p) })
	})
}

const ready = `{"ready":true}`

func TestANodeThatHoldsItsKeysIsReadyWhileVaultIsSealed(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{routes: routes, keys: both, store: "\t\t\tttl 1s\n"})
	r.wantHealth(ready)
	r.vault.Seal()
	until(t, "an outage", func() bool {
		return strings.Contains(r.manage(http.StatusOK, http.MethodGet, "/status", "").body, `"sealed":true,"since":"2`)
	})
	r.wantHealth(ready, `{"integration":"one","ready":true,"state":"held"}`, `{"name":"vault","ready":true,"state":"sealed"}`, `"catalog":{"ready":true`)
	r.vault.Unseal()
	until(t, "the end of it", func() bool {
		return strings.Contains(r.manage(http.StatusOK, http.MethodGet, "/status", "").body, `"reachable":true,"sealed":false,"since":"2`)
	})
	r.wantHealth(ready)
}

func TestANodeThatStartsWhileVaultIsSealedIsNotReady(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{routes: routes, keys: both, seal: true})
	r.wantHealth(`{"ready":false,"reasons":["keys","stores"]}`, `{"integration":"one","ready":false`, `{"name":"vault","ready":false,"state":"`)
	r.vault.Unseal()
	r.wantHealth(ready)
}

func TestAKeyThatWasNeverThereIsNotReadyAndOneThatWasDeletedIs(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{routes: routes, keys: map[string]string{"fixed/one": "k1"}, store: "\t\t\tttl 1s\n"})
	r.wantHealth(`{"ready":false,"reasons":["keys"]}`, `{"integration":"one","ready":true,"state":"held"}`, `{"integration":"two","ready":false,"state":"not_found"}`)
	r.vault.Put("fixed/two", map[string]any{"apiKey": "k2"})
	until(t, "it is read", func() bool {
		status, body, err := r.caddy.Do(http.MethodPost, "/apikey_inject/refresh", `{"integration": "two"}`)
		return err == nil && status == http.StatusOK && strings.Contains(body, "fresh") || strings.Contains(r.as("", http.MethodGet, "/health", "").body, "true")
	})
	r.wantHealth(ready)
	r.vault.Do(http.MethodDelete, "secret/metadata/fixed/two", nil)
	until(t, "the deletion", func() bool {
		_, body, _ := r.caddy.Do(http.MethodGet, "/apikey_inject/health", "")
		return strings.Contains(body, `{"integration":"two","ready":true,"state":"deleted"}`)
	})
	r.wantHealth(ready)
}

func TestLazyKeysCountOnceTheyWereAskedFor(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{routes: routes, store: "\t\t\tstartup lazy\n"})
	r.wantHealth(ready, `{"integration":"one","ready":true,"state":"not asked for"}`)
	if res, err := r.http.Get(fmt.Sprintf("http://127.0.0.1:%d/a/x", r.route)); err == nil {
		_ = res.Body.Close()
	}
	r.wantHealth(`{"ready":false,"reasons":["keys"]}`, `{"integration":"one","ready":false,"state":"not_found"}`)
}

func TestANodeThatCannotReachItsCatalogIsNotReady(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{global: "\t\tcatalog postgres {env.DB}\n", env: []string{"DB=postgres://x@127.0.0.1:1/x?sslmode=disable"}})
	r.wantHealth(`{"ready":false,"reasons":["catalog"]}`, `"catalog":{"ready":false,"state":"away"}`)
}

func TestHealthIsReadOnly(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{})
	r.wantHealth(ready)
	if a := r.as("", http.MethodPost, "/health", "{}"); a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST answers %d, %v", a.status, a.header)
	}
	if a := r.as("", http.MethodHead, "/health", ""); a.status != http.StatusOK || a.body != "" {
		t.Errorf("HEAD answers %d %q", a.status, a.body)
	}
	if a := r.as("", http.MethodGet, "/health/x", ""); a.status != http.StatusNotFound {
		t.Errorf("below it there is %d", a.status)
	}
	if status, _, err := r.caddy.Do(http.MethodPost, "/apikey_inject/health", "{}"); err != nil || status != http.StatusMethodNotAllowed {
		t.Errorf("POST to the admin endpoint answers %d, %v", status, err)
	}
}
