package apikeyinject

// This file holds the gateway: a route where headers name the integration and
// the connection, as Nango's clients send them.

import (
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/apikeyinject/caddy-apikey-inject/internal/api"
	"github.com/apikeyinject/caddy-apikey-inject/internal/inject"
)

const (
	// proxyPath is where the gateway is, below the API.
	proxyPath = "/proxy"

	// maxRetries bounds what a caller may ask for.
	maxRetries = 10

	headerIntegration = "Provider-Config-Key"
	headerConnection  = "Connection-Id"
	headerRetries     = "Retries"
	headerRetryOn     = "Retry-On"
	headerOverride    = "Base-Url-Override"

	// nangoPrefix begins the names of headers that are for a Nango server, and
	// forwardPrefix of those that are forwarded without it.
	nangoPrefix   = "Nango-"
	forwardPrefix = "Nango-Proxy-"
)

// gatewayOwn are headers of callers that only the gateway reads.
var gatewayOwn = []string{
	headerRetries, headerRetryOn, headerOverride, "Decompress", "Forward-Headers-On-Redirect",
	"Authorization", // holds the API token
}

// call is what the gateway knows of a request beside the request itself.
type call struct {
	token      string // name of the API token
	connection string
	asked      bool // for a connection: its key, or none

	override *inject.Base // where to, instead of the integration's base URL

	retries int   // at most, after the first attempt
	retryOn []int // statuses beside 429 and 5xx
	policy  *retryPolicy

	// stands tells whether what was decided at first still holds after a wait.
	stands func(*exchange) *failure
}

// tokenName returns the name of the token that calls; empty on a route.
func (c *call) tokenName() string {
	if c == nil {
		return ""
	}
	return c.token
}

// errUnknownProviderConfig is errUnknownIntegration in the words of Nango's
// clients.
var errUnknownProviderConfig = &failure{
	code: errUnknownIntegration.code, said: "unknown_provider_config", status: http.StatusNotFound,
	message: "there is no such integration",
}

func badHeader(name, message string) *failure {
	return &failure{code: "bad_header", status: http.StatusBadRequest, message: name + " " + message}
}

// gateway answers below /proxy/.
type gateway struct {
	*Handler
	tokens    *api.Tokens
	overrides map[string][]string // hosts, by unique key
	policy    *retryPolicy
}

// ServeHTTP takes a request to the integration and connection its headers name.
func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	token, refusal := g.tokens.Authenticate(r)
	if refusal != nil {
		// An upstream may answer 401 as well: this one is ours.
		w.Header().Set(errorHeader, refusal.Code)
		w.Header().Set("Cache-Control", "no-store")
		refusal.Write(w)
		return nil
	}
	repl.Set("http.apikey_inject.token", token.Name)
	t, c, fail := g.read(r, token)
	if fail != nil {
		return g.refuse(w, r, t, repl, fail)
	}
	return g.serve(w, r, next, t, repl, c)
}

// read finds out what a request asks for.
func (g *gateway) read(r *http.Request, token *api.Token) (*target, *call, *failure) {
	key := r.Header.Get(headerIntegration)
	ids := r.Header.Values(headerConnection)
	switch {
	case !token.Allows(api.ScopeProxy), key != "" && !token.AllowsIntegration(key):
		return g.app.nobody, nil, errForbidden
	case key == "" || len(r.Header.Values(headerIntegration)) > 1:
		return g.app.nobody, nil, badHeader(headerIntegration, "must be there, once: it names the integration")
	case len(ids) > 1:
		return g.app.nobody, nil, badHeader(headerConnection, "must be there once at most")
	}
	t, fail := g.targetOf(key)
	if fail == errUnknownIntegration {
		fail = errUnknownProviderConfig
	}
	if fail != nil {
		return t, nil, fail
	}
	c := &call{token: token.Name, policy: g.policy}
	if len(ids) == 1 {
		c.asked, c.connection = true, ids[0]
	}
	if !token.AllowsConnection(key, c.connection) {
		return t, nil, errForbidden
	}
	if fail = c.readRetries(r.Header); fail == nil {
		fail = c.readOverride(r.Header, g.overrides[key])
	}
	if c.retries > 0 {
		c.stands = func(ex *exchange) *failure { return g.stands(key, ex) }
	}
	return t, c, fail
}

// stands refuses to send a request again for an integration or connection that
// was disabled, deleted or led elsewhere while it waited: that takes effect at
// once, and a wait can be a minute.
func (g *gateway) stands(key string, ex *exchange) *failure {
	t, fail := g.targetOf(key)
	switch {
	case fail != nil:
		return fail
	case t.integration.Disabled:
		return errDisabled
	case t.origin != ex.target.origin:
		return errOriginChanged
	case ex.customer == nil:
		return nil
	}
	c, fail := g.customer(ex.Context, t, ex.customer.conn.ID)
	switch {
	case fail != nil:
		return fail
	case !ex.customer.leadsThere(&c.conn.Connection):
		return errOriginChanged
	}
	return nil
}

// readRetries reads how often a request may be sent again, and for what.
func (c *call) readRetries(h http.Header) *failure {
	if v, ok := h[headerRetries]; ok {
		n, err := strconv.ParseUint(v[0], 10, 8)
		if err != nil || n > maxRetries || len(v) > 1 {
			return badHeader(headerRetries, "must be an integer from 0 to 10")
		}
		c.retries = int(n)
	}
	for _, line := range h[headerRetryOn] {
		for s := range strings.SplitSeq(line, ",") {
			if s = textproto.TrimString(s); s == "" {
				continue
			}
			n, err := strconv.ParseUint(s, 10, 16)
			if err != nil || n < 400 || n > 599 {
				return badHeader(headerRetryOn, "must be statuses from 400 to 599, parted by commas")
			}
			c.retryOn = append(c.retryOn, int(n))
		}
	}
	return nil
}

// readOverride reads the base URL that replaces the integration's, if the
// operator lists its host.
func (c *call) readOverride(h http.Header, hosts []string) *failure {
	v := h.Get(headerOverride)
	if v == "" && len(h[headerOverride]) <= 1 {
		return nil
	}
	base, err := inject.ParseBase(v)
	if err != nil || len(h[headerOverride]) > 1 {
		return badHeader(headerOverride, "must be one base URL")
	}
	u, err := url.Parse(base.String())
	if err != nil || !slices.Contains(hosts, u.Host) && (u.Port() != "" || !slices.Contains(hosts, u.Hostname())) {
		return &failure{code: "forbidden", status: http.StatusForbidden, message: "the operator does not list this host for " + headerOverride}
	}
	c.override = base
	return nil
}

// forward adds the headers that the caller marked to be forwarded. Where the
// name was there already the marked one wins. What cannot be the name of a key,
// such as Host and the names that belong to a connection, is no header to mark.
func (c *call) forward(t *target, from, to http.Header) {
	for name, values := range from {
		rest, ok := strings.CutPrefix(name, forwardPrefix)
		if !ok || inject.CheckName(inject.Header, rest) != nil {
			continue
		}
		rest = textproto.CanonicalMIMEHeaderKey(rest)
		if rest == "Authorization" || rest == "Cookie" || !t.leavesOut(rest) { // said expressly, unlike those of the request
			to[rest] = values
		}
	}
}
