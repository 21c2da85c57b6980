// Certificates for tests.

package harness

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// CA is a certificate authority that lives as long as a test.
type CA struct {
	// File holds the CA's certificate as PEM.
	File string

	// Pool holds the CA and nothing else.
	Pool *x509.CertPool

	t    testing.TB
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Cert is a certificate with its key, in memory and in files.
type Cert struct {
	TLS               tls.Certificate
	CertFile, KeyFile string
}

// NewCA makes an authority whose files are in a folder of the test.
func NewCA(t testing.TB) *CA {
	t.Helper()
	ca := &CA{t: t, dir: t.TempDir(), Pool: x509.NewCertPool()}
	tmpl := template(pkix.Name{CommonName: "harness CA"})
	tmpl.IsCA, tmpl.BasicConstraintsValid, tmpl.KeyUsage = true, true, x509.KeyUsageCertSign
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca.key, ca.cert = key, tmpl
	c := ca.issue("ca", tmpl, key)
	ca.cert, err = x509.ParseCertificate(c.TLS.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	ca.File = c.CertFile
	ca.Pool.AddCert(ca.cert)
	return ca
}

// Server issues a certificate for 127.0.0.1, localhost, and names.
func (ca *CA) Server(names ...string) Cert {
	ca.t.Helper()
	tmpl := template(pkix.Name{CommonName: "harness server"})
	tmpl.DNSNames = append([]string{"localhost"}, names...)
	tmpl.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	tmpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	return ca.leaf("server", tmpl)
}

// Client issues a client certificate with that subject.
func (ca *CA) Client(subject pkix.Name) Cert {
	ca.t.Helper()
	tmpl := template(subject)
	tmpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return ca.leaf("client", tmpl)
}

// SelfSigned makes a client certificate with that subject that no authority
// stands behind.
func (ca *CA) SelfSigned(subject pkix.Name) Cert {
	ca.t.Helper()
	own := NewCA(ca.t)
	tmpl := template(subject)
	tmpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	own.cert = tmpl
	return own.issue("self-signed", tmpl, own.key)
}

// ServerTLS returns a configuration for an upstream with a new certificate of
// this authority.
func (ca *CA) ServerTLS(names ...string) *tls.Config {
	ca.t.Helper()
	return &tls.Config{Certificates: []tls.Certificate{ca.Server(names...).TLS}, MinVersion: tls.VersionTLS12}
}

// ClientTLS returns a configuration that trusts this authority and shows certs.
func (ca *CA) ClientTLS(certs ...Cert) *tls.Config {
	conf := &tls.Config{RootCAs: ca.Pool, MinVersion: tls.VersionTLS12}
	for _, c := range certs {
		conf.Certificates = append(conf.Certificates, c.TLS)
	}
	return conf
}

func template(subject pkix.Name) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      subject,
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
}

func (ca *CA) leaf(kind string, tmpl *x509.Certificate) Cert {
	ca.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		ca.t.Fatal(err)
	}
	return ca.issue(kind, tmpl, key)
}

// issue signs tmpl for key and writes both to files.
func (ca *CA) issue(kind string, tmpl *x509.Certificate, key *ecdsa.PrivateKey) Cert {
	ca.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, tmpl, ca.cert, &key.PublicKey, ca.key)
	if err != nil {
		ca.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		ca.t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	base := filepath.Join(ca.dir, kind+"-"+tmpl.SerialNumber.Text(36))
	c := Cert{CertFile: base + ".pem", KeyFile: base + ".key"}
	if err := os.WriteFile(c.CertFile, certPEM, 0o600); err != nil {
		ca.t.Fatal(err)
	}
	if err := os.WriteFile(c.KeyFile, keyPEM, 0o600); err != nil {
		ca.t.Fatal(err)
	}
	if c.TLS, err = tls.X509KeyPair(certPEM, keyPEM); err != nil {
		ca.t.Fatal(err)
	}
	return c
}
