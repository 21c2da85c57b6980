// TLS material from files, read again when they change.

package vault

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"
)

// tlsPoll is how often the files are looked at.
const tlsPoll = time.Minute

func hasClientCert(t *tls.Config) bool {
	return t != nil && (len(t.Certificates) > 0 || t.GetClientCertificate != nil)
}

// build returns base, or a fresh configuration, completed by the files, and a
// hash of what was read.
func (f TLSFiles) build(base *tls.Config) (*tls.Config, [32]byte, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if base != nil {
		t = base.Clone()
	}
	if t.ServerName == "" {
		t.ServerName = f.ServerName
	}
	t.InsecureSkipVerify = t.InsecureSkipVerify || f.SkipVerify
	sum := sha256.New()
	if t.RootCAs == nil {
		pems, err := f.authorities()
		if err != nil {
			return nil, [32]byte{}, err
		}
		for _, p := range pems {
			if t.RootCAs == nil {
				t.RootCAs = x509.NewCertPool()
			}
			if !t.RootCAs.AppendCertsFromPEM(p.pem) {
				return nil, [32]byte{}, fmt.Errorf("reading %s: holds no certificate in PEM form", p.name)
			}
			_, _ = sum.Write(p.pem)
		}
	}
	if f.ClientCert != "" && !hasClientCert(t) {
		cert, key, err := readPair(f.ClientCert, f.ClientKey)
		if err != nil {
			return nil, [32]byte{}, err
		}
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return nil, [32]byte{}, fmt.Errorf("using the client certificate %s: %w", f.ClientCert, err)
		}
		// Not Certificates: a server that lists the authorities of other
		// clients would then be sent none.
		t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		_, _ = sum.Write(cert)
		_, _ = sum.Write(key)
	}
	return t, [32]byte(sum.Sum(nil)), nil
}

func readPair(certFile, keyFile string) (cert, key []byte, err error) {
	cert, err = os.ReadFile(certFile)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the client certificate: %w", err)
	}
	key, err = os.ReadFile(keyFile)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the client key: %w", err)
	}
	return cert, key, nil
}

type namedPEM struct {
	name string
	pem  []byte
}

func (f TLSFiles) authorities() ([]namedPEM, error) {
	var out []namedPEM
	if f.CACertBytes != "" {
		out = append(out, namedPEM{"the given authority", []byte(f.CACertBytes)})
	}
	var files []string
	if f.CACert != "" {
		files = append(files, f.CACert)
	}
	if f.CAPath != "" {
		entries, err := os.ReadDir(f.CAPath)
		if err != nil {
			return nil, fmt.Errorf("reading the authorities: %w", err)
		}
		for _, e := range entries {
			if !e.IsDir() {
				files = append(files, filepath.Join(f.CAPath, e.Name()))
			}
		}
		if len(entries) == 0 {
			return nil, errors.New("reading the authorities: the folder is empty")
		}
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("reading the authorities: %w", err)
		}
		out = append(out, namedPEM{name, b})
	}
	return out, nil
}

// fromFiles tells whether there is anything that may change on disk.
func (f TLSFiles) fromFiles() bool { return f.CACert != "" || f.CAPath != "" || f.ClientCert != "" }

// watchTLS makes new connections when the files of the old ones change. While
// TLS fails [Client.Healthy] looks at them too.
func (c *Client) watchTLS(ctx context.Context) {
	if !c.cfg.TLSFiles.fromFiles() {
		return
	}
	tick := time.NewTicker(tlsPoll)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			c.reloadTLS()
		case <-ctx.Done():
			return
		}
	}
}

func (c *Client) reloadTLS() {
	c.reload.Lock()
	defer c.reload.Unlock()
	wires, sum, err := c.cfg.wires()
	if err != nil { // half-written, most likely: the old one serves on
		if said := err.Error(); said != c.tlsSaid {
			c.tlsSaid = said
			c.log.Warn("reading changed TLS files", zap.Error(err))
		}
		return
	}
	c.tlsSaid = ""
	if sum == c.tlsSum {
		return
	}
	c.tlsSum = sum
	old := c.wires.Swap(&wires)
	for _, w := range *old {
		w.base.CloseIdleConnections()
	}
	c.log.Info("TLS files changed, connecting anew")
	c.session.retry()
}
