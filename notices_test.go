package apikeyinject

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/apikeyinject/caddy-apikey-inject/internal/alert"
	"github.com/apikeyinject/caddy-apikey-inject/internal/api"
	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/keyring"
	"github.com/apikeyinject/caddy-apikey-inject/internal/notice"
	"github.com/apikeyinject/caddy-apikey-inject/internal/rounds"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/session"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
	"github.com/apikeyinject/caddy-apikey-inject/internal/webhook"
)

// During a reload both look at the same ring.
func TestOfTwoConfigurationsTheNewestIsHeard(t *testing.T) {
	core, logged := observer.New(zap.DebugLevel)
	older, newer := &App{logger: zap.New(core).Named("older")}, &App{logger: zap.New(core).Named("newer")}
	ring := &pooledRing{apps: []*App{older, newer}}
	for _, a := range []*App{older, newer} {
		a.observer("vault", ring)(keyring.Event{Kind: keyring.StoreDown})
	}
	if all := logged.All(); len(all) != 1 || all[0].LoggerName != "newer" {
		t.Errorf("logged %v", all)
	}
}

func TestAKeyOfSeveralIntegrationsIsNobodys(t *testing.T) {
	a := &App{DefaultStore: "m", modules: map[string]keyStore{"m": &memoryModule{}}, refs: []*keyUse{
		{label: "acme", key: &KeyReference{Path: "own"}},
		{label: "acme", key: &KeyReference{Path: "own"}}, // another route
		{label: "acme", key: &KeyReference{Path: "shared"}},
		{label: "crm", key: &KeyReference{Path: "shared"}},
	}}
	a.findOwners()
	for path, want := range map[string]string{"own": "acme", "shared": ""} {
		if got, _ := a.whose("m", store.Address{Path: path}); got != want {
			t.Errorf("%s is %q's, want %q", path, got, want)
		}
	}
}

