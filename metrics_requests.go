package apikeyinject

// This file holds the figures of proxied requests.

import "github.com/prometheus/client_golang/prometheus"

var (
	requestsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: figure + "requests_total",
		Help: "Requests by integration and outcome: injected, replayed, upstream_failed, or the code of the refusal.",
	}, []string{"integration", "outcome"})

	authFailuresTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: figure + "upstream_auth_failures_total",
		Help: "Answers by which an upstream refused a key, and what was done: replayed with a newer key, replayed with the former key, reread for the next request, or relayed.",
	}, []string{"integration", "action"})

	replaysTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: figure + "replays_total",
		Help: "Requests sent once more with another key, by what the upstream made of that: accepted, refused, or failed.",
	}, []string{"integration", "result"})
)

// What is done about a refused key.
const (
	actionReplayed = "replayed" // sent once more with a newer key
	actionFormer   = "former"   // sent once more with the key before, in a rotation
	actionReread   = "reread"   // a newer key is there, and this request could not be sent again
	actionRelayed  = "relayed"  // no other key is there; the caller got the refusal
)

// sent is what was done about a refused key by sending the request again.
func sent(isNewer bool) string {
	if isNewer {
		return actionReplayed
	}
	return actionFormer
}

// unsent is what was done where the request could not be sent again.
func unsent(isNewer bool) string {
	if isNewer {
		return actionReread
	}
	return actionRelayed
}

// What comes of a replay.
const (
	replayAccepted = "accepted"
	replayRefused  = "refused"
	replayFailed   = "failed"
)

// resultOf names what came of a replay.
func (ex *exchange) resultOf(a *answer) string {
	switch {
	case a.err != nil:
		return replayFailed
	case ex.refuses(a.res):
		return replayRefused
	}
	return replayAccepted
}

// counters are the counters of one integration, looked up once.
type counters struct {
	label        string
	injected     prometheus.Counter // of requests: what nearly all are
	requests     map[string]prometheus.Counter
	authFailures map[string]prometheus.Counter
	replays      map[string]prometheus.Counter
}

// newCounters makes the series of an integration, so that each begins at 0 and
// its first increase is seen as one.
func newCounters(label string) *counters {
	of := func(vec *prometheus.CounterVec, values ...string) map[string]prometheus.Counter {
		m := make(map[string]prometheus.Counter, len(values))
		for _, v := range values {
			m[v] = vec.WithLabelValues(label, v)
		}
		return m
	}
	c := &counters{
		label:        label,
		requests:     of(requestsTotal, outcomes...),
		authFailures: of(authFailuresTotal, actionReplayed, actionFormer, actionReread, actionRelayed),
		replays:      of(replaysTotal, replayAccepted, replayRefused, replayFailed),
	}
	c.injected = c.requests[outcomeInjected]
	return c
}

// count counts a request.
func (c *counters) count(outcome string) {
	if outcome == outcomeInjected {
		c.injected.Inc()
		return
	}
	if n, ok := c.requests[outcome]; ok {
		n.Inc()
	}
}

// refused counts a refused key by what was done about it.
func (c *counters) refused(action string) { c.authFailures[action].Inc() }

// replayed counts a replay by what came of it.
func (c *counters) replayed(result string) { c.replays[result].Inc() }
