package promcheck

// This file holds that each alert fires when it should, and not before.

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
)

// situations are an hour of series for each alert: with them it fires at the
// end, or not.
var situations = map[string]struct{ fires, quiet string }{
	"ApikeyInjectStoreDown": {
		fires: `breaker_state{instance="a",store="vault"} 1x60`,
		quiet: `breaker_state{instance="a",store="vault"} 0x60`,
	},
	"ApikeyInjectKeyMissing": {
		fires: `key_held{instance="a",integration="acme"} 0x60`,
		quiet: `key_held{instance="a",integration="acme"} 1x60`,
	},
	"ApikeyInjectKeysStale": {
		fires: `store_stale_seconds{instance="a",store="vault"} 21000+60x60`,
		quiet: `store_stale_seconds{instance="a",store="vault"} 0+60x60`,
	},
	"ApikeyInjectKeyOld": {
		fires: `key_age_seconds{instance="a",integration="acme"} 7776000+60x60`,
		quiet: `key_age_seconds{instance="a",integration="acme"} 86400+60x60`,
	},
	"ApikeyInjectKeyRefused": {
		fires: `key_refused{instance="a",integration="acme"} 1x60`,
		quiet: `key_refused{instance="a",integration="acme"} 0x60`,
	},
	"ApikeyInjectAuthFailures": {
		fires: `requests_total{instance="a",integration="acme",outcome="injected"} 0+100x60
  caddy_apikey_inject_upstream_auth_failures_total{instance="a",integration="acme",action="relayed"} 0+10x60`,
		quiet: `requests_total{instance="a",integration="acme",outcome="injected"} 0+100x60
  caddy_apikey_inject_upstream_auth_failures_total{instance="a",integration="acme",action="relayed"} 0+1x60
  caddy_apikey_inject_upstream_auth_failures_total{instance="a",integration="acme",action="replayed"} 0+50x60`,
	},
	"ApikeyInjectRequestsWithoutKey": {
		fires: `requests_total{instance="a",integration="acme",outcome="injected"} 0+100x60
  caddy_apikey_inject_requests_total{instance="a",integration="acme",outcome="key_unavailable"} 0+5x60`,
		quiet: `requests_total{instance="a",integration="acme",outcome="injected"} 0+100x60
  caddy_apikey_inject_requests_total{instance="a",integration="acme",outcome="forbidden"} 0+50x60`,
	},
	"ApikeyInjectVaultLoginFails": {
		fires: `vault_logins_total{instance="a",method="approle",result="failed"} 0+1x60`,
		quiet: `vault_logins_total{instance="a",method="approle",result="ok"} 0+1x60`,
	},
	"ApikeyInjectVaultTokenEnds": {
		fires: `vault_token_ttl_seconds{instance="a",store="vault"} 3900-60x60`,
		quiet: `vault_token_ttl_seconds{instance="a",store="vault"} 3600-60x40 3600-60x20`,
	},
	"ApikeyInjectVaultDenies": {
		fires: `vault_requests_total{instance="a",op="read",class="denied"} 0+1x60`,
		quiet: `vault_requests_total{instance="a",op="read",class="ok"} 0+1x60`,
	},
	"ApikeyInjectCatalogDown": {
		fires: `catalog_up{instance="a"} 0x60`,
		quiet: `catalog_up{instance="a"} 1x60`,
	},
	"ApikeyInjectWebhooksFail": {
		fires: `webhooks_total{instance="a",result="failed"} 0+2x60
  caddy_apikey_inject_webhooks_total{instance="a",result="delivered"} 0+1x60`,
		quiet: `webhooks_total{instance="a",result="failed"} 0+1x60
  caddy_apikey_inject_webhooks_total{instance="a",result="delivered"} 0+2x60`,
	},
}

func TestEachAlertFiresWhenItShould(t *testing.T) {
	rules, errs := rulefmt.ParseFile(rulesFile, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	engine := promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery)
	fires := func(t *testing.T, expr, series string) bool {
		t.Helper()
		s := promqltest.LoadedStorage(t, "load 1m\n  "+prefix+series+"\n")
		q, err := engine.NewInstantQuery(context.Background(), s, nil, expr, time.Unix(0, 0).Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		res := q.Exec(context.Background())
		v, err := res.Vector()
		if err != nil {
			t.Fatal(err)
		}
		return len(v) > 0
	}
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			t.Run(r.Alert, func(t *testing.T) {
				s, ok := situations[r.Alert]
				if !ok {
					t.Fatal("there is no situation for it")
				}
				if !fires(t, r.Expr, s.fires) {
					t.Error("it does not fire")
				}
				if fires(t, r.Expr, s.quiet) {
					t.Error("it fires without a reason")
				}
			})
		}
	}
}
