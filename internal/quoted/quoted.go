// Package quoted keeps what a peer sent out of error texts. Go's HTTP and TLS
// code quotes the bytes of an answer that it cannot read, and an upstream or a
// store that complains about a key or a token likes to send it back.
package quoted

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/apikeyinject/caddy-apikey-inject/internal/egress"
)

// notShown stands where the quotation was.
const notShown = "(what it sent is not shown)"

// Drop returns err without what a peer sent: all from the first quotation mark
// on is left out, since a quotation may hold a part of a secret, escaped in any
// way. Errors without a quotation come back as they are, and so do those of
// dialling, what may not be dialled included, and of certificates: nothing has
// been sent to the peer by then.
func Drop(err error) error {
	if err == nil {
		return nil
	}
	said, _, quotes := strings.Cut(err.Error(), `"`)
	if !quotes {
		return err
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && (op.Op == "dial" || op.Op == "proxyconnect") {
		return err
	}
	if _, ok := errors.AsType[*egress.DeniedError](err); ok {
		return err
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return err
	}
	return errors.New(strings.TrimRight(said, " :=") + " " + notShown)
}

// Body is the body of an answer whose errors may quote it: those of a trailer
// do.
type Body struct{ io.ReadCloser }

// Read reads from the body. Its errors went through [Drop].
func (b Body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == nil || err == io.EOF {
		return n, err
	}
	return n, Drop(err)
}

// Close closes the body. Its error went through [Drop].
func (b Body) Close() error { return Drop(b.ReadCloser.Close()) }
