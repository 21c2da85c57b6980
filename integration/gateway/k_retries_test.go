// K: retries and limits of rate, by the upstream's clock.

package gateway

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

// inTurn answers with each of a list, and with the last from then on.
func inTurn(answers ...harness.Answer) func(*harness.Request) harness.Answer {
	return func(r *harness.Request) harness.Answer { return answers[min(r.N, len(answers))-1] }
}

func status(code int, lines ...string) harness.Answer {
	return harness.Text(code, fmt.Sprint(code), lines...)
}

// retrying is a rig with one connection, whose calls begin with a new count.
func retrying(t *testing.T, api string) (*rig, func(method, body string, lines ...string) *reply) {
	t.Helper()
	r := newRig(t, settings{local: true, api: api})
	r.integration("acme", "")
	r.connection("acme", "c", "key-of-c")
	return r, func(method, body string, lines ...string) *reply {
		r.up.Forget()
		return r.proxy("acme", "c", method, "/users?a=1", body, lines...)
	}
}

func TestK1ToK3WhatIsSentAgain(t *testing.T) {
	r, call := retrying(t, "")
	ok, away, limited := status(200), status(503), status(429)
	for _, c := range []struct {
		name, method string
		lines        []string
		answers      []harness.Answer
		hits, status int
	}{
		{"K1 nothing is asked for", "GET", nil, []harness.Answer{away, ok}, 1, 503},
		{"K1 no retries", "GET", []string{"Retries: 0"}, []harness.Answer{away, ok}, 1, 503},
		{"K2 twice away", "GET", []string{"Retries: 3"}, []harness.Answer{away, away, ok}, 3, 200},
		{"K2 away for good", "GET", []string{"Retries: 2"}, []harness.Answer{away}, 3, 503},
		{"K2 a reset and a close", "GET", []string{"Retries: 3"}, []harness.Answer{harness.Reset(), harness.Close(), ok}, 3, 200},
		{"K2 too fast", "GET", []string{"Retries: 1"}, []harness.Answer{limited, ok}, 2, 200},
		{"K2 nothing wrong", "GET", []string{"Retries: 3"}, []harness.Answer{ok}, 1, 200},
		{"K2 the caller's own fault", "GET", []string{"Retries: 3"}, []harness.Answer{status(404)}, 1, 404},
		{"K2 a status that is asked for", "GET", []string{"Retries: 3", "Retry-On: 404, 409"}, []harness.Answer{status(409), status(404), ok}, 3, 200},
		{"K2 another status than is asked for", "GET", []string{"Retries: 3", "Retry-On: 404"}, []harness.Answer{status(410), ok}, 1, 410},
		{"K2 HEAD", "HEAD", []string{"Retries: 1"}, []harness.Answer{away, ok}, 2, 200},
		{"K2 PUT with a body", "PUT", []string{"Retries: 1"}, []harness.Answer{away, ok}, 2, 200},
		{"K3 POST", "POST", []string{"Retries: 3"}, []harness.Answer{away, ok}, 1, 503},
		{"K3 PATCH", "PATCH", []string{"Retries: 3"}, []harness.Answer{limited, ok}, 1, 429},
		{"K3 POST that is cut", "POST", []string{"Retries: 3"}, []harness.Answer{harness.Close(), ok}, 1, 502},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.up.Answer(inTurn(c.answers...))
			body := ""
			if c.method != "GET" && c.method != "HEAD" {
				body = `{"a": 1}`
			}
			a := call(c.method, body, c.lines...)
			if a.status != c.status || r.up.Hits() != c.hits {
				t.Errorf("answered %d after %d hits, want %d after %d", a.status, r.up.Hits(), c.status, c.hits)
			}
			for _, got := range r.up.Requests() {
				if got.Target != "/users?a=1" || string(got.Body) != body || strings.Join(got.Values("Authorization"), "") != "Api-Key key-of-c" {
					t.Errorf("attempt %d is %s", got.N, got)
				}
			}
		})
	}
	t.Run("K2 a refused connection", func(t *testing.T) {
		r.integration("nowhere", "")
		r.connection("nowhere", "c", "k")
		r.api(200, http.MethodPatch, "/integrations/nowhere", fmt.Sprintf(`{"integration_config": {"baseUrl": "http://127.0.0.1:%d"}}`, harness.Port(t)))
		r.api(200, http.MethodPost, "/integrations/nowhere/confirm_origin", "")
		if a := r.proxy("nowhere", "c", "GET", "/", "", "Retries: 2"); a.status != http.StatusBadGateway {
			t.Errorf("answered %d %s", a.status, a.body)
		}
	})
	t.Run("K2 a retry that waits for the upstream's wish", func(t *testing.T) {
		r.up.Answer(inTurn(status(503, "Retry-After: 1"), ok))
		a := call("GET", "", "Retries: 1")
		wantGap(t, r, time.Second, 2*time.Second)
		if a.status != 200 {
			t.Errorf("answered %d", a.status)
		}
	})
}

