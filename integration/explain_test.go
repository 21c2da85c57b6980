// caddy apikey-inject explain: what would become of a request, and why.

package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

const explainedCanary = "canary-of-explain-5e01-wxyz" // its mask is ****wxyz

// explained is the answer in JSON.
type explained struct {
	Routes     []string
	NotRun     []string `json:"not_run"`
	AnsweredBy string   `json:"answered_by"`

	Integration string
	Callers     struct {
		Caller string
		Passes bool
	}
	Refused struct {
		Code   string
		Status int
	}
	Key struct {
		Store, Path, Field, Connection, State, Masked string
		Version                                       int
	}
	Path    []string
	Request struct {
		Method, URL string
		Headers     []struct{ Name, Value, Why string }
	}
	LeftOut []struct{ Name, Why string } `json:"left_out"`
}

// header returns the values of a header of the request that would leave.
func (e *explained) header(name string) (values []string) {
	for _, h := range e.Request.Headers {
		if h.Name == name {
			values = append(values, h.Value)
		}
	}
	return values
}

// explaining is a Caddy with routes to explain.
type explaining struct {
	*harness.Caddy
	t     *testing.T
	up    *harness.Upstream
	proxy *vaulttest.Proxy
	url   string
}

func startExplaining(t *testing.T) *explaining {
	v := vaulttest.Start(t)
	v.Put("acme/prod", map[string]any{"token": explainedCanary})
	v.Put("acme/short", map[string]any{"apiKey": "0123456789abcdef"}) // 16
	v.Put("customers/one", map[string]any{"apiKey": explainedCanary})
	s := &explaining{t: t, up: harness.NewUpstream(t, nil), proxy: v.Proxy(t)}
	port := harness.Port(t)
	s.url = fmt.Sprintf("http://127.0.0.1:%d", port)
	block := "\t\tname X-Api-Key\n\t\tallow anyone\n"
	site := strings.ReplaceAll(`
	@private path /acme/* /guarded/*
	basic_auth @private {
		billing $2a$14$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT/5qqR7hx4IjWJPDhjvG
	}
	apikey_inject /acme/* acme {
		strip_prefix /acme
		header_up X-Added yes
		header_up -X-Taken
		fail_duration 10m
	}
	apikey_inject /guarded/* acme {
		allow user nobody
	}
	handle_path /query/* {
		apikey_inject UP/v2 {
			placement query
			name appid
			key acme/short
			allow anyone
		}
	}
	apikey_inject /basic/* UP {
		template "Basic ${base64(${apiKey}:)}"
		key acme/prod token
BLOCK	}
	apikey_inject /missing UP {
		key acme/nowhere
BLOCK	}
	apikey_inject /customers UP {
		key customers/${connectionId}
		connection {http.request.header.X-Customer}
BLOCK	}
	reverse_proxy /plain UP
	respond /hello hello`, "BLOCK", block)
	s.Caddy = harness.StartCaddy(t, fmt.Sprintf(`{
	debug
	apikey_inject {
		store vault {
			startup lazy
		}
		integration acme %s/v1 {
			name Authorization
			template "Api-Key ${apiKey}"
			key acme/prod token
			allow user *
		}
	}
}
`, s.up.URL())+harness.Site(port, strings.ReplaceAll(site, "UP", s.up.URL())),
		harness.Env("VAULT_ADDR="+s.proxy.Addr, "VAULT_TOKEN="+v.Token))
	return s
}

// explain asks the command, which must not show the key.
func (s *explaining) explain(args ...string) *explained {
	s.t.Helper()
	r := s.Run("", append([]string{"apikey-inject", "explain", "--json"}, args...)...)
	if r.Code != 0 {
		s.t.Fatalf("explain %q: %+v", args, r)
	}
	s.clean(r.Stdout + r.Stderr)
	e := new(explained)
	if err := json.Unmarshal([]byte(r.Stdout), e); err != nil {
		s.t.Fatal(err)
	}
	return e
}

// clean fails when text holds a key, in clear or as base64 has it.
func (s *explaining) clean(text string) {
	s.t.Helper()
	for _, secret := range []string{explainedCanary, explainedCanary[:22], "Y2FuYXJ5LW9mLWV4cGxhaW4", "0123456789abcdef", "cdef"} {
		if strings.Contains(text, secret) {
			s.t.Errorf("holds %q: %s", secret, text)
		}
	}
}

