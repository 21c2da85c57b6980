// A1, A2, A3, A5, A7: one key in one place, and all else as the client sent it.

package requests

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

func TestA1A2A5OneHeaderAndAllOthersAsTheyCame(t *testing.T) {
	r := newRig(t)
	u := harness.NewUpstream(t, nil)
	templated := r.site(route("", u.URL(), "name Authorization", `template "Api-Key ${apiKey}"`))
	odd := r.site(route("", u.URL(), "name x-API-key"))
	folded := r.site(route("", u.URL(), "name x_api_key"))
	cookies := r.site(route("", u.URL(), inHeader, "forward_credentials"))
	r.start()

	t.Run("A1 the template's value arrives, once", func(t *testing.T) {
		u.Forget()
		harness.Exchange(t, templated, nil, get(templated, "/"))
		wantLines(t, u.Only(), "Authorization", "Authorization: Api-Key "+key)
	})
	for name, lines := range map[string][]string{
		"two casings":       {"X-Api-Key: one", "x-api-KEY: two"},
		"an empty value":    {"X-Api-Key:"},
		"an underscore too": {"x_api_key: one", "X-API_KEY: two", "x-api-key: three"},
		"in the same case":  {"x-API-key: one"},
	} {
		t.Run("A2 the client's own gives way: "+name, func(t *testing.T) {
			u.Forget()
			harness.Exchange(t, odd, nil, get(odd, "/", lines...))
			got := u.Only()
			wantLines(t, got, "X-Api-Key", "X-Api-Key: "+key)
			if others := slices.DeleteFunc(got.Names(), func(n string) bool { return n == "Host" || n == "X-Api-Key" }); len(others) > 0 {
				t.Errorf("the upstream also received %q", others)
			}
		})
	}
	t.Run("A2 so does what servers fold into the same name", func(t *testing.T) {
		u.Forget()
		harness.Exchange(t, folded, nil, get(folded, "/", "X-Api-Key: mine", "x-api-key: mine"))
		if got := u.Only().Names(); !slices.Equal(got, []string{"Host", "X_api_key"}) {
			t.Errorf("received %q", got)
		}
	})
	t.Run("A5 nothing is lost, doubled, reordered, or added", func(t *testing.T) {
		u.Forget()
		sent := []string{
			"Accept: text/html", "Accept: application/json;q=0.5", "Accept: */*;q=0.1",
			"Cookie: a=1; b=2", "If-Match: \"x\"", "If-None-Match: W/\"y\", \"z\"",
			"Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
			"Tracestate: a=1", "Tracestate: b=2", "X-Request-Id: 7", "User-Agent: probe/1 (x; y)", "User-Agent-Not: 1",
			"Range: bytes=0-1", "Accept-Language: de, en;q=0.1", "X-Empty:", "Idempotency-Key: 1", "X-Quote: \"a, b\" , c",
		}
		harness.Exchange(t, cookies, nil, get(cookies, "/", sent...))
		got := u.Only()
		want := append([]string{"Host: " + u.Addr(), "X-Api-Key: " + key}, sent...)
		have := make([]string, 0, len(got.Fields))
		for _, f := range got.Fields {
			have = append(have, strings.TrimSpace(f.Name+": "+f.Value))
		}
		byName := func(a, b string) int {
			an, _, _ := strings.Cut(a, ":")
			bn, _, _ := strings.Cut(b, ":")
			return strings.Compare(an, bn)
		}
		slices.SortStableFunc(want, byName)
		slices.SortStableFunc(have, byName)
		if !slices.Equal(have, want) {
			t.Errorf("received\n%s\nwant\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
		}
	})
	t.Run("A5 a request without header gets none but ours", func(t *testing.T) {
		u.Forget()
		harness.Exchange(t, cookies, nil, get(cookies, "/"))
		if got := u.Only().Names(); !slices.Equal(got, []string{"Host", "X-Api-Key"}) {
			t.Errorf("received %q", got)
		}
	})
	t.Run("A5 Accept-Encoding is the client's", func(t *testing.T) {
		u.Forget()
		harness.Exchange(t, cookies, nil, get(cookies, "/", "Accept-Encoding: br, zstd;q=0.1"))
		wantLines(t, u.Only(), "Accept-Encoding", "Accept-Encoding: br, zstd;q=0.1")
	})
}

func TestA3EachIntegrationItsOwn(t *testing.T) {
	r := newRig(t)
	u := harness.NewUpstream(t, nil)
	r.vault.Put("one", map[string]any{"apiKey": "first-key"})
	r.vault.Put("two", map[string]any{"apiKey": "second-key"})
	addr := r.site(route("/one/*", u.URL(), inHeader, "key one") + "\n" +
		route("/two/*", u.URL(), "placement query", "name token", "key two"))
	r.start()

	client := harness.HTTP1Client(t, nil)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 25 {
				path := []string{"/one/x", "/two/x"}[(g+i)%2]
				resp, err := client.Get("http://" + addr + path)
				if err != nil {
					t.Error(err)
					return
				}
				_ = resp.Body.Close()
			}
		})
	}
	wg.Wait()
	requests := u.Requests()
	if len(requests) != 200 {
		t.Fatalf("%d requests arrived, want 200", len(requests))
	}
	for _, got := range requests {
		switch got.Target {
		case "/one/x":
			wantLines(t, got, "X-Api-Key", "X-Api-Key: first-key")
		case "/two/x?token=second-key":
			wantLines(t, got, "X-Api-Key")
		default:
			t.Errorf("received %s", got)
		}
		if s := got.String(); strings.Contains(s, "first-key") == strings.Contains(s, "second-key") {
			t.Errorf("not exactly one key in %s", s)
		}
	}
}

