package apikeyinject

// This file holds the figures of the management API, of connect sessions, and of
// what is sent out beside requests.

import (
	"errors"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/apikeyinject/caddy-apikey-inject/internal/alert"
	"github.com/apikeyinject/caddy-apikey-inject/internal/api"
	"github.com/apikeyinject/caddy-apikey-inject/internal/session"
	"github.com/apikeyinject/caddy-apikey-inject/internal/webhook"
)

var (
	apiRequestsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: figure + "api_requests_total",
		Help: "Requests to the management API by operation and class of the status.",
	}, []string{"operation", "class"})

	sessionsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: figure + "connect_sessions_total",
		Help: "Connect sessions by what became of them: made, used, freed after a key was not taken, expired, or refused.",
	}, []string{"event"})

	verificationsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: figure + "verifications_total",
		Help: "Keys tried at their upstream, by integration and result.",
	}, []string{"integration", "result"})

	webhooksTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: figure + "webhooks_total",
		Help: "Attempts to deliver webhooks by result.",
	}, []string{"result"})

	alertsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: figure + "alerts_total",
		Help: "Messages sent to a chat by result.",
	}, []string{"result"})
)

// What is counted seldom begins at 0, so that the first time is seen as one.
func init() {
	for _, result := range []string{webhook.ResultDelivered, webhook.ResultFailed, webhook.ResultGivenUp} {
		webhooksTotal.WithLabelValues(result)
	}
	for _, result := range []string{alert.ResultDelivered, alert.ResultFailed} {
		alertsTotal.WithLabelValues(result)
	}
	for _, event := range []string{"made", "used", "freed", "expired", "refused"} {
		sessionsTotal.WithLabelValues(event)
	}
}

// observeAPI counts one request to the management API.
func observeAPI(operation string, status int) {
	apiRequestsTotal.WithLabelValues(operation, strconv.Itoa(status/100)+"xx").Inc()
}

// countSession counts what became of a connect session. An error that says
// nothing of the session counts nothing.
func countSession(event string, err error) {
	switch {
	case errors.Is(err, session.ErrExpired):
		event = "expired"
	case errors.Is(err, session.ErrUnknown), errors.Is(err, session.ErrUsed), errors.Is(err, session.ErrBlocked):
		event = "refused"
	case err != nil:
		return
	}
	if event != "" {
		sessionsTotal.WithLabelValues(event).Inc()
	}
}

// verdictResults are what trials of keys are counted by.
var verdictResults = map[api.Verdict]string{api.Taken: "ok", api.Refused: "refused", api.NoVerdict: "unknown", api.Forbidden: "denied"}

// countVerification counts a key that was tried at its upstream.
func countVerification(integration string, v api.Verdict) {
	verificationsTotal.WithLabelValues(labelOf(integration), verdictResults[v]).Inc()
}

// countWebhook counts an attempt to deliver a webhook.
func countWebhook(result string) { webhooksTotal.WithLabelValues(result).Inc() }

// countAlert counts a message to a chat.
func countAlert(result string) { alertsTotal.WithLabelValues(result).Inc() }