// What placeholders stand for is seen when they are filled in.
func TestWhomNobodyShouldTellIsRefused(t *testing.T) {
	const to, good = "https://app.example/hooks", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	for name, c := range map[string]struct{ url, secret, slack, says string }{
		"fine":                     {to, good, "https://hooks.slack.example/services/canary", ""},
		"a secret that is guessed": {to, "canary", "", "webhook.secret: "},
		"a URL with a password":    {"https://user:canary@app.example/", good, "", "webhook.url: "},
		"a chat in clear":          {to, good, "http://hooks.slack.example/services/canary", "slack: "},
	} {
		o := outside{webhook: &webhook.Receiver{URL: c.url, Secret: secret.New(c.secret)}}
		if c.slack != "" {
			o.slack = &alert.Slack{URL: secret.New(c.slack)}
		}
		err := o.check()
		if (err == nil) != (c.says == "") || err != nil && (!strings.HasPrefix(err.Error(), c.says) || strings.Contains(err.Error(), "canary")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A key and its end are two things: another key is the end of both.
func TestWhatANoticeIsAbout(t *testing.T) {
	const key, ends = "key\nacme\nc", "ends\nacme\nc"
	for _, c := range []struct {
		kind  notice.Kind
		wrong bool
		about string
	}{
		{notice.AuthFailed, true, key},
		{notice.AuthRecovered, false, key},
		{notice.Deleted, true, key},
		{notice.Denied, true, key},
		{notice.Invalid, true, key},
		{notice.Unavailable, true, key},
		{notice.Recovered, false, key},
		{notice.Rotated, false, key + "," + ends},
		{notice.Expiring, true, ends},
		{notice.Expired, true, ends},
		{notice.StoreDown, true, "store\nvault"},
		{notice.StoreUp, false, "store\nvault"},
		{notice.StoreThrottled, false, ""},
		{notice.TokenExpiring, true, "token\nvault"},
		{notice.TokenReplaced, false, "token\nvault"},
		{notice.CatalogAway, true, "catalog"},
		{notice.CatalogBack, false, "catalog"},
		{notice.ConnectionUpdated, false, ""},
	} {
		got, wrong := subjectOf(&notice.Notice{Kind: c.kind, Integration: "acme", Connection: "c", Store: "vault"})
		if strings.Join(got, ",") != c.about || wrong != c.wrong {
			t.Errorf("%s is about %q, wrong: %v", c.kind, got, wrong)
		}
	}
}

func TestASessionOfWhichNothingIsKnownIsNotCounted(t *testing.T) {
	counted := func() map[string]float64 {
		reg := prometheus.NewPedanticRegistry()
		reg.MustRegister(sessionsTotal)
		all, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		by := map[string]float64{}
		for _, m := range all[0].GetMetric() {
			by[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
		}
		return by
	}
	for err, want := range map[error]string{
		nil: "made", session.ErrExpired: "expired", session.ErrUsed: "refused", session.ErrUnknown: "refused", session.ErrBlocked: "refused", catalog.ErrUnavailable: "",
	} {
		before := counted()
		countSession("made", err)
		for event, n := range counted() {
			if got := n != before[event]; got != (event == want) {
				t.Errorf("%v counts as %s: %v", err, event, got)
			}
		}
	}
}

func TestTheStateOfAKey(t *testing.T) {
	for name, c := range map[string]struct {
		is   keyring.Status
		away bool
		want string
	}{
		"never asked for":              {keyring.Status{State: "missing"}, false, api.StateUnknown},
		"not there":                    {keyring.Status{State: "missing", Class: keyring.ClassNotFound}, false, api.StateMissing},
		"fresh":                        {keyring.Status{State: "fresh"}, false, api.StateOK},
		"fresh, while its store is":    {keyring.Status{State: "fresh"}, true, api.StateOK},
		"old, as nobody asked for it":  {keyring.Status{State: "stale"}, false, api.StateOK},
		"old, while its store is away": {keyring.Status{State: "stale"}, true, api.StateStale},
		"old, and read in vain":        {keyring.Status{State: "stale", Class: keyring.ClassDenied}, false, api.StateStale},
		"refused":                      {keyring.Status{State: "fresh", Rejected: true}, false, api.StateAuthFailed},
	} {
		if got := keyStatus(c.is, c.away).State; got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestAnOwnKeyIsDueOnceAnInterval(t *testing.T) {
	a := &App{}
	a.tried.due = make(map[rounds.Source]time.Time)
	s := rounds.Source{Integration: "acme", Own: true, Interval: time.Hour}
	claim := func() int {
		ids, err := a.claimTrials(t.Context(), s, 10)
		if err != nil {
			t.Fatal(err)
		}
		return len(ids)
	}
	_ = claim() // draws when it begins
	if first := time.Until(a.tried.due[s]); first > 6*time.Minute {
		t.Errorf("it is first due in %s", first)
	}
	a.tried.due[s] = time.Now().Add(time.Minute)
	if claim() != 0 {
		t.Error("it is tried before it is due")
	}
	a.tried.due[s] = time.Now()
	if claim() != 1 || claim() != 0 {
		t.Error("it is not tried once when it is due")
	}
	if next := time.Until(a.tried.due[s]); next < 53*time.Minute || next > time.Hour {
		t.Errorf("it is due again in %s", next)
	}
}

func TestADocumentIsOneIntegrationsAndConnections(t *testing.T) {
	o := &owners{
		fixed: map[placeOf]string{
			{"vault", store.Address{Path: "acme/prod"}}: "acme",
			{"vault", store.Address{Path: "shared"}}:    "", // of two
		},
		chosen: []chosenPlace{
			{"crm", "vault", &KeyReference{Path: "customers/${connectionId}/crm"}},
			{"crm", "vault", &KeyReference{Path: "customers/${connectionId}/crm"}}, // its route
			{"twice", "vault", &KeyReference{Path: "t/${connectionId}/${connectionId}"}},
			{"suffix", "vault", &KeyReference{Path: "s/key-${connectionId}-prod"}},
			{"one", "vault", &KeyReference{Path: "both/${connectionId}"}},
			{"other", "vault", &KeyReference{Path: "both/${connectionId}"}},
			{"mounted", "vault", &KeyReference{Mount: "kv", Path: "m/${connectionId}"}},
		},
		store: "vault", prefix: "caddy-apikey-inject/",
	}
	for path, want := range map[string][2]string{
		"acme/prod":                           {"acme", ""},
		"shared":                              {},
		"nobody/knows":                        {},
		"customers/c-1/crm":                   {"crm", "c-1"},
		"customers/c-1/erp":                   {},
		"t/a/a":                               {"twice", "a"},
		"t/a/b":                               {},
		"s/key-c-1-prod":                      {"suffix", "c-1"},
		"both/c-1":                            {},
		"m/c-1":                               {}, // of another mount
		"caddy-apikey-inject/Acme EU/cust-1":  {"Acme EU", "cust-1"},
		"caddy-apikey-inject/acme":            {},
		"caddy-apikey-inject/acme/cust/extra": {},
	} {
		if i, c := o.of("vault", store.Address{Path: path}); i != want[0] || c != want[1] {
			t.Errorf("%s is %q of %q, want %q of %q", path, c, i, want[1], want[0])
		}
	}
	if i, c := o.of("vault", store.Address{Mount: "kv", Path: "m/c-1"}); i != "mounted" || c != "c-1" {
		t.Errorf("in a mount of its own it is %q of %q", c, i)
	}
	if i, _ := o.of("local", store.Address{Path: "acme/prod"}); i != "" {
		t.Errorf("in another store it is of %q", i)
	}
}
