package inject

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

// A space that a form spells `+` is `%2B` in a URL that stands inside another.
func TestScrubFindsSpacesInNestedURLs(t *testing.T) {
	p, err := NewPlacement(Query, "key")
	if err != nil {
		t.Fatal(err)
	}
	tmpl, err := ParseTemplate(DefaultTemplate)
	if err != nil {
		t.Fatal(err)
	}
	const key = "first part+% second"
	inj, err := Place(p, tmpl, secret.New(key), nil)
	if err != nil {
		t.Fatal(err)
	}
	text := key
	for depth := range 4 {
		h := http.Header{"Location": {"https://a.example/?next=" + text + "&a=b"}}
		inj.Scrub(h)
		if got := h.Get("Location"); got != "https://a.example/?next=REDACTED&a=b" || strings.Contains(got, "second") {
			t.Errorf("escaped %d times: got %s", depth, got)
		}
		text = url.QueryEscape(text)
	}
}
