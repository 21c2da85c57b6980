package api

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/session"
)

// trials answer as they are told, and note which keys were tried.
type trials struct {
	verdict Verdict
	leave   func() // who asked leaves meanwhile
	tried   []string
}

func (tr *trials) Try(_ context.Context, i *catalog.Integration, c *catalog.Connection, key secret.Value) Verdict {
	tr.tried = append(tr.tried, i.UniqueKey+"/"+c.ID+"/"+key.Reveal())
	if tr.leave != nil {
		tr.leave()
	}
	return tr.verdict
}

// tryingRig has the integration acme, whose keys are tried.
func tryingRig(t *testing.T, interval string) (*rig, *trials) {
	t.Helper()
	r, tr := newRig(t), &trials{}
	r.api.cfg.Trials = tr
	r.do("POST", "/integrations", `{"provider":"private-api-generic","unique_key":"acme","integration_config":{"baseUrl":"https://acme.example","keyName":"X-Api-Key"},
		"verification":{"path":"/me","interval":"`+interval+`"}}`).ok()
	return r, tr
}

func TestWhatBecomesOfAKeyThatWasTried(t *testing.T) {
	for name, tc := range map[string]struct {
		verdict    Verdict
		status     int
		code       string
		unverified bool
		next       time.Duration // from now, when it was stored
	}{
		"taken":      {Taken, http.StatusCreated, "", false, 6 * time.Hour},
		"no verdict": {NoVerdict, http.StatusCreated, "", true, 0},
		"refused":    {Refused, http.StatusBadRequest, "connection_test_failed", false, 0},
		"forbidden":  {Forbidden, http.StatusBadRequest, "egress_denied", false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r, tr := tryingRig(t, "6h")
			tr.verdict = tc.verdict
			a := r.do("POST", "/connections", enterBody(""))
			a.is(tc.status, tc.code)
			if len(tr.tried) != 1 || tr.tried[0] != "acme/c/"+canary {
				t.Errorf("tried %v", tr.tried)
			}
			stored, ok := r.conns[pair{"acme", "c"}]
			if tc.code != "" {
				if ok || len(r.keys) != 0 {
					t.Error("it was stored")
				}
				return
			}
			if stored.Unverified != tc.unverified || !stored.VerifyAt.Equal(start.Add(tc.next)) {
				t.Errorf("stored unverified %v, next %s", stored.Unverified, stored.VerifyAt)
			}
		})
	}
}

func TestNothingIsStoredWhenWhoAskedLeavesMeanwhile(t *testing.T) {
	r, tr := tryingRig(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	tr.leave = cancel
	_, err := r.api.try(ctx, &catalog.Integration{Verification: &catalog.Verification{}}, &catalog.Connection{}, secret.New("k"))
	if err == nil {
		t.Error("goes on")
	}
}

func TestAKeyIsNotTriedWithoutAVerification(t *testing.T) {
	r, tr := tryingRig(t, "")
	r.do("PATCH", "/integrations/acme", `{"verification":null}`).ok()
	tr.verdict = Refused
	r.do("POST", "/connections", enterBody("")).is(http.StatusCreated, "")
	if len(tr.tried) != 0 {
		t.Errorf("tried %v", tr.tried)
	}
}

func TestAnIntervalOfAVerification(t *testing.T) {
	r, _ := tryingRig(t, "1d")
	a := r.do("GET", "/integrations/acme", "").ok()
	a.want("1d", "data", "verification", "interval")
	for _, wrong := range []string{"9s", "often", "-1h", "4000d"} {
		r.do("PATCH", "/integrations/acme", `{"verification":{"path":"/me","interval":"`+wrong+`"}}`).is(http.StatusBadRequest, "invalid_body")
	}
}

// crowd are trials that are under way until all are to be answered.
type crowd struct {
	asked  atomic.Int64
	answer chan struct{}
}

func (c *crowd) Try(context.Context, *catalog.Integration, *catalog.Connection, secret.Value) Verdict {
	c.asked.Add(1)
	<-c.answer
	return Refused
}

func TestASessionTriesNoMoreKeysAtOnceThanOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := tryingRig(t, "")
		c := &crowd{answer: make(chan struct{})}
		r.api.cfg.Trials, r.api.cfg.Audit = c, nil
		token := r.session(forAcme)
		var blocked atomic.Int64
		for n := range 5 * session.MaxFailures {
			go func() {
				if r.quiet("POST", "/api-auth/api-key/acme", fmt.Sprintf(`{"apiKey":"guess-%d"}`, n), token).Code == http.StatusUnauthorized {
					blocked.Add(1)
				}
			}()
		}
		synctest.Wait()
		if n := c.asked.Load(); n != session.MaxFailures {
			t.Errorf("the upstream was asked about %d keys, want %d", n, session.MaxFailures)
		}
		close(c.answer)
		synctest.Wait()
		if n := blocked.Load(); n != 4*session.MaxFailures {
			t.Errorf("%d tries were refused", n)
		}
		r.enters(token, "acme", canary).is(http.StatusUnauthorized, "connect_session_blocked")
	})
}

func TestWhatIsDisabledIsNotAskedAboutKeys(t *testing.T) {
	r, tr := tryingRig(t, "6h")
	tr.verdict = Refused
	r.do("POST", "/integrations/acme/disable", "").ok()
	r.do("POST", "/connections", enterBody("")).is(http.StatusCreated, "")
	if stored := r.conns[pair{"acme", "c"}]; len(tr.tried) != 0 || !stored.Unverified || !stored.VerifyAt.Equal(start) {
		t.Errorf("tried %v, unverified %v, next %s", tr.tried, stored.Unverified, stored.VerifyAt)
	}
	r.do("POST", "/integrations/acme/enable", "").ok()
	r.do("POST", "/connections/c/disable?provider_config_key=acme", "").ok()
	r.do("POST", "/connections", enterBody("")).is(http.StatusCreated, "")
	if len(tr.tried) != 0 {
		t.Errorf("tried %v for a connection that is disabled", tr.tried)
	}
}

func TestAVerdictIsOfTheWayThatTheKeyWasSent(t *testing.T) {
	for name, verdict := range map[string]Verdict{"taken": Taken, "refused": Refused} {
		t.Run(name, func(t *testing.T) {
			r, tr := tryingRig(t, "6h")
			tr.verdict = verdict
			tr.leave = func() {
				r.do("PATCH", "/integrations/acme", `{"integration_config":{"baseUrl":"https://elsewhere.example"}}`).ok()
			}
			r.do("POST", "/connections", enterBody("")).is(http.StatusCreated, "")
			if stored := r.conns[pair{"acme", "c"}]; !stored.Unverified || !stored.VerifyAt.Equal(start) {
				t.Errorf("unverified %v, next %s", stored.Unverified, stored.VerifyAt)
			}
		})
	}
}
