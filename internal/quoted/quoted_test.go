package quoted_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/internal/egress"
	"github.com/apikeyinject/caddy-apikey-inject/internal/quoted"
)

const canary = `canary"7\ü`

func TestDropLeavesOutWhatAPeerSent(t *testing.T) {
	for name, answer := range map[string]string{
		"status line": canary + "\r\n\r\n",
		"status code": "HTTP/1.1 " + canary + "\r\n\r\n",
		"header":      "HTTP/1.1 200 OK\r\n" + canary + "\r\n\r\n",
		"length":      "HTTP/1.1 200 OK\r\nContent-Length: " + canary + "\r\n\r\n",
		"coding":      "HTTP/1.1 200 OK\r\nTransfer-Encoding: " + canary + "\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(answer)), nil)
			if err == nil {
				res.Body.Close()
				t.Fatal("the answer was accepted")
			}
			err = fmt.Errorf("transport connection broken: %w", err)
			if !strings.Contains(err.Error(), "canary") {
				t.Fatalf("without Drop: %v, which quotes nothing", err)
			}
			got := quoted.Drop(err)
			if strings.Contains(fmt.Sprintf("%v %+v %#v", got, got, got), "canary") {
				t.Errorf("got %#v", got)
			}
			if !strings.HasPrefix(got.Error(), "transport connection broken: ") {
				t.Errorf("got %v, which does not say what happened", got)
			}
		})
	}
	goAway := fmt.Errorf("http2: server sent GOAWAY and closed the connection; LastStreamID=1, ErrCode=NO_ERROR, debug=%q", canary)
	if got := quoted.Drop(goAway); strings.Contains(got.Error(), "canary") {
		t.Errorf("HTTP/2: got %v", got)
	}
}

func TestDropReturnsOtherErrorsAsTheyAre(t *testing.T) {
	for name, err := range map[string]error{
		"nothing":         nil,
		"end":             io.ErrUnexpectedEOF,
		"wrapped":         fmt.Errorf("reading: %w", io.ErrUnexpectedEOF),
		"dialling":        &net.OpError{Op: "dial", Err: errors.New(`unknown port "x"`)},
		"a certificate's": &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{Cert: &x509.Certificate{Raw: []byte(`"`)}}},
	} {
		if got := quoted.Drop(err); got != err { //nolint:errorlint // identity is what retries rely on
			t.Errorf("%s: got %v, want %v", name, got, err)
		}
	}
}

func TestBodyKeepsTrailersOutOfItsErrors(t *testing.T) {
	const answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
	read := func(trailer string) ([]byte, error) {
		res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(answer+trailer)), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		return io.ReadAll(quoted.Body{ReadCloser: res.Body})
	}
	if b, err := read("\r\n"); err != nil || string(b) != "x" {
		t.Errorf("a good answer: %q, %v", b, err)
	}
	b, err := read("no trailer but " + canary + "\r\n\r\n")
	if err == nil || strings.Contains(err.Error(), "canary") || !strings.Contains(err.Error(), "malformed MIME header") {
		t.Errorf("a broken trailer: %v", err)
	}
	if string(b) != "x" {
		t.Errorf("a broken trailer: the body is %q", b)
	}
}

// Nothing was sent by then, and the name is what an operator needs.
func TestDropKeepsWhatMayNotBeDialled(t *testing.T) {
	denied := fmt.Errorf("sending: %w", &egress.DeniedError{Host: "10.0.0.1", Why: "a private address"})
	if got := quoted.Drop(denied); got != denied { //nolint:errorlint // that very error
		t.Errorf("got %v", got)
	}
}
