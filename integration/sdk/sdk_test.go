package sdk

import (
	"encoding/json"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

func TestTheUnmodifiedSDKDrivesCaddy(t *testing.T) {
	t.Parallel()
	for name, start := range stands {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			curled := s.curl()
			s.do("DELETE", "/integrations/acme-internal")
			printed := s.drive()
			steps, order := read(t, printed)

			t.Run("every step ends as it should", func(t *testing.T) { endsAsItShould(t, steps, order) })
			t.Run("it gets what it asks for", func(t *testing.T) { getsWhatItAsksFor(t, s, steps) })
			t.Run("it is refused what it may not have", func(t *testing.T) { isRefused(t, steps) })
			t.Run("the page's curl does the same", func(t *testing.T) { doTheSame(t, curled, steps["createIntegration"]) })
			t.Run("the upstream sees the right key each time", func(t *testing.T) { upstreamSees(t, s.up.Requests()) })
			t.Run("no answer holds a key", func(t *testing.T) { noAnswerHolds(t, s.tap.exchanges(), printed) })
			t.Run("the document knows each exchange", func(t *testing.T) {
				looked := checkDocument(t, s.do("GET", "/openapi.json"), s.tap.exchanges())
				if want := len(order) / 2; looked < want {
					t.Errorf("only %d exchanges were looked at, want more than %d", looked, want)
				}
			})
		})
	}
}

// endsAsItShould finds steps that were refused and should not have been, the
// other way round, and those of which no table says anything.
func endsAsItShould(t *testing.T, steps map[string]*step, order []string) {
	for _, name := range order {
		s := steps[name]
		expectsRefusal := slices.ContainsFunc(refused, func(e expectedRefusal) bool { return e.step == name })
		switch {
		case s.Refused != nil && !expectsRefusal:
			t.Errorf("%s: refused: %+v", name, *s.Refused)
		case s.Refused == nil && expectsRefusal:
			t.Errorf("%s: got %v, and should have been refused", name, s.Got)
		case !expectsRefusal && !slices.ContainsFunc(given, func(e [3]string) bool { return e[0] == name }):
			t.Errorf("%s: nothing is expected of it", name)
		}
	}
}

func getsWhatItAsksFor(t *testing.T, s *stand, steps map[string]*step) {
	for _, e := range given {
		name, path, want := e[0], e[1], strings.ReplaceAll(e[2], "UPSTREAM", s.up.URL())
		if steps[name] == nil {
			t.Errorf("%s: there is no such step", name)
		} else if got := at(steps[name].Got, path); got != want {
			t.Errorf("%s: %s is %s, want %s", name, path, got, want)
		}
	}
	id := at(steps["import, no id"].Got, "data.connection_id")
	if !regexp.MustCompile(`^"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"$`).MatchString(id) {
		t.Errorf("the id that was made is %s, want a UUID of version 4", id)
	}
	one, other := at(steps["getToken"].Got, "fingerprint"), at(steps["getConnection, rotated"].Got, "credentials.fingerprint")
	if one == other || len(one) < 16 {
		t.Errorf("the fingerprints of two keys are %s and %s", one, other)
	}
}

func isRefused(t *testing.T, steps map[string]*step) {
	for _, e := range refused {
		if steps[e.step] == nil || steps[e.step].Refused == nil {
			t.Errorf("%s: it was not refused", e.step)
			continue
		}
		r := steps[e.step].Refused
		if code := at(r.Data, "error.code"); r.Status != e.status || e.code != "" && code != `"`+e.code+`"` {
			t.Errorf("%s: %d %v, want %d %s", e.step, r.Status, r.Data, e.status, e.code)
		}
		if got := r.faults(); !slices.Equal(got, e.faults) {
			t.Errorf("%s: wrong are %q, want %q", e.step, got, e.faults)
		}
		if e.code != "" && r.Headers["cache-control"] != "no-store" {
			t.Errorf("%s: the answer may be cached: %v", e.step, r.Headers)
		}
		if want := ownWord(e); r.Headers["apikey-inject-error"] != want {
			t.Errorf("%s: Apikey-Inject-Error is %q, want %q", e.step, r.Headers["apikey-inject-error"], want)
		}
		if e.step == "refused by the upstream" && at(r.Data, "error") != `"no such user"` {
			t.Errorf("the upstream's own error came through as %v", r.Data)
		}
	}
}

