package inject

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

const canary = "canary-2b7e/+ =&%é"

// placed renders key into template and places it.
func placed(t *testing.T, kind, name, template, key string) *Injection {
	t.Helper()
	p, err := NewPlacement(kind, name)
	if err != nil {
		t.Fatal(err)
	}
	tmpl, err := ParseTemplate(template)
	if err != nil {
		t.Fatal(err)
	}
	inj, err := Place(p, tmpl, secret.New(key), nil)
	if err != nil {
		t.Fatal(err)
	}
	return inj
}

func TestTemplatesThatAreRefused(t *testing.T) {
	for name, tc := range map[string]struct{ template, says string }{
		"no key":                       {"Api-Key", "does not contain ${apiKey}"},
		"empty":                        {"", "does not contain ${apiKey}"},
		"spaces in the placeholder":    {"${ apiKey }", "did you mean ${apiKey}?"},
		"wrong case":                   {"${apikey}", "did you mean ${apiKey}?"},
		"snake case":                   {"${api_key}", "did you mean ${apiKey}?"},
		"unknown placeholder":          {"${apiKey}${user}", "unknown placeholder ${user}"},
		"unterminated":                 {"Bearer ${apiKey", "not closed"},
		"unterminated function":        {"${base64(${apiKey}", "not closed"},
		"function without the key":     {"${base64(x)}", "does not contain ${apiKey}"},
		"config without a name":        {"${apiKey}${connectionConfig.}", "unknown placeholder"},
		"config with a wrong name":     {"${apiKey}${connectionConfig.a b}", "unknown placeholder"},
		"a placeholder of Caddy":       {"Bearer {env.KEY} ${apiKey}", "not expanded"},
		"a Caddyfile placeholder":      {"Bearer {$KEY} ${apiKey}", "not expanded"},
		"what Caddy made of ${path}":   {"${http.request.uri.path}${apiKey}", "shorthand"},
		"a control character":          {"Bearer\t${apiKey}", "control character"},
		"a line end":                   {"${apiKey}\r\nX: y", "control character"},
		"an unknown function":          {"${upper(${apiKey})}", "unknown placeholder"},
		"the config in another casing": {"${ConnectionConfig.a}${apiKey}", "did you mean ${connectionConfig.NAME}?"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseTemplate(tc.template)
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%q: got %v, want an error that says %q", tc.template, err, tc.says)
			}
		})
	}
}

func TestTemplatesRenderInOnePass(t *testing.T) {
	config := map[string]string{"tenant": "acme", "evil": "${apiKey}"}
	for name, tc := range map[string]struct{ template, key, want string }{
		"the default":                     {DefaultTemplate, "K", "K"},
		"a prefix":                        {"Api-Key ${apiKey}", "K", "Api-Key K"},
		"the key twice":                   {"${apiKey}:${apiKey}", "K", "K:K"},
		"a dollar before the placeholder": {"$${apiKey}", "K", "$K"},
		"Basic":                           {"Basic ${base64(${apiKey}:)}", "K", "Basic Szo="},
		"a function in a function":        {"${base64(${base64(${apiKey})})}", "K", "U3c9PQ=="},
		"a field":                         {"${connectionConfig.tenant}-${apiKey}", "K", "acme-K"},
		"a field that names the key":      {"${connectionConfig.evil}${apiKey}", "K", "${apiKey}K"},
		"a key that is a placeholder":     {"Api-Key ${apiKey}", "${apiKey}", "Api-Key ${apiKey}"},
		"a key for Caddy's replacer":      {"Api-Key ${apiKey}", "{env.HOME}", "Api-Key {env.HOME}"},
		"a key for a regexp":              {"Api-Key ${apiKey}", "$1", "Api-Key $1"},
		"a key for fmt":                   {"Api-Key ${apiKey}", "%s", "Api-Key %s"},
		"a closing brace":                 {"}${apiKey})}", "K", "}K)}"},
	} {
		t.Run(name, func(t *testing.T) {
			tmpl, err := ParseTemplate(tc.template)
			if err != nil {
				t.Fatal(err)
			}
			got, err := tmpl.Render(secret.New(tc.key), config)
			if err != nil || got.Reveal() != tc.want {
				t.Errorf("got %q, %v, want %q", got.Reveal(), err, tc.want)
			}
		})
	}
}