func TestK3POSTIsSentAgainWhereTheOperatorSaysSo(t *testing.T) {
	t.Parallel()
	r, call := retrying(t, "\t\tretry_methods GET POST\n")
	for method, hits := range map[string]int{"GET": 2, "POST": 2, "PUT": 1, "DELETE": 1} {
		r.up.Answer(inTurn(status(503), status(200)))
		call(method, "", "Retries: 1")
		if n := r.up.Hits(); n != hits {
			t.Errorf("K3 %s: %d hits, want %d", method, n, hits)
		}
	}
}

// wantGap fails unless the second attempt came between least and most after the
// first.
func wantGap(t *testing.T, r *rig, least, most time.Duration) {
	t.Helper()
	got := r.up.Requests()
	if len(got) != 2 {
		t.Fatalf("%d attempts, want 2", len(got))
	}
	// The first counts from its answer, which is a little after its arrival.
	if gap := got[1].At.Sub(got[0].At); gap < least || gap > most {
		t.Errorf("the second attempt came %s after the first, want %s to %s", gap, least, most)
	}
}

func TestK4TheUpstreamSaysHowLong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		line func(at time.Time) string // at is 1 to 2 s from now, a whole second
	}{
		{"Retry-After in seconds", func(time.Time) string { return "Retry-After: 1" }},
		{"Retry-After as a date", func(at time.Time) string { return "Retry-After: " + at.UTC().Format(http.TimeFormat) }},
		{"X-RateLimit-Reset in seconds from now", func(time.Time) string { return "X-RateLimit-Reset: 1" }},
		{"X-RateLimit-Reset in seconds since 1970", func(at time.Time) string { return "X-RateLimit-Reset: " + strconv.FormatInt(at.Unix(), 10) }},
		{"X-RateLimit-Reset in milliseconds since 1970", func(at time.Time) string { return "X-RateLimit-Reset: " + strconv.FormatInt(at.UnixMilli(), 10) }},
		{"RateLimit-Reset", func(time.Time) string { return "RateLimit-Reset: 1" }},
		{"both, of which Retry-After counts", func(time.Time) string { return "X-RateLimit-Reset: 30\r\nRetry-After: 1" }},
	} {
		t.Run("K4 "+c.name, func(t *testing.T) {
			t.Parallel()
			r, call := retrying(t, "")
			var first, least time.Time
			r.up.Answer(func(got *harness.Request) harness.Answer {
				if got.N > 1 {
					return status(200)
				}
				first = got.At
				at := time.Now().Truncate(time.Second).Add(2 * time.Second)
				line := c.line(at)
				if least = at; strings.HasSuffix(line, ": 1") {
					least = got.At.Add(time.Second)
				}
				return status(429, line)
			})
			if a := call("GET", "", "Retries: 3"); a.status != 200 {
				t.Fatalf("answered %d", a.status)
			}
			wantGap(t, r, least.Sub(first), least.Sub(first)+time.Second)
		})
	}
}

