package dashboard

import (
	"bytes"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/browser"
	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

// maxPicture bounds a picture of the docs, in bytes.
const maxPicture = 60_000

// screen is a view, and how one gets there from the overview.
type screen struct {
	name  string
	open  func(b *browser.Page)
	shown bool // in the docs
}

func screens() []screen {
	to := func(hash, head string) func(*browser.Page) {
		return func(b *browser.Page) {
			b.Eval(fmt.Sprintf("location.hash = %q", hash))
			b.Sees("h1", head)
		}
	}
	return []screen{
		{"overview", func(b *browser.Page) { b.Sees("tbody a[href^='#/connections/']", "") }, true},
		{"integrations", to("#/integrations", "Integrations"), false},
		{"integration", func(b *browser.Page) {
			to("#/integrations/acme-internal", "Acme Internal API")(b)
			b.Sees("form", "Save")
		}, true},
		{"link", func(b *browser.Page) {
			clicksText(b, "Make a Connect link")
			b.Types("customer-12")
			b.Presses(browser.Enter)
			b.Sees("dialog", "It is not shown again.")
			b.Eval(`document.getElementById("link").value = "https://connect.example/#session_token=nango_connect_session_…"`) // of which a picture would differ each time
		}, true},
		{"new", func(b *browser.Page) {
			clicksText(b, "Close")
			to("#/new", "New integration")(b)
			clicksText(b, "Create")
			b.Sees("#keyName-error", "Key name is required")
		}, true},
		{"connection", to("#/connections/acme-internal/customer-7", "customer-7"), true},
		{"delete", func(b *browser.Page) {
			clicksText(b, "Delete")
			b.Sees("dialog", "To delete it, type customer-7")
		}, false},
		{"gone", func(b *browser.Page) {
			b.Presses("\u001b")
			to("#/connections/acme-internal/nobody", "It is not there")(b)
		}, false},
	}
}

// lively is a rig with something in most states.
func lively(t *testing.T) *rig {
	r := newRig(t, settings{})
	r.integration("acme-internal", "Acme Internal API")
	r.integration("weather", "Weather")
	for n := range 9 {
		r.connection("acme-internal", fmt.Sprintf("customer-%d", n), "key")
	}
	r.connection("weather", "customer-1", "key")
	r.manage(http.StatusOK, http.MethodPost, "/connections/customer-3/disable?provider_config_key=acme-internal", "")
	r.up.Always(harness.Text(http.StatusUnauthorized, "no"))
	r.proxied("acme-internal", "customer-7", http.StatusUnauthorized)
	r.up.Always(harness.Text(http.StatusOK, "ok"))
	r.proxied("acme-internal", "customer-2", http.StatusOK)
	until(t, "the refusal to be noted", func() bool {
		return bytes.Contains([]byte(r.manage(http.StatusOK, http.MethodGet, "/status", "").body), []byte(`"auth_failed":1`))
	})
	return r
}

// tries calls through the gateway, whatever comes of it.
func (r *rig) tries(integration, id string) int {
	r.t.Helper()
	req, _ := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.site()+"proxy/x", nil)
	req.Header = http.Header{"Authorization": {"Bearer " + ops}, "Provider-Config-Key": {integration}, "Connection-Id": {id}}
	res, err := r.http.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}

// proxied calls through the gateway, which must answer so.
func (r *rig) proxied(integration, id string, status int) {
	r.t.Helper()
	if got := r.tries(integration, id); got != status {
		r.t.Fatalf("the gateway answers %d, want %d", got, status)
	}
}

// Everybody can use every view: in both themes, and on a phone, where nothing is
// wider than the screen.
func TestEveryViewIsForEverybody(t *testing.T) {
	t.Parallel()
	r := lively(t)
	for name, dark := range map[string]bool{"light": false, "dark": true} {
		for _, width := range []int64{1000, 360} {
			t.Run(fmt.Sprint(name, " ", width), func(t *testing.T) {
				t.Parallel()
				b := browser.New(t)
				b.Shows(width, 740, dark)
				b.Opens(r.site())
				b.Sees("label", "Token of the API")
				b.Accessible("signing in")
				r.signsIn(b, ops)
				for _, s := range screens() {
					s.open(b)
					b.Accessible(s.name)
					if over := b.Eval("document.documentElement.scrollWidth - innerWidth"); over > "0" {
						t.Errorf("%s is %s pixels wider than the screen", s.name, over)
					}
				}
				b.Quiet(r.site())
			})
		}
	}
}

var update = flag.Bool("update", false, "make the pictures in docs/dashboard anew")

func pictureOf(t *testing.T, s screen) string {
	t.Helper()
	return filepath.Join(harness.Root(t), "docs", "dashboard", s.name+".png")
}

// TestThePicturesAreMade takes a picture of every view, and with -update puts
// those that the page shows where it finds them.
func TestThePicturesAreMade(t *testing.T) {
	t.Parallel()
	r, b := lively(t), browser.New(t)
	b.Shows(900, 640, false)
	r.signsIn(b, ops)
	for _, s := range screens() {
		s.open(b)
		picture := b.Picture()
		if len(picture) > maxPicture {
			t.Errorf("the picture of %s has %d bytes", s.name, len(picture))
		}
		if s.shown && *update {
			if err := os.WriteFile(pictureOf(t, s), picture, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestThePageShowsEveryPicture(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(harness.Root(t), "docs", "dashboard.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range screens() {
		if !s.shown {
			continue
		}
		info, err := os.Stat(pictureOf(t, s))
		if err != nil {
			t.Errorf("%v: go test ./integration/dashboard -run TestThePicturesAreMade -update", err)
			continue
		}
		if info.Size() > maxPicture {
			t.Errorf("%s has %d bytes", info.Name(), info.Size())
		}
		if !bytes.Contains(page, []byte("dashboard/"+info.Name())) {
			t.Errorf("docs/dashboard.md does not show %s", info.Name())
		}
	}
}

// The whole way by keyboard alone.
func TestTheDashboardWorksByKeyboard(t *testing.T) {
	t.Parallel()
	r, b := newRig(t, settings{}), browser.New(t)
	r.integration("acme", "Acme")
	r.signsIn(b, ops)
	goes := func(to string) {
		t.Helper()
		for range 40 {
			if b.Eval("document.activeElement.textContent") == to {
				return
			}
			b.Presses(browser.Tab)
		}
		t.Fatalf("no way by Tab to %s", to)
	}
	goes("Integrations")
	b.Presses(browser.Enter)
	b.Sees("h1", "Integrations")
	goes("acme")
	b.Presses(browser.Enter)
	b.Sees("h1", "Acme")
	goes("Make a Connect link")
	b.Presses(" ")
	b.Sees("dialog", "Id of the end user")
	b.Types("customer-1")
	b.Presses(browser.Enter)
	b.Sees("dialog", "It is not shown again.")
	goes("Close")
	b.Presses(" ")
	b.Says("the focus to be where it was", `document.activeElement.textContent === "Make a Connect link"`)
}
