package apikeyinject

// This file holds tests of routes whose integration is chosen per request.

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// Whose connection_config fills a base URL in is known only when the request is
// there. It is the request that lacks something, not the key, and whoever sends
// many of them fills no log.
func TestARequestWithoutWhatTheBaseURLNeedsIsABadConnection(t *testing.T) {
	h := newHandler(t, `"acme": {"base_url": "https://${connectionConfig.sub}.example", "key_name": "X-Api-Key", "key": {"path": "k"}}`,
		`{"integration": "{http.request.header.I}", "allow": {"anyone": true}}`)
	core, logs := observer.New(zapcore.WarnLevel)
	h.logger = zap.New(core)
	u := h.stub()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("I", "acme")
	w := send(t, h, r)
	if w.Code != http.StatusBadRequest || w.Header().Get(errorHeader) != "bad_connection" || u.hits() != 0 {
		t.Errorf("got %d %v, %d hits", w.Code, w.Header(), u.hits())
	}
	if logs.Len() > 0 {
		t.Errorf("it is logged: %v", logs.All())
	}
}
