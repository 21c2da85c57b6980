package apikeyinject

// This file holds what is looked at before a connection to an upstream is used:
// the address that was really dialled, so that no name can stand for another
// one than it showed.

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/apikeyinject/caddy-apikey-inject/internal/egress"
)

// guardEgress makes t connect to nothing that the policy denies. The dialer is
// ours: Caddy's says no word between the resolving of a name and the dialling.
func guardEgress(t *http.Transport, timeout time.Duration, policy *egress.Policy, logger *zap.Logger) {
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

// guardPlaintext closes connections to public addresses on which a key would go
// without TLS, before anything is sent on them.
func guardPlaintext(t *http.Transport) {
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
