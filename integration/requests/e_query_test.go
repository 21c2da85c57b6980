// E: the key in the query, and every other byte of it as it came.

package requests

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

func TestEQueryPlacement(t *testing.T) {
	r := newRig(t)
	u := harness.NewUpstream(t, nil)
	named := r.site(route("", u.URL(), "placement query", "name key"))
	templated := r.site(route("", u.URL(), "placement query", "name key", `template "Api Key:${apiKey}"`))
	r.start()

	for _, c := range []struct{ id, addr, query, want string }{
		{"E1 no query", named, "", "?key=" + key},
		{"E1 one parameter", named, "?a=1", "?a=1&key=" + key},
		{"E1 a trailing question mark", named, "?", "?key=" + key},
		{"E2 once", named, "?key=mine", "?key=" + key},
		{"E2 twice", named, "?key=mine&key=other", "?key=" + key},
		{"E2 in between", named, "?a=1&key=mine&b=2&key=&c=3&key", "?a=1&b=2&c=3&key=" + key},
		{"E2 without a value", named, "?key", "?key=" + key},
		{"E2 a longer name", named, "?keys=1&xkey=2&Key=3&key%20=4", "?keys=1&xkey=2&Key=3&key%20=4&key=" + key},
		{"E2 our name in a value", named, "?a=key=1&b=%26key=2", "?a=key=1&b=%26key=2&key=" + key},
		{"E3 escaped once", named, "?%6bey=1&k%65y=2&%6B%65%79=3", "?key=" + key},
		{"E3 escaped with others between", named, "?a=1&%6Bey=mine&b", "?a=1&b&key=" + key},
		{"E3 escaped twice is another name", named, "?%256bey=1", "?%256bey=1&key=" + key},
		{"E4 escapes", named, "?b=%2f&c=a+b&d=%20&e&f=", "?b=%2f&c=a+b&d=%20&e&f=&key=" + key},
		{"E4 empty pairs", named, "?&&a=1&&", "?&&a=1&&&key=" + key},
		{"E4 a semicolon", named, "?a=1;key=2&b=;", "?a=1;key=2&b=;&key=" + key},
		{"E4 broken escapes", named, "?a=%zz&b=%2&c=%", "?a=%zz&b=%2&c=%&key=" + key},
		{"E4 unusual bytes", named, "?q={a|b}\"^`\\<>&x=[1]&y='", "?q={a|b}\"^`\\<>&x=[1]&y='&key=" + key},
		{"E4 question marks and slashes", named, "?a=b?c/d:e@f", "?a=b?c/d:e@f&key=" + key},
		{"E4 order", named, "?z=1&a=2&z=0&m", "?z=1&a=2&z=0&m&key=" + key},
		{"E4 raw UTF-8", named, "?q=\u00fc&\u00fc=1", "?q=\u00fc&\u00fc=1&key=" + key},
		{"E5 a template is escaped whole", templated, "?a", "?a&key=Api%20Key%3A" + key},
	} {
		t.Run(c.id, func(t *testing.T) {
			for _, path := range []string{"/", "/a/b%2Fc"} {
				u.Forget()
				answer := harness.Exchange(t, c.addr, nil, get(c.addr, path+c.query))
				if answer.Status != 200 {
					t.Fatalf("answered %q", answer.Raw)
				}
				if got := u.Only(); got.Target != path+c.want {
					t.Errorf("received %s, want %s", got.Target, path+c.want)
				}
			}
		})
	}
}

func TestE5E6KeysAndNamesThatNeedEscaping(t *testing.T) {
	r := newRig(t)
	u := harness.NewUpstream(t, nil)
	keys := map[string]string{
		"reserved":  "a b/c#d%e+f=g&h?i;j:k@l,m$n!o'p(q)r*s",
		"non-ascii": "schl\u00fcssel-\u9375-\U0001f511",
		"escapes":   "%20%2F%zz+&key=other&x",
		"quotes":    "\"<>\\^`{|}~-._",
		"ends":      "=&",
	}
	names := []string{"key", "api key", "k&x=y", "filter[key]", "\u00fcber", "a+b", "a%20b", "a;b", "k#1"}
	type probe struct{ addr, value, name string }
	probes := map[string]probe{}
	for id, value := range keys {
		r.vault.Put("e5/"+id, map[string]any{"apiKey": value})
		probes["E5 a key with "+id] = probe{r.site(route("", u.URL(), "placement query", "name key", "key e5/"+id)), value, "key"}
	}
	for _, name := range names {
		probes["E6 the name "+name] = probe{r.site(route("", u.URL(), "placement query", `name "`+name+`"`)), key, name}
	}
	r.start()

	for id, p := range probes {
		t.Run(id, func(t *testing.T) {
			u.Forget()
			own := url.QueryEscape(p.name) + "=mine&" + everyByteEscaped(p.name) + "=mine"
			harness.Exchange(t, p.addr, nil, get(p.addr, "/?a=1&"+own+"&b=2"))
			_, query, _ := strings.Cut(u.Only().Target, "?")
			rest, ok := strings.CutPrefix(query, "a=1&b=2&")
			if !ok || strings.ContainsAny(rest, "&#+; ") || strings.Count(rest, "=") != 1 {
				t.Fatalf("received %s", query)
			}
			values, err := url.ParseQuery(query)
			if err != nil {
				t.Fatal(err)
			}
			if len(values) != 3 || len(values[p.name]) != 1 || values.Get(p.name) != p.value {
				t.Errorf("the upstream decodes %q, want %q=%q beside a and b", values, p.name, p.value)
			}
		})
	}
}

func everyByteEscaped(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02x", s[i])
	}
	return b.String()
}

func TestEOurValueDoesNotComeBackInURLs(t *testing.T) {
	r := newRig(t)
	u := harness.NewUpstream(t, nil)
	value := "a b/c+d%e"
	r.vault.Put("e7", map[string]any{"apiKey": value})
	addr := r.site(route("", u.URL(), "placement query", "name key", "key e7"))
	r.start()
	u.Answer(func(got *harness.Request) harness.Answer {
		return harness.Text(302, "", "Location: https://h.example"+got.Target+"#f", "Content-Location: "+got.Target,
			"Link: <"+got.Target+"&page=2>; rel=next", "Link: </x>; rel=last", "Refresh: 5; url="+got.Target,
			"X-Redirect: /login?to="+url.QueryEscape(got.Target), "Location: /login?to="+url.QueryEscape(got.Target))
	})
	answer := harness.Exchange(t, addr, nil, get(addr, "/x?a=1"))
	if n := len(answer.Header.Values("Link")); answer.Status != 302 || n != 2 || answer.Header.Values("Link")[1] != "</x>; rel=last" {
		t.Fatalf("answered %q", answer.Raw)
	}
	for _, name := range []string{"Location", "Content-Location", "Link", "Refresh"} {
		for _, got := range answer.Header.Values(name) {
			once, _ := url.QueryUnescape(got)
			twice, _ := url.QueryUnescape(once)
			for _, s := range []string{got, once, twice} {
				if strings.Contains(s, value) {
					t.Errorf("%s: %s", name, got)
				}
			}
			if !strings.Contains(once, "/x") {
				t.Errorf("%s lost its URL: %s", name, got)
			}
		}
	}
}
