package apikeyinject

// This file holds the figures of what is asked behind requests: Vault and the
// catalog.

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	vaultRequestsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: figure + "vault_requests_total",
		Help: "Requests to Vault by operation and class of the answer.",
	}, []string{"op", "class"})

	vaultRequestSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    figure + "vault_request_seconds",
		Help:    "Time that requests to Vault took, by operation.",
		Buckets: waits,
	}, []string{"op"})

	vaultLoginsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: figure + "vault_logins_total",
		Help: "Logins to Vault by method and result: ok, refused, throttled, or failed.",
	}, []string{"method", "result"})

	catalogQueriesTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: figure + "catalog_queries_total",
		Help: "Questions to the catalog's database by operation, read or write, and result: ok, canceled, or failed.",
	}, []string{"op", "result"})

	catalogQuerySeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    figure + "catalog_query_seconds",
		Help:    "Time that questions to the catalog's database took, by operation.",
		Buckets: waits,
	}, []string{"op"})
)

// observeVault counts one request to Vault.
func observeVault(op, class string, took time.Duration) {
	vaultRequestsTotal.WithLabelValues(op, class).Inc()
	vaultRequestSeconds.WithLabelValues(op).Observe(took.Seconds())
}

// observeLogin counts one login to Vault.
func observeLogin(method, result string) { vaultLoginsTotal.WithLabelValues(method, result).Inc() }

// observeQuery counts one question to the catalog.
func observeQuery(op, result string, took time.Duration) {
	catalogQueriesTotal.WithLabelValues(op, result).Inc()
	catalogQuerySeconds.WithLabelValues(op).Observe(took.Seconds())
}
