// What makes two configurations see the same secrets.

package vault

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strconv"
)

// Identity returns a hash of what decides which secrets are seen: addresses,
// namespace, mount, TLS identity, and who logs in. What merely proves who we are
// (secret_id, password, JWT) is not part of it: [Client.Adopt] replaces that. Nor
// are timeouts and limits, which come from the environment and stay as they are
// for as long as the process runs. Nothing can be read back from it.
//
// Two configurations with a Caddy-built TLS whose trust is made in code count
// as the same only when their subjects are.
func (c Config) Identity() string {
	c = c.withDefaults()
	h := sha256.New()
	addrs := slices.Clone(c.Addresses)
	slices.Sort(addrs) // their order matters for failover only
	put(h, addrs...)
	put(h, "namespace", c.Namespace, "mount", c.Mount, "proxy", c.Proxy)
	f := c.TLSFiles
	put(h, "tls", f.CACert, f.CACertBytes, f.CAPath, f.ClientCert, f.ClientKey, f.ServerName, strconv.FormatBool(f.SkipVerify))
	putTLS(h, c.TLS)
	a := c.Auth
	put(h, "auth", a.Method, a.Namespace, a.Mount, a.Role, a.Name, a.Username, a.RoleID.Reveal(), a.Token.Reveal(),
		a.TokenFile, a.SecretIDFile, a.JWTFile, a.PasswordFile, strconv.FormatBool(a.Wrapped))
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		put(h, append([]string{"header", name}, c.Headers[name]...)...)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// put writes each part with its length, so that no two lists of parts give the
// same bytes.
func put(h hash.Hash, parts ...string) {
	for _, p := range parts {
		_, _ = fmt.Fprintf(h, "%d:%s", len(p), p)
	}
}

func putTLS(h hash.Hash, t *tls.Config) {
	if t == nil {
		return
	}
	put(h, "tls.Config", t.ServerName, strconv.FormatBool(t.InsecureSkipVerify))
	if t.RootCAs != nil {
		subjects := t.RootCAs.Subjects() //nolint:staticcheck // deprecated for system pools only; this one was built from files
		slices.SortFunc(subjects, bytes.Compare)
		for _, s := range subjects {
			put(h, string(s))
		}
	}
	for _, cert := range t.Certificates {
		for _, der := range cert.Certificate {
			put(h, string(der))
		}
	}
}