func TestK5WhoAsksForTooLongAWaitIsAnsweredWith(t *testing.T) {
	r, call := retrying(t, "")
	for _, line := range []string{
		"Retry-After: 3600", "Retry-After: " + time.Now().Add(time.Hour).UTC().Format(http.TimeFormat),
		"X-RateLimit-Reset: " + strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10), "Retry-After: 99999999999", "Retry-After: 61",
	} {
		r.up.Answer(inTurn(status(429, line), status(200)))
		start := time.Now()
		a := call("GET", "", "Retries: 5")
		name, value, _ := strings.Cut(line, ": ")
		if a.status != 429 || r.up.Hits() != 1 || a.header.Get(name) != value || time.Since(start) > 5*time.Second {
			t.Errorf("K5 %s: answered %d %v after %s and %d hits", line, a.status, a.header, time.Since(start), r.up.Hits())
		}
	}
	t.Run("K5 by the operator's cap", func(t *testing.T) {
		r, call := retrying(t, "\t\tretry_max_wait 2s\n")
		r.up.Answer(inTurn(status(429, "Retry-After: 3"), status(200)))
		if a := call("GET", "", "Retries: 5"); a.status != 429 || r.up.Hits() != 1 {
			t.Errorf("answered %d after %d hits", a.status, r.up.Hits())
		}
	})
}

func TestK6RetriesThatAreNoNumber(t *testing.T) {
	t.Parallel()
	r, call := retrying(t, "")
	for _, v := range []string{"11", "-1", "0.5", "abc", "1e1", "0x1", "+1", "1,2", "999999999999999999999", "", "١"} {
		a := call("GET", "", "Retries: "+v)
		r.wantRefusal(t, a, http.StatusBadRequest, "bad_header")
	}
	r.wantRefusal(t, call("GET", "", "Retries: 1", "Retries: 1"), http.StatusBadRequest, "bad_header")
	for _, v := range []string{"200", "abc", "600", "503;504", "-503"} {
		r.wantRefusal(t, call("GET", "", "Retries: 1", "Retry-On: "+v), http.StatusBadRequest, "bad_header")
	}
	if a := call("GET", "", "Retries: 10", "Retry-On: 502,503 , 504"); a.status != 200 {
		t.Errorf("K6: good ones: %d %s", a.status, a.body)
	}
}

func TestK7AClientThatLeavesEndsTheWaiting(t *testing.T) {
	t.Parallel()
	r, _ := retrying(t, "")
	r.up.Answer(inTurn(status(503, "Retry-After: 2"), status(200)))
	for _, body := range []string{"", "body"} {
		r.up.Forget()
		conn := harness.DialRaw(t, r.addr(), nil)
		conn.Send(fmt.Sprintf("PUT /proxy/x HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nProvider-Config-Key: acme\r\nConnection-Id: c\r\nRetries: 5\r\nContent-Length: %d\r\n\r\n%s", r.addr(), ops, len(body), body))
		r.up.WaitRequests(1, 10*time.Second)
		conn.Close()
	}
	// A call that begins after them waits as long, and so outlives their waits.
	r.up.Answer(func(got *harness.Request) harness.Answer {
		if got.Target == "/after" && len(sameTarget(r, "/after")) < 2 {
			return status(503, "Retry-After: 3")
		}
		return status(200)
	})
	if a := r.proxy("acme", "c", "GET", "/after", "", "Retries: 1"); a.status != 200 {
		t.Fatalf("answered %d %s", a.status, a.body)
	}
	if n := len(sameTarget(r, "/x")); n != 1 {
		t.Errorf("K7: %d hits of who had left, want the first of the second one alone", n)
	}
}

// sameTarget returns the requests that the upstream received for a target.
func sameTarget(r *rig, target string) []*harness.Request {
	return slices.DeleteFunc(r.up.Requests(), func(got *harness.Request) bool { return got.Target != target })
}

