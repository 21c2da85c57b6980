package apikeyinject

// This file holds what is looked at before a connection to an upstream is used:
// the address that was really dialled, so that no name can stand for another
// one than it showed.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/apikeyinject/caddy-apikey-inject/internal/egress"
)

// guard says what is looked at.
type guard int

const (
	guardClear   guard = iota // keys in clear go to near addresses only
	guardEgress               // that, and connections go only where egress lets them
	guardNothing              // the operator said so: insecure_http
)

// guardOf returns the guard of an integration of the Caddy configuration. Where
// connections fill in its base URL it is not the operator's word alone.
func guardOf(i *Integration, p *plan) guard {
	switch {
	case p.base.Fixed() == nil:
		return guardEgress
	case i.InsecureHTTP:
		return guardNothing
	}
	return guardClear
}

// loadBase loads a base transport that no module configures.
func (a *App) loadBase(ctx caddy.Context, o object, g guard) (http.RoundTripper, error) {
	raw, err := baseDefaults(o.raw())
	if err != nil {
		return nil, err
	}
	o, err = parseObject(raw)
	if err != nil {
		return nil, err
	}
	delete(o, "protocol")
	mod, err := ctx.LoadModuleByID("http.reverse_proxy.transport.http", o.raw())
	if err != nil {
		return nil, fmt.Errorf("loading a base transport: %w", err)
	}
	base := mod.(*reverseproxy.HTTPTransport)
	switch g {
	case guardEgress:
		return base, a.guardEgress(base, raw)
	case guardClear:
		refuseClear(base.Transport)
	case guardNothing:
	}
	return base, nil
}

// guardEgress makes a base transport connect to nothing that this
// configuration's egress policy denies, and send no key in clear.
func (a *App) guardEgress(base *reverseproxy.HTTPTransport, raw json.RawMessage) error {
	if err := checkGuarded(raw); err != nil {
		return err
	}
	dialAllowed(base.Transport, time.Duration(base.DialTimeout), a.egress, a.logger)
	refuseClear(base.Transport)
	return nil
}

// dialAllowed makes t connect to nothing that the policy denies. The dialer is
// ours: Caddy's says no word between the resolving of a name and the dialling.
func dialAllowed(t *http.Transport, timeout time.Duration, policy *egress.Policy, logger *zap.Logger) {
	dial := policy.DialContext(&net.Dialer{Timeout: timeout})
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if denied, ok := errors.AsType[*egress.DeniedError](err); ok {
			logger.Warn("an upstream's address is not allowed", zap.Error(denied))
			return nil, errEgress.handlerError()
		}
		if err != nil {
			return nil, reverseproxy.NewDialError(err)
		}
		return conn, nil
	}
	t.DialTLSContext = nil
	t.Proxy = nil
}

// refuseClear closes connections to public addresses on which a key would go
// without TLS, before anything is sent on them.
func refuseClear(t *http.Transport) {
	dial := t.DialContext
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if ex, ok := ctx.Value(exchangeKey{}).(*exchange); ok && ex.ren.base.Scheme == "https" {
			return conn, nil
		}
		if !nearby(conn.RemoteAddr()) {
			_ = conn.Close()
			return nil, errEgress.handlerError()
		}
		return conn, nil
	}
}

// nearby tells whether plaintext to this address stays on this machine or in
// a private network.
func nearby(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return true // a unix socket
	}
	ip, ok := netip.AddrFromSlice(tcp.IP)
	ip = ip.Unmap()
	return ok && (ip.IsLoopback() || ip.IsPrivate())
}