func TestA7PathsPassByteForByte(t *testing.T) {
	r := newRig(t)
	u := harness.NewUpstream(t, nil)
	plain := r.site(route("", u.URL(), inHeader))
	based := r.site(route("", u.URL()+"/v1", inHeader))
	stripped := r.site(route("/p/*", u.URL()+"/v1", inHeader, "strip_prefix /p"))
	query := r.site(route("/p/*", u.URL()+"/v1/b%2Fc", "strip_prefix /p", "placement query", "name k"))
	r.start()

	for _, target := range []string{
		"/a//b", "//a", "/users/", "/a%2Fb", "/a%2fb", "/o/dir%2Fsub?alt=media", "/users", "/",
		"/%7Euser", "/~user", "/a%20b", "/a+b", "/a;v=1;w=2/c", "/a:b@c$d&e=f,g!h'i(j)*k", "/%E2%9C%93", "/%41%62",
		"/a%25b", "/a%252Fb", "/x?", "/x?a?b/c", "/a/b//", "/...", "/.well-known/x", "/a..b", "/a%3Fb", "/a%23b",
		"/" + strings.Repeat("x", 6000), "/a%5B1%5D", "/a[1]", "/a%7Cb",
	} {
		for _, c := range []struct{ name, addr, prefix, base, suffix string }{
			{"without prefix", plain, "", "", ""},
			{"below a base path", based, "", "/v1", ""},
			{"with strip_prefix", stripped, "/p", "/v1", ""},
			{"with strip_prefix and a query", query, "/p", "/v1/b%2Fc", "k=" + key},
		} {
			name := target
			if len(name) > 60 {
				name = fmt.Sprintf("a path of %d bytes", len(name))
			}
			t.Run(c.name+" "+name, func(t *testing.T) {
				u.Forget()
				answer := harness.Exchange(t, c.addr, nil, get(c.addr, c.prefix+target))
				if answer.Status != http.StatusOK {
					t.Fatalf("answered %q", answer.Raw)
				}
				want := c.base + target
				if want == "/v1/" && c.base == "/v1" {
					want = u.Only().Target // with or without the slash: B2
				}
				if c.suffix != "" {
					path, q, found := strings.Cut(want, "?")
					if found && q != "" {
						q += "&"
					}
					want = path + "?" + q + c.suffix
				}
				if got := u.Only(); got.Target != want {
					t.Errorf("received %s, want %s", got.Target, want)
				}
			})
		}
	}

	// Bytes that RFC 3986 allows in no URI leave net/http escaped; reverse_proxy
	// does the same.
	for target, want := range map[string]string{"/{id}": "/v1/%7Bid%7D", "/a|b%2F": "/v1/a%7Cb%2F", `/"q"`: "/v1/%22q%22"} {
		t.Run("what no URI may hold arrives escaped "+target, func(t *testing.T) {
			u.Forget()
			harness.Exchange(t, based, nil, get(based, target))
			if got := u.Only(); got.Target != want {
				t.Errorf("received %s, want %s", got.Target, want)
			}
		})
	}
}