// A wait can be long, and what an operator forbids meanwhile is forbidden at once.
func TestNothingIsSentAgainThatWasForbiddenMeanwhile(t *testing.T) {
	r := newRig(t, settings{local: true})
	r.integration("acme", "")
	var forbid func()
	r.up.Answer(func(*harness.Request) harness.Answer {
		forbid()
		return harness.Text(http.StatusServiceUnavailable, "")
	})
	one := connectionPath("acme", "one")
	for _, c := range []struct {
		name   string
		forbid func()
		status int
		code   string
	}{
		{"disabled", func() { r.api(http.StatusOK, http.MethodPatch, one, `{"disabled": true}`) }, http.StatusForbidden, "disabled"},
		{"deleted", func() { r.api(http.StatusOK, http.MethodDelete, one, "") }, http.StatusNotFound, "unknown_connection"},
		{"led elsewhere", func() { r.api(http.StatusOK, http.MethodPatch, one, `{"connection_config": {"x": "y"}}`) }, http.StatusForbidden, "origin_changed"},
		{"the integration disabled", func() { r.api(http.StatusOK, http.MethodPost, "/integrations/acme/disable", "") }, http.StatusForbidden, "disabled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.connection("acme", "one", "key-of-one", `"connection_config": {}`)
			r.api(http.StatusOK, http.MethodPatch, one, `{"disabled": false}`)
			r.up.Forget()
			forbid = sync.OnceFunc(c.forbid)
			a := r.proxy("acme", "one", http.MethodGet, "/", "", "Retries: 3")
			if a.status != c.status || a.header.Get("Apikey-Inject-Error") != c.code || r.up.Hits() != 1 {
				t.Errorf("answered %d %s after %d hits, want %d %s after one", a.status, a.body, r.up.Hits(), c.status, c.code)
			}
		})
	}
}

func TestK8WhatIsStreamedIsNotSentAgain(t *testing.T) {
	t.Parallel()
	r, _ := retrying(t, "")
	head := func(line string) string {
		return "PUT /proxy/x HTTP/1.1\r\nHost: " + r.addr() + "\r\nAuthorization: Bearer " + ops + "\r\nProvider-Config-Key: acme\r\nConnection-Id: c\r\nRetries: 3\r\n" + line + "\r\n\r\n"
	}
	large := strings.Repeat("x", 64<<10+1)
	for name, request := range map[string]string{
		"chunks":                        head("Transfer-Encoding: chunked") + "4\r\nbody\r\n0\r\n\r\n",
		"more than the buffer may hold": head(fmt.Sprintf("Content-Length: %d", len(large))) + large,
	} {
		r.up.Answer(inTurn(status(503), status(200)))
		r.up.Forget()
		if a := harness.Exchange(t, r.addr(), nil, request); a.Status != 503 || r.up.Hits() != 1 {
			t.Errorf("K8 %s: answered %d after %d hits, want 503 after 1", name, a.Status, r.up.Hits())
		}
	}
	r.up.Answer(inTurn(status(503), status(200)))
	r.up.Forget()
	if a := harness.Exchange(t, r.addr(), nil, head("Content-Length: 65536")+large[1:]); a.Status != 200 || r.up.Hits() != 2 || len(r.up.Last().Body) != 65536 {
		t.Errorf("K8 what fits: answered %d after %d hits", a.Status, r.up.Hits())
	}
}

func TestK9NoneOfTheGatewaysHeadersReachesTheUpstream(t *testing.T) {
	t.Parallel()
	r, call := retrying(t, "")
	names := []string{
		"Retries", "Retry-On", "Decompress", "Forward-Headers-On-Redirect", "Nango-Is-Sync", "Nango-Is-Script", "Nango-Is-Dry-Run", "Nango-Activity-Log-Id",
		"Nango-Anything", "Provider-Config-Key", "Connection-Id", "Base-Url-Override",
	}
	lines := []string{
		"Retries: 1", "Retry-On: 418", "Decompress: true", "Forward-Headers-On-Redirect: true", "Nango-Is-Sync: false", "Nango-Is-Script: true",
		"Nango-Is-Dry-Run: true", "Nango-Activity-Log-Id: 7", "Nango-Anything: x", "Base-Url-Override: ", "X-Own: mine", "Nango-Proxy-X-Marked: marked",
	}
	r.up.Answer(inTurn(status(418), status(200)))
	if a := call("GET", "", lines...); a.status != 200 {
		t.Fatalf("answered %d %s", a.status, a.body)
	}
	if n := r.up.Hits(); n != 2 {
		t.Errorf("%d hits", n)
	}
	for _, got := range r.up.Requests() {
		for _, name := range names {
			if v := got.Values(name); len(v) != 0 {
				t.Errorf("K9: the upstream received %s: %q", name, v)
			}
		}
		if v := slices.Concat(got.Values("X-Own"), got.Values("X-Marked")); !slices.Equal(v, []string{"mine", "marked"}) || strings.Contains(got.String(), "Nango") || strings.Contains(got.String(), ops) {
			t.Errorf("K9: the upstream received %s", got)
		}
	}
}
