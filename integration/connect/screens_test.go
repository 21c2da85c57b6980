package connect

// This file holds every screen of the page, and that each of them is for
// everybody: in each language and theme, on a phone, without a mouse or eyes.

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/browser"
	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/pgtest"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/session"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

var update = flag.Bool("update", false, "write the pictures in docs/connect")

// visit is one look at the page, in one language and theme.
type visit struct {
	*browser.Page

	r    *rig
	line *line
	look string // of the query
	old  string // a token that has expired
}

// with opens the page with a token.
func (v *visit) with(token string) {
	v.line.does.Store("")
	v.Opens(v.line.url + "?" + v.look + "&session_token=" + token)
}

// form opens it at the form.
func (v *visit) form() {
	v.with(v.r.session("acme"))
	v.Sees("#label", "Acme API key")
}

// screens are all that the page can show, and how one gets there.
var screens = []struct {
	name  string
	reach func(v *visit)
}{
	{"loading", func(v *visit) {
		v.line.does.Store("holds")
		v.Opens(v.line.url + "?" + v.look + "&session_token=x")
		v.Sees("#loading", "…")
	}},
	{"list", func(v *visit) {
		v.with(v.r.session("acme", "other"))
		v.Sees("#integrations", "Weather")
	}},
	{"form", (*visit).form},
	{"empty", func(v *visit) {
		v.form()
		v.Presses(browser.Enter)
		v.Says("an error", "error.textContent")
	}},
	{"refused", func(v *visit) {
		v.form()
		v.Eval(`key.value = "one\u0001two"`)
		v.Clicks("#submit")
		v.Says("an error", "error.textContent")
	}},
	{"rejected", func(v *visit) {
		v.with(v.r.session("other"))
		v.Sees("#label", "Weather API key")
		v.Types("wrong")
		v.Presses(browser.Enter)
		v.Says("an error", "error.textContent")
	}},
	{"trimmed", func(v *visit) {
		v.form()
		v.Pastes(" key-1 ")
		v.Clicks("#show")
		v.Says("a note", "note.textContent")
	}},
	{"reconnect", func(v *visit) {
		v.with(v.r.manage(http.StatusCreated, http.MethodPost, "/connect/sessions/reconnect", `{"connection_id": "c-1", "integration_id": "acme"}`).at("data", "token"))
		v.Says("that there is a key already", "again.checkVisibility()")
	}},
	{"success", func(v *visit) {
		v.form()
		v.Pastes("key-1 ")
		v.Presses(browser.Enter)
		v.Sees("#done", "Acme")
	}},
	{"used", func(v *visit) {
		token := v.r.session("acme")
		v.r.enters(token, "acme", "key-1").is(v.r.t, http.StatusOK, "")
		v.with(token)
		v.Says("the message", "what.checkVisibility()")
	}},
	{"expired", func(v *visit) {
		v.with(v.old)
		v.Says("the message", "what.checkVisibility()")
	}},
	{"blocked", func(v *visit) {
		token := v.r.session("acme")
		for range session.MaxFailures {
			v.r.enters(token, "acme", "").is(v.r.t, http.StatusBadRequest, "invalid_body")
		}
		v.with(token)
		v.Says("the message", "what.checkVisibility()")
	}},
	{"unknown", func(v *visit) {
		v.with("made-up")
		v.Says("the message", "what.checkVisibility()")
	}},
	{"broken", func(v *visit) {
		v.line.does.Store("cuts")
		v.Opens(v.line.url + "?" + v.look + "&session_token=x")
		v.Says("the way on", "retry.checkVisibility()")
	}},
	{"limited", func(v *visit) {
		v.line.does.Store("limits")
		v.Opens(v.line.url + "?" + v.look + "&session_token=x")
		v.Says("the way on", "retry.checkVisibility()")
	}},
}