const explainedUser = "Authorization: Basic YmlsbGluZzpoaWNjdXA=" // billing:hiccup

func TestExplain(t *testing.T) { //nolint:tparallel // the cases share one Vault, one after another
	t.Parallel()
	s := startExplaining(t)

	t.Run("a request that would leave", func(t *testing.T) {
		headers := []string{explainedUser, "X-Plain: yes", "X-Taken: no", "Cookie: a=b", "X_Plain: 1", "X-Forwarded-For: 1.2.3.4", "X-Hop: 1", "Connection: X-Hop"}
		args := append(make([]string, 0, 2+2*len(headers)), "POST", s.url+"/acme//users?q=1")
		req, err := http.NewRequest(http.MethodPost, s.url+"/acme//users?q=1", nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range headers {
			args = append(args, "-H", h)
			name, value, _ := strings.Cut(h, ": ")
			req.Header.Set(name, value)
		}
		e := s.explain(args...)
		if s.up.Hits() != 0 {
			t.Fatal("an explained request was sent")
		}
		if e.Integration != "acme" || e.Key.Masked != "****wxyz" || e.Key.Version != 1 || e.Key.State != "fresh" || e.Key.Store != "vault" || e.Key.Path != "acme/prod" || e.Key.Field != "token" {
			t.Errorf("got %+v", e)
		}
		if e.Callers.Caller != "billing" || !e.Callers.Passes {
			t.Errorf("got %+v", e.Callers)
		}
		if want := s.up.URL() + "/v1//users?q=1"; e.Request.URL != want || e.Request.Method != http.MethodPost {
			t.Errorf("%s %s, want %s", e.Request.Method, e.Request.URL, want)
		}
		if got := e.header("Authorization"); len(got) != 1 || got[0] != "Api-Key ****wxyz" {
			t.Errorf("got %q", got)
		}
		left := make(map[string]string)
		for _, l := range e.LeftOut {
			left[l.Name] = l.Why
		}
		for name, why := range map[string]string{
			"Authorization": "carries the key", "Cookie": "forward_credentials", "X-Forwarded-For": "forwarded_headers",
			"X-Hop": "named in Connection", "X_plain": "underscore", "X-Taken": "header_up", "Connection": "connection",
		} {
			if !strings.Contains(left[name], why) {
				t.Errorf("%s is left out because %q, want %q", name, left[name], why)
			}
		}

		// The very request, sent: what was said is what happens.
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		got := s.up.Only()
		if "http://"+got.Host()+got.Target != e.Request.URL {
			t.Errorf("sent to %s%s, explained as %s", got.Host(), got.Target, e.Request.URL)
		}
		ofGo := []string{"User-Agent", "Accept-Encoding", "Content-Length"} // the client's and the transport's
		for _, name := range got.Names() {
			if !slices.Contains(ofGo, name) && len(e.header(name)) == 0 {
				t.Errorf("sent %s, which was not explained", name)
			}
		}
		for _, h := range e.Request.Headers {
			if len(got.Values(h.Name)) == 0 {
				t.Errorf("explained %s, which was not sent", h.Name)
			}
		}
		s.up.Forget()
	})

	t.Run("a query", func(t *testing.T) {
		e := s.explain(s.url+"/query/a?appid=mine&b=1", "-H", "Accept: x")
		if want := s.up.URL() + "/v2/a?b=1&appid=****"; e.Request.URL != want || e.Key.Masked != "****" {
			t.Errorf("got %s, %q; want %s", e.Request.URL, e.Key.Masked, want)
		}
	})

	t.Run("base64", func(t *testing.T) {
		e := s.explain(s.url + "/basic/x")
		if got := e.header("X-Api-Key"); len(got) != 1 || got[0] != "Basic ${base64(****wxyz:)}" {
			t.Errorf("got %q", got)
		}
	})

	t.Run("refusals", func(t *testing.T) {
		before := s.proxy.Count("/v1/")
		for name, tc := range map[string]struct {
			args []string
			code string
		}{
			"a caller who is not allowed": {[]string{s.url + "/guarded/x", "-H", explainedUser}, "forbidden"},
			"a page of another site":      {[]string{s.url + "/basic/x", "-H", "Origin: https://evil.example"}, "forbidden"},
			"a path that climbs":          {[]string{s.url + "/basic/..;/x"}, "bad_path"},
			"TRACE":                       {[]string{"TRACE", s.url + "/basic/x"}, "method_not_allowed"},
			"no connection":               {[]string{s.url + "/customers"}, "bad_connection"},
		} {
			if e := s.explain(tc.args...); e.Refused.Code != tc.code || e.Request.URL != "" || e.Key.Masked != "" {
				t.Errorf("%s: got %+v", name, e)
			}
		}
		if n := s.proxy.Count("/v1/") - before; n != 0 {
			t.Errorf("%d requests to Vault for callers that are refused", n)
		}
		if e := s.explain(s.url + "/missing"); e.Refused.Code != "key_not_found" || e.Refused.Status != 502 {
			t.Errorf("got %+v", e)
		}
		if e := s.explain(s.url+"/customers", "-H", "X-Customer: two"); e.Refused.Code != "unknown_connection" || e.Key.Path != "customers/two" {
			t.Errorf("got %+v", e)
		}
		if e := s.explain(s.url+"/customers", "-H", "X-Customer: one"); e.Key.Masked != "****wxyz" || e.Key.Connection != "one" {
			t.Errorf("got %+v", e)
		}
	})

	t.Run("what others answer", func(t *testing.T) {
		for args, want := range map[string]string{
			"/hello": "static_response", "/plain": "reverse_proxy", "/nowhere": "no route", "/acme/users": "authentication, with 401",
		} {
			if e := s.explain(s.url + args); !strings.Contains(e.AnsweredBy, want) || e.Integration != "" {
				t.Errorf("%s: got %+v", args, e)
			}
		}
		for _, args := range [][]string{{"http://127.0.0.1:1/x"}, {"/acme"}, {}, {s.url, "-H", "canary"}, {"GET", s.url, "x"}} {
			r := s.Run("", append([]string{"apikey-inject", "explain"}, args...)...)
			if r.Code != 1 || strings.Contains(r.Stderr, "canary") {
				t.Errorf("%q: %+v", args, r)
			}
		}
	})

	t.Run("the text", func(t *testing.T) {
		r := s.Run("", "apikey-inject", "explain", s.url+"/acme/users", "-H", explainedUser)
		for _, want := range []string{"Api-Key ****wxyz", "strip_prefix takes off /acme", "the integration allows user *", "version 1", "Transport: dials"} {
			if !strings.Contains(r.Stdout, want) {
				t.Errorf("lacks %q: %s", want, r.Stdout)
			}
		}
		s.clean(r.Stdout + r.Stderr)
	})

	t.Run("nothing is left behind", func(t *testing.T) {
		if n := s.up.Hits(); n != 0 {
			t.Errorf("%d hits at the upstream", n)
		}
		metrics := s.Metrics()
		if strings.Contains(metrics, `outcome="forbidden"} 1`) {
			t.Error("explained requests are counted")
		}
		s.clean(s.Log.String())
		s.clean(metrics)
		if strings.Contains(s.Log.String(), "YmlsbGluZzpoaWNjdXA") {
			t.Error("the log holds the credentials of an explained request")
		}
	})

	t.Run("the admin endpoint", func(t *testing.T) {
		for body, want := range map[string]int{
			fmt.Sprintf(`{"url":%q}`, s.url+"/basic/x"): 200,
			`{"url":"/basic"}`:                          400,
			`{"uri":"x"}`:                               400,
			`nothing`:                                   400,
			`{"url":"http://h:9/"}`:                     404,
			fmt.Sprintf(`{"url":%q,"headers":{"A b":["x"]}}`, s.url):     400,
			fmt.Sprintf(`{"url":%q,"headers":{"A":["x\ny"]}}`, s.url):    400,
			fmt.Sprintf(`{"url":%q,"method":"GET /x HTTP/1.1"}`, s.url):  400,
			fmt.Sprintf(`{"url":%q}`, s.url+strings.Repeat("x", 64<<10)): 400,
		} {
			status, answer, err := s.Do(http.MethodPost, "/apikey_inject/explain", body)
			if err != nil || status != want {
				t.Errorf("%.60s: %d %s %v, want %d", body, status, answer, err, want)
			}
			s.clean(answer)
		}
		if status, _, _ := s.Do(http.MethodGet, "/apikey_inject/explain", ""); status != 405 {
			t.Errorf("GET: %d", status)
		}
	})
}
