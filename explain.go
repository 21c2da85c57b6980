package apikeyinject

// This file holds how a route explains what it would do with a request: it goes
// the whole way through the embedded proxy, up to the place where it would be
// sent.

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/apikeyinject/caddy-apikey-inject/internal/inject"
)

// explainedError ends a request that is explained where it would be sent. It
// passes for one that the client called off, which reverse_proxy neither tries
// again nor holds against the upstream.
type explainedError struct{}

func (explainedError) Error() string        { return "explained, not sent" }
func (explainedError) Is(target error) bool { return target == context.Canceled }

// explain fills in what the route would do with r. Everything happens but the
// sending: the key is read, and the proxy's own options are applied.
func (h *Handler) explain(r *http.Request, repl *caddy.Replacer, e *explanation) {
	t, fail := h.choose(r, repl)
	e.Integration = t.label
	if fail != nil {
		e.refuse(fail)
		return
	}
	ref := t.integration.Key
	if h.connection.expr != "" {
		ref = t.each
	}
	if ref != nil {
		e.Key = &explainedKey{Store: h.app.storeName(ref), Field: ref.Field, Path: ref.address(connectionID).String()}
	}
	by := caller{request: r, user: t.user(repl)}
	e.Callers = &explainedCallers{
		Integration: t.allow[0].lines(), Route: t.allow[1].lines(),
		From: firstSet(t.caller, "{http.auth.user.id}"), Caller: by.user,
		Passes: t.allow[0].fits(by) && t.allow[1].fits(by),
	}
	w := newExplainWriter()
	_, done, fail := h.admit(w, r, t, repl, nil)
	if fail != nil {
		e.refuse(fail)
		return
	}
	if done {
		e.AnsweredBy = "apikey_inject itself: a browser's preflight, which the upstream does not see"
		return
	}
	ex := &exchange{Context: r.Context(), owner: h.transport, target: t, explained: new(captured)}
	fail = h.resolve(r, ex, repl)
	if id, ok := repl.GetString("http.apikey_inject.connection"); ok && h.connection.expr != "" && e.Key != nil {
		e.Key.Connection, e.Key.Path = id, ref.address(id).String()
	}
	if fail != nil {
		e.refuse(fail)
		return
	}
	e.Key.describe(ex)
	h.explainSent(w, r, ex, e)
}

// describe adds what is known of a key that is held.
func (k *explainedKey) describe(ex *exchange) {
	st, key := ex.entry.Status(), ex.ren.key
	k.Version, k.State, k.Masked = key.Version, st.State, maskKey(key.Value.Reveal())
	if at := st.CreatedAt; !at.IsZero() && st.Version == key.Version {
		k.CreatedAt = &at
	}
	if at := st.CheckedAt; !at.IsZero() {
		k.CheckedAt = &at
	}
}

// explainSent runs the request through the embedded proxy.
func (h *Handler) explainSent(w http.ResponseWriter, r *http.Request, ex *exchange, e *explanation) {
	ex.writer.ResponseWriter, ex.writer.ex = w, ex
	out, err := ex.target.outgoing(r, ex)
	if err != nil {
		e.refuse(errPath)
		return
	}
	e.path(ex.target, r, out)
	err = h.proxy.ServeHTTP(&ex.writer, out, explainNext{})
	sent := ex.explained.out
	if sent == nil {
		if f := asFailure(err); f != nil {
			e.refuse(f)
			return
		}
		e.Refused = &explainedRefusal{Code: "upstream_failed", Status: statusOf(err), Message: "reverse_proxy does not send this request: its upstream is held to be down, or a limit of its own is reached"}
		return
	}
	e.sent(h, ex, r, sent)
}

func (e *explanation) refuse(f *failure) {
	e.Refused = &explainedRefusal{Code: f.code, Status: f.status, Message: f.message}
}

// path says what was done to the path.
func (e *explanation) path(t *target, r, out *http.Request) {
	from, to := inject.EscapedPath(r.URL), inject.EscapedPath(out.URL)
	e.Path = append(e.Path, "the route gets "+from)
	switch {
	case t.stripPrefix != "" && from != to:
		e.Path = append(e.Path, "strip_prefix takes off "+t.stripPrefix)
	case t.stripPrefix != "":
		e.Path = append(e.Path, "strip_prefix "+t.stripPrefix+" is not what it begins with")
	}
	e.Path = append(e.Path, "base_url "+t.integration.BaseURL+" is put in front")
}

// sent describes the request as it would leave. The header or query parameter
// that carries the key is written anew, with the mask in the key's place.
func (e *explanation) sent(h *Handler, ex *exchange, r, out *http.Request) {
	t, base := ex.target, ex.ren.base
	value := strings.ReplaceAll(t.plan.template.String(), "${apiKey}", e.Key.Masked)
	for _, name := range t.plan.template.Fields() {
		value = strings.ReplaceAll(value, "${connectionConfig."+name+"}", ex.configValue(name))
	}
	placement := t.plan.placement
	why := "the key, by the template " + t.plan.template.String()
	u := *out.URL
	if placement.InQuery() {
		u.RawQuery = maskedQuery(u.RawQuery, placement.Name(), value)
	}
	e.Request = &explainedRequest{Method: out.Method, URL: u.String(), Why: "scheme, host and port are base_url's"}
	if placement.InQuery() {
		e.Request.Why += "; the query parameter " + placement.Name() + " is " + why
	}
	add := func(name, value, why string) {
		e.Request.Headers = append(e.Request.Headers, explainedHeader{name, value, why})
	}
	host := "base_url's host"
	if out.Host != base.Host {
		host = "a header_up of yours"
	}
	add("Host", firstSet(out.Host, u.Host), host)
	for _, name := range slices.Sorted(maps.Keys(out.Header)) {
		if !placement.InQuery() && name == placement.Name() {
			add(name, value, why)
			continue
		}
		for _, v := range out.Header[name] {
			if v != "" || name != "User-Agent" { // an empty one keeps Go from adding its own
				add(name, shownHeader(name, v), whySent(r, name, v))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		if _, ok := out.Header[name]; !ok || placement.Replaces(name) {
			e.LeftOut = append(e.LeftOut, explainedHeader{Name: name, Why: t.whyLeftOut(name, r)})
		}
	}
	e.target(h, t, base)
}

// target describes the connection.
func (e *explanation) target(h *Handler, t *target, base *inject.Base) {
	e.Transport = &explainedTarget{
		Dials: base.Dial, TLS: base.Scheme == "https", RefusedStatuses: t.refused, ReplayBuffer: t.replayBuffer,
	}
	via := t.via
	if via == nil {
		via = h.transport.base
	}
	if http, ok := via.(*reverseproxy.HTTPTransport); ok {
		e.Transport.DialTimeout = time.Duration(http.DialTimeout).String()
		e.Transport.ResponseHeaderTimeout = time.Duration(http.ResponseHeaderTimeout).String()
	}
}

// explainWriter takes what handlers write while a request is explained.
type explainWriter struct {
	header http.Header
	status int
}

func newExplainWriter() *explainWriter { return &explainWriter{header: make(http.Header)} }

// Header returns a header that nobody gets.
func (w *explainWriter) Header() http.Header { return w.header }

// WriteHeader remembers the first status.
func (w *explainWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

// Write takes no bytes.
func (w *explainWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return len(p), nil
}

// explainNext is the end of the chain behind the proxy, which never gets there.
type explainNext struct{}

// ServeHTTP does nothing.
func (explainNext) ServeHTTP(http.ResponseWriter, *http.Request) error { return nil }
