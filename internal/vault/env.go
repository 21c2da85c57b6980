// The environment variables that every Vault client knows.

package vault

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

// WithEnv returns c with what it leaves empty filled from the VAULT_*
// variables, as vault/api names them. A malformed variable is an error only
// where it would be used, and the error names it without its value.
//
// VAULT_MAX_RETRIES, VAULT_WRAP_TTL and VAULT_MFA have no effect: retrying is
// the cache's, and a wrapped answer holds no key.
func (c Config) WithEnv(getenv func(string) string) (Config, error) {
	if len(c.Addresses) == 0 {
		for _, name := range []string{"VAULT_AGENT_ADDR", "VAULT_ADDR"} { // the order of vault/api
			if v := getenv(name); v != "" {
				c.Addresses = []string{v}
				break
			}
		}
	}
	if c.Auth.Method == "" {
		if v := strings.TrimSpace(getenv("VAULT_TOKEN")); v != "" {
			c.Auth.Method = MethodToken
			c.Auth.Token = secret.New(v)
		}
	}
	if c.Auth.Method == MethodToken && c.Auth.Token.Reveal() == "" {
		c.Auth.Token = secret.New(strings.TrimSpace(getenv("VAULT_TOKEN")))
	}
	fill(&c.Namespace, getenv("VAULT_NAMESPACE"))
	fill(&c.Proxy, getenv("VAULT_PROXY_ADDR"), getenv("VAULT_HTTP_PROXY"))
	c.TLSFiles.fromEnv(getenv)
	return c, errors.Join(
		c.boolEnv(&c.TLSFiles.SkipVerify, "VAULT_SKIP_VERIFY", getenv),
		c.boolEnv(&c.SRVLookup, "VAULT_SRV_LOOKUP", getenv),
		c.boolEnv(&c.DisableRedirects, "VAULT_DISABLE_REDIRECTS", getenv),
		c.timeoutEnv(getenv("VAULT_CLIENT_TIMEOUT")),
		c.rateEnv(getenv("VAULT_RATE_LIMIT")),
		c.headersEnv(getenv("VAULT_HEADERS")),
	)
}

// fill sets dst, when it is empty, to the first value that is not.
func fill(dst *string, values ...string) {
	for _, v := range values {
		if *dst == "" {
			*dst = v
		}
	}
}

func (f *TLSFiles) fromEnv(getenv func(string) string) {
	if f.CACert == "" && f.CACertBytes == "" && f.CAPath == "" { // one trust, not a mixture of two
		f.CACert = getenv("VAULT_CACERT")
		f.CACertBytes = getenv("VAULT_CACERT_BYTES")
		f.CAPath = getenv("VAULT_CAPATH")
	}
	if f.ClientCert == "" && f.ClientKey == "" {
		f.ClientCert = getenv("VAULT_CLIENT_CERT")
		f.ClientKey = getenv("VAULT_CLIENT_KEY")
	}
	fill(&f.ServerName, getenv("VAULT_TLS_SERVER_NAME"))
}

func (c *Config) boolEnv(dst *bool, name string, getenv func(string) string) error {
	v := getenv(name)
	if *dst || v == "" {
		return nil
	}
	b, err := strconv.ParseBool(v)
	if err != nil {
		return fmt.Errorf("%s: must be true or false", name)
	}
	*dst = b
	return nil
}

func (c *Config) timeoutEnv(v string) error {
	if c.RequestTimeout != 0 || v == "" {
		return nil
	}
	if n, err := strconv.ParseUint(v, 10, 31); err == nil { // a bare number is in seconds
		c.RequestTimeout = time.Duration(n) * time.Second
		return nil
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 {
		return errors.New("VAULT_CLIENT_TIMEOUT: must be seconds or a duration like 5s")
	}
	c.RequestTimeout = d
	return nil
}

func (c *Config) rateEnv(v string) error {
	if c.RateLimit != 0 || v == "" {
		return nil
	}
	rate, burst, two := strings.Cut(v, ":")
	r, err := strconv.ParseFloat(rate, 64)
	if err != nil || r <= 0 {
		return errors.New("VAULT_RATE_LIMIT: must be rate or rate:burst")
	}
	c.RateLimit, c.RateBurst = r, max(1, int(r))
	if !two {
		return nil
	}
	b, err := strconv.Atoi(burst)
	if err != nil || b <= 0 {
		return errors.New("VAULT_RATE_LIMIT: must be rate or rate:burst")
	}
	c.RateBurst = b
	return nil
}

func (c *Config) headersEnv(v string) error {
	if len(c.Headers) > 0 || v == "" {
		return nil
	}
	var m map[string]string
	if err := json.Unmarshal([]byte(v), &m); err != nil {
		return errors.New("VAULT_HEADERS: must be a JSON object of strings")
	}
	c.Headers = make(http.Header, len(m))
	for name, value := range m {
		c.Headers.Set(name, value)
	}
	return nil
}