func TestATemplateWithoutItsFieldRendersNothing(t *testing.T) {
	tmpl, err := ParseTemplate("${apiKey}-${connectionConfig.tenant}-${connectionConfig.tenant}")
	if err != nil {
		t.Fatal(err)
	}
	if got := tmpl.Fields(); len(got) != 1 || got[0] != "tenant" {
		t.Errorf("got the fields %q, want tenant once", got)
	}
	for name, config := range map[string]map[string]string{"absent": nil, "empty": {"tenant": ""}} {
		t.Run(name, func(t *testing.T) {
			got, err := tmpl.Render(secret.New("K"), config)
			var missing *MissingFieldError
			if !errors.As(err, &missing) || missing.Name != "tenant" || !got.IsZero() {
				t.Errorf("got %q, %v, want nothing and the missing field", got.Reveal(), err)
			}
		})
	}
}

func TestNamesThatCannotCarryAKey(t *testing.T) {
	for _, name := range []string{
		"", "Connection", "connection", "TE", "Trailer", "Transfer-Encoding", "transfer_encoding", "Upgrade", "Proxy-Authorization",
		"Proxy-Authenticate", "Proxy-Connection", "Keep-Alive", "HTTP2-Settings", "Host", "Content-Length", "content_length",
		"X Api", "X-Ké", "X:Y", "X\nY", "{env.NAME}", "X-\x7f", ":authority",
	} {
		if _, err := NewPlacement(Header, name); err == nil {
			t.Errorf("the header %q is accepted", name)
		}
	}
	for _, name := range []string{"", "a\nb", "{env.NAME}"} {
		if _, err := NewPlacement(Query, name); err == nil {
			t.Errorf("the parameter %q is accepted", name)
		}
	}
	if _, err := NewPlacement("body", "X"); err == nil {
		t.Error("the placement body is accepted")
	}
}

func TestAHeaderGivesWayInEverySpelling(t *testing.T) {
	p, err := NewPlacement("", "api_token")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"Api_token": true, "Api-Token": true, "API-TOKEN": true, "api_TOKEN": true, "Api-Tokens": false, "Api.Token": false, "": false,
	} {
		if got := p.Replaces(name); got != want {
			t.Errorf("%q: got %v, want %v", name, got, want)
		}
	}
	q, err := NewPlacement(Query, "api_token")
	if err != nil {
		t.Fatal(err)
	}
	if q.Replaces("Api-Token") {
		t.Error("a query placement takes a header off")
	}
}

func TestAHeaderHoldsOneValue(t *testing.T) {
	inj := placed(t, Header, "x-API-key", "Api-Key ${apiKey}", canary)
	if inj.Placement().Name() != "X-Api-Key" || inj.Placement().InQuery() {
		t.Errorf("got the header %q", inj.Placement().Name())
	}
	if got := inj.Header(); len(got) != 1 || got[0] != "Api-Key "+canary {
		t.Errorf("got %d values, the first is not the rendered key", len(got))
	}
}

func TestAValueNoHeaderCanCarryIsNotPlaced(t *testing.T) {
	p, err := NewPlacement(Header, "X")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"a\nb", "a\rb", "a\x00b", "a\x7fb"} {
		if _, err := Place(p, keyOnly(t), secret.New(key), nil); err == nil || strings.Contains(err.Error(), key) {
			t.Errorf("%q: got %v, want an error without the value", key, err)
		}
	}
}

