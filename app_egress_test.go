package apikeyinject

import (
	"encoding/json"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/apikeyinject/caddy-apikey-inject/internal/egress"
)

// Whatever the operator opens, no integration of the API leads to what the
// gateway itself stands on.
func TestEgressNeverLeadsToTheCatalogNorTheAdminEndpoint(t *testing.T) {
	t.Setenv("EGRESS_CATALOG", "postgres://caddy:x@127.0.0.1:5498,127.0.0.1:5499/gateway")
	config := strings.TrimSuffix(appConfig(t, ""), "}") +
		`, "egress": {"allow": ["127.0.0.0/8"]}, "catalog": {"driver": "postgres", "url": "{env.EGRESS_CATALOG}"}}`
	ctx, err := provisionApp(t, config)
	if err != nil {
		t.Fatal(err)
	}
	app, err := loadApp(ctx)
	if err != nil {
		t.Fatal(err)
	}
	dial := app.egress.DialContext(new(net.Dialer))
	for address, never := range map[string]bool{
		"127.0.0.1:5498": true, "127.0.0.2:5499": true, "localhost:5499": true, "127.0.0.1:2019": true,
		"127.0.0.1:5497": false,
	} {
		conn, err := dial(t.Context(), "tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		if denied := errors.Is(err, egress.ErrDenied); denied != never {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// Whatever Caddy takes for its admin endpoint, this plugin loads beside it.
func TestEveryAddressOfAnAdminEndpointIsUnderstood(t *testing.T) {
	for listen, guarded := range map[string]string{
		"localhost:2999":                "localhost:2999",
		":2999":                         ":2999",
		"tcp4/127.0.0.1:2999":           "127.0.0.1:2999",
		"[::1]:2999":                    "[::1]:2999",
		"unix//run/caddy.sock":          "",
		"unix+h2c//run/caddy.sock|0222": "",
		"fd/3":                          "",
		"localhost:0":                   "",
	} {
		t.Setenv("CADDY_ADMIN", listen)
		ctx, err := provisionApp(t, appConfig(t, ""))
		if err != nil {
			t.Errorf("%s: %v", listen, err)
			continue
		}
		app, err := loadApp(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if never := app.neverDialled(); guarded != "" && !slices.Contains(never, guarded) {
			t.Errorf("%s: guarded are %q, want %s among them", listen, never, guarded)
		}
	}
}

// Caddy's remote administration is an endpoint of its own.
func TestEgressNeverLeadsToTheRemoteAdminEndpoint(t *testing.T) {
	for admin, guarded := range map[string][]string{
		`{"remote": {}}`: {"localhost:2019", ":2021"},
		`{"remote": {"listen": "10.0.0.1:4021"}}`:                                       {"localhost:2019", "10.0.0.1:4021"},
		`{"listen": "localhost:2999", "remote": {"listen": "{env.REMOTE_ADMIN}:4021"}}`: {"localhost:2999", "10.0.0.2:4021"},
		`{"disabled": true, "remote": {"listen": "unix//run/remote.sock"}}`:             {"localhost:2019"},
		`{"listen": "localhost:2999"}`:                                                  {"localhost:2999"},
	} {
		t.Setenv("REMOTE_ADMIN", "10.0.0.2")
		cfg := &caddy.Config{Admin: new(caddy.AdminConfig), AppsRaw: caddy.ModuleMap{"apikey_inject": json.RawMessage(appConfig(t, ""))}}
		if err := json.Unmarshal([]byte(admin), cfg.Admin); err != nil {
			t.Fatal(err)
		}
		ctx, err := provisionWhole(t, cfg)
		if err != nil {
			t.Fatalf("%s: %v", admin, err)
		}
		app, err := loadApp(ctx)
		if err != nil {
			t.Fatal(err)
		}
		never := slices.DeleteFunc(app.neverDialled(), func(address string) bool { return strings.HasSuffix(address, ":1") }) // the store's
		if !slices.Equal(never, guarded) {
			t.Errorf("%s: guarded are %q, want %q", admin, never, guarded)
		}
	}
}

// A node whose tokens only call leaves the writes that were cut off elsewhere
// to those that may end them.
func TestOnlyANodeWhoseTokensChangeThingsEndsWrites(t *testing.T) {
	t.Setenv("SWEEP_TOKEN", "a-token")
	for scopes, ends := range map[string]bool{
		`[]`: true, `["connections:write"]`: true, `["integrations:write"]`: true, `["proxy", "connect_sessions:write"]`: true,
		`["proxy"]`: false, `["proxy", "status", "integrations:read", "connections:read"]`: false,
	} {
		ctx, err := provisionApp(t, appConfig(t, ""))
		if err != nil {
			t.Fatal(err)
		}
		raw := `{"tokens": [{"name": "one", "token": "{env.SWEEP_TOKEN}", "scopes": ` + scopes + `}]}`
		mod, err := ctx.LoadModuleByID("http.handlers.apikey_inject_api", json.RawMessage(raw))
		if err != nil {
			t.Fatal(err)
		}
		app := mod.(*API).app
		if app.writes != ends {
			t.Errorf("%s: ends writes: %t", scopes, app.writes)
		}
		if app.opened.Load() == nil {
			t.Errorf("%s: the catalog is not in use", scopes)
		}
	}
}