// expired returns the token of a session of half an hour ago.
func expired(t *testing.T, database string) string {
	t.Helper()
	db, err := catalog.Open(t.Context(), catalog.Config{Driver: "postgres", URL: secret.New(database)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	past := session.New(db, func() time.Time { return time.Now().Add(-session.Lifetime) })
	token, err := past.Seal(t.Context(), &session.Session{Integrations: []string{"acme"}, Connection: "c-old"})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestEveryScreenIsForEverybody(t *testing.T) {
	t.Parallel()
	database := pgtest.Database(t)
	r := startRig(t, vaulttest.Start(t), harness.NewUpstream(t, nil), setting{catalog: database, site: "\t\tfailures 100000 1s\n"})
	r.integration("acme")
	r.verified("other")
	r.onlyTakes("right")
	r.manage(http.StatusOK, http.MethodPatch, "/integrations/other", `{"display_name": "Weather API", "integration_config": {"keyLabel": "Weather API key"}}`)
	r.manage(http.StatusOK, http.MethodPatch, "/integrations/acme", `{"display_name": "Acme Internal API", "integration_config": {"keyLabel": "Acme API key"}, "connect": {"help_text": "You find it in the console, below Settings.", "help_url": "https://acme.example/keys"}}`)
	r.manage(http.StatusCreated, http.MethodPost, "/connections", `{"provider_config_key": "acme", "connection_id": "c-1", "credentials": {"type": "API_KEY", "apiKey": "key-1"}}`)
	v := &visit{Page: browser.New(t), r: r, line: newLine(t, r.siteURL()), old: expired(t, database)}
	said := map[string]string{}
	for _, lang := range []string{"en", "de", "es", "fr", "ja"} {
		for _, theme := range []string{"light", "dark"} {
			v.Shows(phone.width, phone.height, false)
			for _, s := range screens {
				what := s.name + " in " + lang + ", " + theme
				v.look = "lang=" + lang + "&theme=" + theme
				s.reach(v)
				v.Accessible(what)
				if moved := v.Shift(); moved > 0 {
					t.Errorf("%s: it moves by %v", what, moved)
				}
				if wide := v.Eval("document.documentElement.scrollWidth"); wide != fmt.Sprint(phone.width) {
					t.Errorf("%s: it is %s wide", what, wide)
				}
				if got := v.Eval("getComputedStyle(document.documentElement).colorScheme + ' ' + document.documentElement.lang"); got != theme+" "+lang {
					t.Errorf("%s: it is %s", what, got)
				}
				if theme == "light" { // each language says it in its own words
					text := v.Eval("document.querySelector('main').innerText")
					if before, ok := said[text]; ok {
						t.Errorf("%s says the same as %s: %s", what, before, text)
					}
					said[text] = what
				}
				if *update && lang == "en" {
					v.pictures(t, s.name, theme)
				}
			}
		}
	}
}

// window is what a picture is of.
type window struct {
	name, theme   string
	width, height int64
}

var (
	phone   = window{"phone", "light", 360, 560}
	desktop = window{"desktop", "dark", 800, 560}
)

func pictureOf(t *testing.T, screen string, w window) string {
	t.Helper()
	return filepath.Join(harness.Root(t), "docs", "connect", screen+"-"+w.name+".png")
}

// pictures writes those of a screen.
func (v *visit) pictures(t *testing.T, screen, theme string) {
	t.Helper()
	for _, w := range []window{phone, desktop} {
		if w.theme != theme {
			continue
		}
		v.Shows(w.width, w.height, false)
		if err := os.WriteFile(pictureOf(t, screen, w), v.Picture(), 0o600); err != nil {
			t.Fatal(err)
		}
		v.Shows(phone.width, phone.height, false)
	}
}

func TestEveryScreenHasItsPicturesInThePage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(harness.Root(t), "docs", "connect.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range screens {
		for _, w := range []window{phone, desktop} {
			path := pictureOf(t, s.name, w)
			info, err := os.Stat(path)
			if err != nil {
				t.Errorf("%v: go test ./integration/connect -run TestEveryScreenIsForEverybody -update", err)
				continue
			}
			if info.Size() > 40_000 {
				t.Errorf("%s has %d bytes", path, info.Size())
			}
			if !strings.Contains(string(page), "connect/"+filepath.Base(path)) {
				t.Errorf("docs/connect.md does not show %s", filepath.Base(path))
			}
		}
	}
}