// ownWord returns what tells a caller of the gateway that a refusal is Caddy's
// and not the upstream's.
func ownWord(e expectedRefusal) string {
	viaGateway := slices.Contains([]string{"ill-formed connection", "retry, too often", "override, unlisted", "call, deleted"}, e.step) ||
		strings.HasSuffix(e.step, ", gateway")
	switch {
	case !viaGateway:
		return ""
	case e.code == "unknown_provider_config": // Nango's word, in the body only
		return "unknown_integration"
	}
	return e.code
}

// doTheSame compares two answers but for their times.
func doTheSame(t *testing.T, curled []byte, sdk *step) {
	var one map[string]any
	if err := json.Unmarshal(curled, &one); err != nil {
		t.Fatalf("%v: %s", err, curled)
	}
	other, _ := sdk.Got.(map[string]any)
	for _, answer := range []map[string]any{one, other} {
		data, _ := answer["data"].(map[string]any)
		delete(data, "created_at")
		delete(data, "updated_at")
	}
	if !reflect.DeepEqual(one, other) {
		t.Errorf("curl got %v, the SDK %v", one, other)
	}
}

// line writes what an upstream received: the request line, where the key goes,
// the type of the body, the body.
func line(r *harness.Request) string {
	cells := []string{
		r.Method + " " + r.Target,
		strings.Join(slices.Concat(r.Values("Authorization"), r.Lines("X-Api-Key")), ", "),
		strings.Join(r.Values("Content-Type"), ", "),
		string(r.Body),
	}
	text := strings.ReplaceAll(strings.Join(cells, " | "), "|  |", "| |")
	for name, key := range keys {
		text = strings.ReplaceAll(text, key, "KEY:"+name)
		text = strings.ReplaceAll(text, url.QueryEscape(key), "QUERY:"+name)
	}
	return strings.TrimSuffix(text, " ")
}

func upstreamSees(t *testing.T, requests []*harness.Request) {
	for n, r := range requests {
		got, want := line(r), "nothing more"
		if n < len(received) {
			want = received[n]
		}
		if got != want {
			t.Errorf("request %d:\n got %s\nwant %s", n+1, got, want)
		}
		if strings.Contains(r.String(), token) {
			t.Errorf("%s: the upstream got the API token", got)
		}
		for _, f := range r.Fields {
			if own := strings.ToLower(f.Name); strings.HasPrefix(own, "nango-") || slices.Contains(gatewayHeaders, own) {
				t.Errorf("%s: the upstream got %s: %s", got, f.Name, f.Value)
			}
		}
	}
	if len(requests) < len(received) {
		t.Fatalf("the upstream got %d requests, want %d", len(requests), len(received))
	}
	if v := requests[0].Values("X-Caller"); !slices.Equal(v, []string{"one"}) {
		t.Errorf("the header that the caller added is %q", v)
	}
}

// gatewayHeaders are the SDK's, and not the upstream's business.
var gatewayHeaders = []string{
	"provider-config-key", "connection-id", "base-url-override", "retries", "retry-on", "decompress", "forward-headers-on-redirect",
}

func noAnswerHolds(t *testing.T, kept []*exchange, printed []byte) {
	for name, key := range keys {
		sent := false
		for _, e := range kept {
			sent = sent || holds(e.req.Header, e.sent, key)
			if e.answerHolds(key) {
				t.Errorf("%s: the answer holds the key %s: %s", e, name, e.got)
			}
		}
		if !sent { // the search would find it
			t.Errorf("the key %s was never entered", name)
		}
		if holds(nil, printed, key) {
			t.Errorf("the SDK showed the key %s to its caller", name)
		}
	}
}
