package connect

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/browser"
)

const logo = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 32"><script>fetch("/of-the-logo")</script><rect width="120" height="32" fill="#0a7d4f"/></svg>`

func TestThePageIsTheProducts(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "logo.svg")
	if err := os.WriteFile(file, []byte(logo), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ logo, shows string }{
		"a name": {"", `document.querySelector(".brand").textContent === "Acme <b>Inc.</b>"`},
		"a logo": {"\t\t\tlogo " + file + "\n", `((e) => e.alt === "Acme <b>Inc.</b>" && e.naturalWidth > 0)(document.querySelector(".brand img"))`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, b := newRigOf(t, setting{site: "\t\tbrand {\n\t\t\tname \"Acme <b>Inc.</b>\"\n\t\t\tcolor \"#ffd000\" 1a1d21\n" + c.logo + "\t\t}\n"}), browser.New(t)
			r.integration("acme")
			for _, theme := range []string{"light", "dark"} {
				b.Shows(phone.width, phone.height, false)
				b.Opens(r.siteURL() + "?lang=en&theme=" + theme + "&session_token=" + r.session("acme"))
				b.Sees("#label", "acme key")
				b.Says(name, c.shows)
				if got := b.Eval(`((s) => s.backgroundColor + " " + s.color)(getComputedStyle(document.querySelector("#submit")))`); got != "rgb(255, 208, 0) rgb(26, 29, 33)" {
					t.Errorf("the button is %s", got)
				}
				b.Accessible(name + ", " + theme)
				if moved := b.Shift(); moved > 0 {
					t.Errorf("it moves by %v", moved)
				}
			}
			b.Quiet(r.siteURL())
			if asked(b, "/of-the-logo") > 0 {
				t.Error("the logo has run a script")
			}
		})
	}
}

// The logo of another host is the only thing that the page loads from elsewhere.
func TestOnlyTheLogoMayComeFromElsewhere(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer elsewhere.Close()
	r := newRigOf(t, setting{site: "\t\tbrand {\n\t\t\tname Acme\n\t\t\tlogo " + elsewhere.URL + "/logo.svg?v=1\n\t\t}\n"})
	b := browser.New(t)
	b.Opens(r.siteURL())
	b.Says("the logo", `document.querySelector(".brand img")?.complete`)
	b.Quiet(r.siteURL(), elsewhere.URL+"/logo.svg?v=1")
	if asked(b, "/logo.svg?v=1") != 1 {
		t.Errorf("it has asked %v", b.Asked())
	}
	b.Eval(`new Promise((done) => { const i = new Image(); i.onerror = i.onload = done; i.src = "` + elsewhere.URL + `/other.svg"; })`)
	b.Complains("img-src 'self' " + elsewhere.URL + "/logo.svg")
}
