package apikeyinject

// This file holds tests of routes whose integration is chosen per request.

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/directory"
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

// slowCatalog is one whose only integration is not read before loaded is closed.
type slowCatalog struct {
	directory.Catalog

	loaded chan struct{}
}

func (*slowCatalog) LastChange(context.Context) (int64, error) { return 0, nil }

func (*slowCatalog) Watch(ctx context.Context, _ int64, _ func([]catalog.Change) error) error {
	<-ctx.Done()
	return ctx.Err()
}

func (c *slowCatalog) Integrations(ctx context.Context) ([]*catalog.Integration, error) {
	select {
	case <-c.loaded:
		return []*catalog.Integration{{
			UniqueKey: "acme", BaseURL: "https://api.example/v1", KeyPlacement: "header", KeyName: "X-Api-Key", ValueTemplate: "${apiKey}", Revision: 1,
		}}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func TestAnIntegrationIsNotUnknownBeforeAnyIsLoaded(t *testing.T) {
	slow := &slowCatalog{loaded: make(chan struct{})}
	g, _ := newGateway(t, slow)
	if _, fail := g.targetOf("acme"); fail == nil || fail.status != http.StatusServiceUnavailable || fail.retryAfter == 0 {
		t.Errorf("while they are loaded: %+v", fail)
	}
	go func() {
		<-time.After(100 * time.Millisecond)
		close(slow.loaded)
	}()
	if _, fail := g.targetOf("acme"); fail != nil {
		t.Errorf("when they are loaded meanwhile: %v", fail)
	}
	if _, fail := g.targetOf("other"); fail != errUnknownIntegration {
		t.Errorf("one that there is not: %v", fail)
	}
}
