// What is said of TLS that fails: once, loudly, with what mends it.

package vault

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"sync/atomic"

	"go.uber.org/zap"
)

// handshake remembers whether TLS with one address fails. An outage passes by
// itself and this does not, so it has a line of its own in the log; one line,
// however often the address is asked until somebody has mended it.
type handshake struct {
	addr   string
	log    *zap.Logger
	failed atomic.Bool
}

// note takes the outcome of a call. An error that says nothing about TLS
// changes nothing.
func (h *handshake) note(err error) {
	if err == nil {
		if h.failed.Load() && h.failed.Swap(false) {
			h.log.Info("TLS with Vault works again", zap.String("address", h.addr))
		}
		return
	}
	hint := tlsHint(err)
	if hint == "" || h.failed.Swap(true) {
		return
	}
	fields := []zap.Field{zap.String("address", h.addr), zap.Error(transportError(err)), zap.String("hint", hint)}
	if v, ok := errors.AsType[*tls.CertificateVerificationError](err); ok && len(v.UnverifiedCertificates) > 0 {
		c := v.UnverifiedCertificates[0]
		fields = append(fields, zap.Strings("names", sanNames(c)), zap.Stringer("issuer", c.Issuer), zap.Time("not_after", c.NotAfter))
	}
	h.log.Error("TLS with Vault fails; keys already held stay in use", fields...)
}

// tlsHint says what mends err. Empty: TLS is not what fails.
func tlsHint(err error) string {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "an authority that is not trusted signed Vault's certificate; tls_trust_pool (or VAULT_CACERT) must hold that one"
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "Vault's certificate is for other names; the address, or tls_server_name, must be one of them"
	}
	if c, ok := errors.AsType[x509.CertificateInvalidError](err); ok && c.Reason == x509.Expired {
		return "Vault's certificate has ended or not begun yet; it must be renewed, or a clock be set"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "Vault's certificate cannot be verified"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || errors.Is(err, http.ErrSchemeMismatch) {
		return "what answers at this address does not speak TLS; is it http://, or another port?"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		return "Vault broke the handshake off; where it asks for a client certificate, tls_client_auth must give one that it accepts"
	}
	return ""
}

// sanNames are the names that a certificate is for.
func sanNames(c *x509.Certificate) []string {
	names := c.DNSNames
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	const most = 8
	return names[:min(len(names), most)]
}

// distrusts tells whether TLS with any address failed last.
func (c *Client) distrusts() bool {
	for _, w := range *c.wires.Load() {
		if w.tls.failed.Load() {
			return true
		}
	}
	return false
}