func TestTheQueryKeepsAllButOurs(t *testing.T) {
	for _, tc := range []struct{ name, raw, param, key, want string }{
		{"none", "", "key", "K", "key=K"},
		{"another", "a=1", "key", "K", "a=1&key=K"},
		{"the client's once", "key=x", "key", "K", "key=K"},
		{"the client's twice in between", "a=1&key=x&b=2&key=&c=3", "key", "K", "a=1&b=2&c=3&key=K"},
		{"the client's without a value", "key&a", "key", "K", "a&key=K"},
		{"the client's escaped", "%6b%65%79=x&k%65y=y", "key", "K", "key=K"},
		{"another casing is another name", "KEY=x", "key", "K", "KEY=x&key=K"},
		{"spellings that stay", "b=%2f&c=a+b&d=%20&e&f=", "key", "K", "b=%2f&c=a+b&d=%20&e&f=&key=K"},
		{"a semicolon is a byte", "a;key=x", "key", "K", "a;key=x&key=K"},
		{"empty pairs stay", "a&&b&", "key", "K", "a&&b&&key=K"},
		{"a broken escape stays", "%zz&a=%", "key", "K", "%zz&a=%&key=K"},
		{"a key with everything", "", "key", canary, "key=canary-2b7e%2F%2B%20%3D%26%25%C3%A9"},
		{"a name to be escaped", "api key=x&api+key=y&api%20key=z", "api key", "K", "api%20key=K"},
		{"a name with brackets", "auth[key]=x", "auth[key]", "K", "auth%5Bkey%5D=K"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := placed(t, Query, tc.param, DefaultTemplate, tc.key).Query(tc.raw); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestAKeyInTheQueryIsScrubbedFromURLs(t *testing.T) {
	inj := placed(t, Query, "key", "T-${apiKey}", "a b/c%d")
	for _, tc := range []struct{ name, sent, want string }{
		{"as we sent it", "/x?key=T-a%20b%2Fc%25d&y=1", "/x?key=REDACTED&y=1"},
		{"form encoding", "/x?key=T-a+b/c%25d", "/x?key=REDACTED"},
		{"small digits", "/x?key=T-a%20b%2fc%25d", "/x?key=REDACTED"},
		{"inside another URL", "/login?next=%2Fx%3Fkey%3DT-a%2520b%252Fc%2525d", "/login?next=%2Fx%3Fkey%3DREDACTED"},
		{"the key without its template", "/x?k=a%20b%2Fc%25d", "/x?k=REDACTED"},
		{"twice", "/a%20b%2Fc%25d/a%20b%2Fc%25d", "/REDACTED/REDACTED"},
		{"another text", "/x?key=T-a%20b%2Fc", "/x?key=T-a%20b%2Fc"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, name := range headersWithURLs {
				h := http.Header{name: {"/plain", tc.sent}}
				inj.Scrub(h)
				if got := h[name]; got[0] != "/plain" || got[1] != tc.want {
					t.Errorf("%s: got %q, want %q", name, got, tc.want)
				}
			}
		})
	}
	h := http.Header{"Location": {"/x?key=K"}}
	placed(t, Header, "X", DefaultTemplate, "K").Scrub(h)
	if h.Get("Location") != "/x?key=K" {
		t.Error("a header placement changes Location")
	}
}

func TestInjectionsPrintNoKey(t *testing.T) {
	for _, kind := range []string{Header, Query} {
		inj := placed(t, kind, "X-Key", "Bearer ${apiKey}", canary)
		holder := struct {
			Public  *Injection
			private *Injection
			list    []*Injection
		}{inj, inj, []*Injection{inj}}
		var out bytes.Buffer
		for _, v := range []any{inj, *inj, holder, &holder, inj.Placement()} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
				fmt.Fprintf(&out, verb+"\n", v)
			}
			raw, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			out.Write(raw)
			slog.New(slog.NewTextHandler(&out, nil)).Info("m", "v", v)
			slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "v", v)
			core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(&out), zap.DebugLevel)
			zap.New(core).Info("m", zap.Any("any", v), zap.Reflect("reflect", v))
		}
		if out.Len() == 0 {
			t.Fatal("nothing was printed")
		}
		if inj.In(out.String()) || strings.Contains(out.String(), "canary") {
			t.Errorf("%s: the key is in what was printed", kind)
		}
		if !inj.In("x" + canary) {
			t.Error("the search does not find a planted key")
		}
	}
}
