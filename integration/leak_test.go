// The leak suite: a canary for each thing that must never be seen, and a
// search that knows how it could be spelled. Each test first shows, with a
// marker that may be seen, that its channel is open and that the search finds
// what is there.

package integration

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// canary is a value to search for. Its cores are letters and digits, which no
// escaping changes: a core finds the plain value, the percent-encoded, the
// quoted and the JSON form, and half a value, at once.
type canary struct {
	name, value string
	cores       []string
}

// newCanary makes a value with bytes that each encoding spells in its own way
// between two cores.
func newCanary(name string) canary {
	a, b := rand.Text()[:16], rand.Text()[:16]
	return canary{name: name, value: a + `/+ %"\=ü&` + b, cores: []string{a, b}}
}

// canaryOf searches for a value that somebody else made.
func canaryOf(name, value string) canary {
	return canary{name: name, value: value, cores: []string{value}}
}

// forms returns how a core could be spelled, all in lower case.
func forms(core string) map[string]string {
	raw := []byte(core)
	var percent, decimal, commas strings.Builder
	for _, c := range raw {
		fmt.Fprintf(&percent, "%%%02x", c)
		decimal.WriteString(strconv.Itoa(int(c)) + " ")
		commas.WriteString(strconv.Itoa(int(c)) + ",")
	}
	f := map[string]string{
		"plain":        core,
		"query":        url.QueryEscape(core),
		"percent":      percent.String(),
		"hex":          hex.EncodeToString(raw),
		"byte slice":   strings.TrimSpace(decimal.String()),
		"byte numbers": strings.TrimSuffix(commas.String(), ","),
	}
	// Base64 has three spellings of what stands inside of something longer;
	// each is cut to what does not depend on the neighbours.
	for shift := range 3 {
		for name, enc := range map[string]*base64.Encoding{"std": base64.RawStdEncoding, "url": base64.RawURLEncoding} {
			s := enc.EncodeToString(append(make([]byte, shift), raw...))
			s = s[(shift*8+5)/6 : len(s)-1]
			f[fmt.Sprintf("base64 %s +%d", name, shift)] = s
		}
	}
	for name, s := range f {
		f[name] = strings.ToLower(s)
	}
	return f
}

// find returns in which forms the canaries stand in text.
func find(text string, canaries ...canary) []string {
	text = strings.ToLower(text)
	var found []string
	for _, c := range canaries {
		for i, core := range c.cores {
			for form, s := range forms(core) {
				if at := strings.Index(text, s); at >= 0 {
					found = append(found, fmt.Sprintf("%s (core %d, %s) in …%s…", c.name, i, form, text[max(0, at-120):min(len(text), at+len(s)+60)]))
				}
			}
		}
	}
	return found
}

// channel is a place where something could be seen.
type channel struct{ name, text string }

// noLeak searches a channel for canaries, after it has found each marker there:
// an empty channel shows nothing.
func noLeak(t *testing.T, c channel, markers, canaries []canary) {
	t.Helper()
	for _, m := range markers {
		if len(find(c.text, m)) == 0 {
			t.Errorf("%s: does not even show the marker %s:\n%.2000s", c.name, m.name, c.text)
		}
	}
	for _, f := range find(c.text, canaries...) {
		t.Errorf("%s shows %s", c.name, f)
	}
	if token := vaultToken.FindString(c.text); token != "" {
		t.Errorf("%s shows a token of Vault's: %s", c.name, token)
	}
}

// vaultToken matches a token that Vault made while it was asked: nobody else
// knows its value.
var vaultToken = regexp.MustCompile(`hv[sb]\.[A-Za-z0-9_-]{20,}`)

func TestLeakSearchFindsEveryForm(t *testing.T) {
	c := newCanary("planted")
	quoted, err := json.Marshal(c.value)
	if err != nil {
		t.Fatal(err)
	}
	basic := func(before string) string {
		return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(before+c.value))
	}
	var everyByte strings.Builder
	for _, b := range []byte(c.value) {
		fmt.Fprintf(&everyByte, "%%%02X", b)
	}
	decimal := fmt.Sprintf("%d", []byte(c.value))
	for name, text := range map[string]string{
		"plain":                 c.value,
		"the first half":        c.value[:len(c.value)/2],
		"the second half":       c.value[len(c.value)/2:],
		"path escape":           url.PathEscape(c.value),
		"query escape":          url.QueryEscape(c.value),
		"escaped twice":         url.QueryEscape(url.QueryEscape(c.value)),
		"every byte escaped":    everyByte.String(),
		"JSON":                  string(quoted),
		"JSON in JSON":          strconv.Quote(string(quoted)),
		"Go syntax":             fmt.Sprintf("%q", c.value),
		"hex":                   hex.EncodeToString([]byte(c.value)),
		"HEX":                   strings.ToUpper(hex.EncodeToString([]byte(c.value))),
		"Go hex":                fmt.Sprintf("%x", c.value),
		"bytes":                 decimal,
		"bytes in JSON":         strings.ReplaceAll(decimal, " ", ","),
		"base64":                base64.StdEncoding.EncodeToString([]byte(c.value)),
		"base64 for URLs":       base64.RawURLEncoding.EncodeToString([]byte(c.value)),
		"Basic, u:":             basic("u:"),
		"Basic, us:":            basic("us:"),
		"Basic, use:":           basic("use:"),
		"lower case":            strings.ToLower(c.value),
		"in the middle of text": "before" + c.value + "after",
	} {
		if len(find(text, c)) == 0 {
			t.Errorf("%s: not found in %q", name, text)
		}
	}
	if got := find("what is "+rand.Text()+" another value", c); got != nil {
		t.Errorf("found what is not there: %v", got)
	}
}
