//go:build !race

package apikeyinject

// This file prints live structures in every way there is. It walks into loggers
// and pools that goroutines of Caddy use meanwhile, which is what the race
// detector would report; the tests run without it.

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddyserver/caddy/v2"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

// shows tells in which form text holds a part of a secret that no escaping
// changes.
func shows(text, part string) string {
	for form, s := range map[string]string{
		"plain": part, "hex": hex.EncodeToString([]byte(part)),
		"bytes":      strings.Trim(fmt.Sprintf("%d", []byte(part)), "[]"),
		"Go bytes":   strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", []byte(part)), "[]byte{"), "}"),
		"JSON bytes": strings.ReplaceAll(strings.Trim(fmt.Sprintf("%d", []byte(part)), "[]"), " ", ","),
	} {
		if strings.Contains(strings.ToLower(text), s) {
			return form
		}
	}
	return ""
}

// printed returns v in every way that Go and Caddy's logger print things.
func printed(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t"} {
		fmt.Fprintf(&b, verb+"\n", v)
	}
	fmt.Fprintln(&b, fmt.Errorf("wrapping: %v", v), errors.New(fmt.Sprint(v)))
	if raw, err := json.Marshal(v); err == nil {
		b.Write(raw)
	}
	for _, h := range []slog.Handler{slog.NewTextHandler(&b, nil), slog.NewJSONHandler(&b, nil)} {
		slog.New(h).Info("printing", "v", v, slog.Group("g", "v", v))
	}
	for _, enc := range []zapcore.Encoder{zapcore.NewJSONEncoder(zapcore.EncoderConfig{}), zapcore.NewConsoleEncoder(zapcore.EncoderConfig{})} {
		log := zap.New(zapcore.NewCore(enc, zapcore.AddSync(&b), zapcore.DebugLevel))
		log.Info("printing", zap.Any("any", v), zap.Reflect("reflect", v))
		log.Sugar().Infow("printing", "v", v)
		log.Sugar().Infof("%+v %#v", v, v)
	}
	return b.String()
}

// holder is what a type of ours would be if it held a key in clear.
type holder struct {
	name string
	key  []byte
	text string
}

func TestPrintingShowsWhatIsHeldInClear(t *testing.T) {
	for name, v := range map[string]any{
		"bytes": &holder{key: []byte(canary)}, "text": holder{text: canary}, "exported": struct{ Key string }{canary},
	} {
		if shows(printed(t, v), "7f3a9c") == "" {
			t.Errorf("%s: not found", name)
		}
	}
	if form := shows(printed(t, holder{name: "x"}), "7f3a9c"); form != "" {
		t.Errorf("found what is not there, as %s", form)
	}
}

func TestNothingThatHoldsAKeyPrintsIt(t *testing.T) {
	t.Setenv("LEAK_TYPES", canary)
	held := map[string]any{}
	for name, place := range map[string]string{
		"header": `"key_name": "X-Api-Key"`,
		"basic":  `"key_name": "Authorization", "value_template": "Basic ${base64(user:${apiKey})}"`,
		"query":  `"key_name": "key", "key_placement": "query"`,
	} {
		h := newHandler(t, "", `{"base_url": "http://127.0.0.1:9", "label_as": "a marker", "key": {"path": "k"}, `+place+`}`)
		up := h.stub()
		r := httptest.NewRequest(http.MethodGet, "http://caddy.example/", nil)
		if w := send(t, h, r); w.Code != http.StatusOK || up.hits() != 1 {
			t.Fatalf("%s: answered %d", name, w.Code)
		}
		to := h.target
		ren := to.rendered.Load()
		ex := &exchange{Context: r.Context(), owner: h.transport, target: to, use: use{ren: ren, entry: to.own}}
		if _, err := ex.place(r); err != nil { // the copy with the key is not to be found from there
			t.Fatal(err)
		}
		held[name+": handler"], held[name+": target"], held[name+": transport"] = h, to, h.transport
		held[name+": integration"], held[name+": plan"] = to.integration, to.plan
		held[name+": view"], held[name+": entry"] = to.keys, to.own
		held[name+": rendered"], held[name+": key"], held[name+": injection"] = ren, ren.key, ren.inj
		held[name+": exchange"], held[name+": request"] = ex, r.WithContext(ex)
		held[name+": writer"] = &ex.writer
	}
	ctx, err := provisionApp(t, `{"stores": {
		"v": {"store": "vault", "addresses": ["http://127.0.0.1:9"], "auth": {"method": "token", "token": "{env.LEAK_TYPES}"}},
		"r": {"store": "vault", "addresses": ["http://127.0.0.1:9"], "auth": {"method": "approle", "role_id": "{env.LEAK_TYPES}", "secret_id": "{env.LEAK_TYPES}"}}
	}, "default_store": "v"}`)
	if err != nil {
		t.Fatal(err)
	}
	a, err := ctx.App("apikey_inject")
	if err != nil {
		t.Fatal(err)
	}
	app := a.(*App)
	held["app"], held["context"] = app, ctx
	for name, mod := range app.modules {
		s := mod.(*VaultStore)
		client, err := s.open()
		if err != nil {
			t.Fatal(err)
		}
		held[name+": store"], held[name+": config"], held[name+": auth"] = s, s.config, s.config.Auth
		held[name+": client"], held[name+": identity"] = client, s.identity()
		if got := s.config.Auth.Token.Reveal() + s.config.Auth.SecretID.Reveal(); got != canary {
			t.Errorf("%s: holds %q, not what is searched for", name, got)
		}
	}
	g := costlyGateway(t, 1)
	conn, err := g.app.opened.Load().ready.Load().dir.Connection(t.Context(), "acme", "customer-0")
	if err != nil {
		t.Fatal(err)
	}
	known, _ := g.chosen.byKey.Load("acme")
	held["gateway"], held["tokens of the API"], held["made target"] = g, g.tokens, known
	held["connection"], held["customer"] = conn, conn.Memo.Load()
	held["a catalog"] = acquireCatalog(catalog.Config{Driver: "postgres", URL: secret.New("postgres://u:" + canary + "@127.0.0.1:1/x")})
	t.Cleanup(held["a catalog"].(*pooledCatalog).release)
	held["value"], held["values"] = secret.New(canary), map[string]*secret.Value{"k": new(secret.Value)}

	for name, v := range held {
		text := printed(t, v)
		// What a pointer points to is printed too: it may be copied one day.
		if rv := reflect.ValueOf(v); rv.Kind() == reflect.Pointer && rv.Elem().Kind() == reflect.Struct {
			text += printed(t, rv.Elem().Interface())
		}
		if len(text) < 100 {
			t.Errorf("%s: prints only %q", name, text)
		}
		if form := shows(text, "7f3a9c"); form != "" {
			t.Errorf("%s shows the key as %s", name, form)
		}
	}
	if !strings.Contains(printed(t, held["header: handler"]), "a marker") {
		t.Error("a handler does not even print its label")
	}
	if !strings.Contains(printed(t, app.modules["v"].(caddy.Module)), "LEAK_TYPES") {
		t.Error("a store does not even print its placeholder")
	}
}
