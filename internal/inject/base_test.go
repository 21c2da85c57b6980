package inject

import (
	"errors"
	"net/url"
	"strings"
	"testing"
)

func TestBaseURLsThatAreRefused(t *testing.T) {
	for name, tc := range map[string]struct{ url, says string }{
		"empty":                  {"", "is required"},
		"no scheme":              {"api.example/v1", "has no scheme"},
		"a host and a port":      {"api.example:443", "scheme"},
		"mailto":                 {"mailto:a@b", "allowed is http(s)://"},
		"ftp":                    {"ftp://h", "scheme"},
		"userinfo":               {"https://user:hunter2@h", "user or password"},
		"userinfo after ///":     {"https:///user:hunter2@h", "user or password"},
		"a user":                 {"https://user@h", "user or password"},
		"a query":                {"https://h/?a=1", "query"},
		"an empty query":         {"https://h/?", "query"},
		"a fragment":             {"https://h/#a", "fragment"},
		"an empty fragment":      {"https://h/#", "fragment"},
		"no host":                {"https:///v1", "no host"},
		"only a port":            {"https://:443", "no host"},
		"opaque":                 {"https:h/v1", "no host"},
		"a colon without a port": {"https://h:/", "no port"},
		"port 0":                 {"https://h:0", "port"},
		"port 65536":             {"https://h:65536", "port"},
		"a zone":                 {"https://[fe80::1%25eth0]", "zone"},
		"dot segments":           {"https://h/a/../b", "segment"},
		"escaped dot segments":   {"https://h/a/%2e%2e/b", "segment"},
		"a placeholder of Caddy": {"https://{env.HOST}/v1", "placeholder"},
		"the key":                {"https://h/${apiKey}", "placeholder"},
		"a space in the host":    {"https://a b/", "not a valid URL"},
		"a control character":    {"https://h/\n", "control character"},
		"a wrong escape":         {"https://h/%zz", "not a valid URL"},
		"a wrong host name":      {"https://a..b/", "host name"},
		"a host name from a dot": {"https://.b/", "host name"},
		"a host name of nothing": {"https://xn--/", "host name"},
		"a host name left empty": {"https://\u00ad/", "host name"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseBase(tc.url)
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Fatalf("%q: got %v, want an error that says %q", tc.url, err, tc.says)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error holds the password: %v", err)
			}
		})
	}
}

func TestTheAuthorityOfABaseURL(t *testing.T) {
	for raw, want := range map[string]struct{ host, dial string }{
		"https://API.Example":           {"api.example", "api.example:443"},
		"https://api.example:443/v1":    {"api.example", "api.example:443"},
		"http://api.example:80":         {"api.example", "api.example:80"},
		"http://api.example:443":        {"api.example:443", "api.example:443"},
		"https://api.example:00443":     {"api.example", "api.example:443"},
		"https://api.example:8443":      {"api.example:8443", "api.example:8443"},
		"https://127.0.0.1":             {"127.0.0.1", "127.0.0.1:443"},
		"https://[::1]":                 {"[::1]", "[::1]:443"},
		"https://[2001:DB8:0:0::1]:444": {"[2001:db8::1]:444", "[2001:db8::1]:444"},
		"https://bücher.example":        {"xn--bcher-kva.example", "xn--bcher-kva.example:443"},
		"http://my_service:8080":        {"my_service:8080", "my_service:8080"},
	} {
		b, err := ParseBase(raw)
		if err != nil {
			t.Errorf("%q: %v", raw, err)
			continue
		}
		if b.Host != want.host || b.Dial != want.dial {
			t.Errorf("%q: got %q, %q, want %q, %q", raw, b.Host, b.Dial, want.host, want.dial)
		}
	}
}

// applied puts a request target below a base and returns what goes on the wire.
func applied(t *testing.T, base, target string) (string, *url.URL, error) {
	t.Helper()
	b, err := ParseBase(base)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.ParseRequestURI(target)
	if err != nil {
		t.Fatal(err)
	}
	err = b.Apply(u)
	return u.RequestURI(), u, err
}

func TestPathsAreJoinedByteForByte(t *testing.T) {
	for _, tc := range []struct{ base, target, want string }{
		{"https://h", "/users", "/users"},
		{"https://h/", "/users", "/users"},
		{"https://h/v1", "/users", "/v1/users"},
		{"https://h/v1/", "/users", "/v1/users"},
		{"https://h/v1//", "/users", "/v1/users"},
		{"https://h/v1", "/", "/v1/"},
		{"https://h", "/", "/"},
		{"https://h/v1", "/a//b", "/v1/a//b"},
		{"https://h/v1", "//a", "/v1//a"},
		{"https://h/v1", "/users/", "/v1/users/"},
		{"https://h/v1", "/a%2Fb", "/v1/a%2Fb"},
		{"https://h/v1", "/a%2fb", "/v1/a%2fb"},
		{"https://h/v1", "/o/dir%2Fsub?alt=media", "/v1/o/dir%2Fsub?alt=media"},
		{"https://h/a%2Fb", "/c", "/a%2Fb/c"},
		{"https://h/a%2Fb", "/c%2Fd", "/a%2Fb/c%2Fd"},
		{"https://h/v1", "/https://evil/x", "/v1/https://evil/x"},
		{"https://h/v1", "/a;b=c/d", "/v1/a;b=c/d"},
		{"https://h/v1", "/a+b%20c", "/v1/a+b%20c"},
		{"https://h/v1", "/%zz"[:1] + "%25zz", "/v1/%25zz"},
		{"https://h/v1", "/...", "/v1/..."},
		{"https://h/v1", "/..a/.b", "/v1/..a/.b"},
		{"https://h/v1", "http://evil/x?y", "/v1/x?y"},
		{"https://h/v1", "http://user:pw@evil/x", "/v1/x"},
	} {
		got, u, err := applied(t, tc.base, tc.target)
		if err != nil || got != tc.want {
			t.Errorf("%s with %s: got %q, %v, want %q", tc.base, tc.target, got, err, tc.want)
		}
		if u.Host != "h" || u.Scheme != "https" || u.User != nil {
			t.Errorf("%s with %s: goes to %s", tc.base, tc.target, u)
		}
	}
}

func TestAnEmptyPathIsNoDoubleSlash(t *testing.T) {
	for base, want := range map[string]string{"https://h": "/", "https://h/v1": "/v1"} {
		b, err := ParseBase(base)
		if err != nil {
			t.Fatal(err)
		}
		u := new(url.URL)
		if err := b.Apply(u); err != nil || u.RequestURI() != want {
			t.Errorf("%s: got %q, %v, want %q", base, u.RequestURI(), err, want)
		}
	}
}

func TestPathsThatClimbAreRefused(t *testing.T) {
	for _, p := range []string{
		"/..", "/.", "/../admin", "/a/../b", "/a/./b", "/%2e%2e/admin", "/%2E./admin", "/.%2e", "/a/..%2f..%2fadmin", "/..;/x", "/..;a=b/x",
		"/a/.;/b", "/..%3b/x", "/..%5cadmin", `/..\admin`, "/%252e%252e/admin", "/%252e%252e%252fadmin", "/a%252f..%252fb", "/..%00/x",
		"/..%253bx/y", "x", "..", "*",
		"/%c0%ae%c0%ae/x", "/..%c0%afx", "/%e0%80%ae./x", "/%f0%80%80%ae/x", "/..%c1%9cx", "/..%e0%81%9cx", "/%25c0%25ae./x", "/%c0%a52e./x",
		"/%ef%bc%8e%ef%bc%8e/x", "/..%ef%bc%8fx", "/..%ef%bc%bcx", "/%e2%80%a5/x", "/%e2%80%a4./x", "/..%e2%88%95x",
		"/..%20/x", "/.%09./x", "/.%0d%0a./x", "/%20.", "/..%7f/x",
	} {
		if err := CheckPath(p); !errors.Is(err, ErrBadPath) {
			t.Errorf("%q: got %v, want it refused", p, err)
		}
	}
	for _, p := range []string{
		"", "/", "/a", "/...", "/..a", "/a..", "/a..b/c", "/%2e%2e%2e", "/a;..", "/%", "/a%2", "/~user/.well-known/x",
		"/%20", "/a%20..", "/%c3%bc", "/%c3", "/%c0", "/%e0%80", "/%c0a", "/%e6%9d%b1%ef%bc%8f%e4%ba%ac", "/%ef%bc%8e%ef%bc%8e%ef%bc%8e", "/v1.%c3%bc", "/%e2%80%a6",
	} {
		if err := CheckPath(p); err != nil {
			t.Errorf("%q: got %v, want it let through", p, err)
		}
	}
}

func TestAPrefixIsTakenOffAtASegmentBorder(t *testing.T) {
	for _, tc := range []struct {
		path, prefix, rest string
		ok                 bool
	}{
		{"/acme/x", "/acme", "/x", true},
		{"/acme", "/acme", "", true},
		{"/acme/", "/acme", "/", true},
		{"/acme//x", "/acme", "//x", true},
		{"/ACME/x", "/acme", "/x", true},
		{"/%61cme/x%2Fy", "/acme", "/x%2Fy", true},
		{"/acmes/x", "/acme", "/acmes/x", false},
		{"/acme%2Fx", "/acme", "/acme%2Fx", false},
		{"/ac", "/acme", "/ac", false},
		{"", "/acme", "", false},
		{"/a/b/c", "/a/b", "/c", true},
		{"/x", "", "/x", true},
	} {
		rest, ok := StripPrefix(tc.path, tc.prefix)
		if rest != tc.rest || ok != tc.ok {
			t.Errorf("%q without %q: got %q, %v, want %q, %v", tc.path, tc.prefix, rest, ok, tc.rest, tc.ok)
		}
	}
}

func TestValuesOfAConnectionConfig(t *testing.T) {
	for name, value := range map[string]string{"": "x", "a b": "x", "a.b": "x", "a": "", "b": "x\ny", "c": "{env.HOME}"} {
		if err := CheckConfigValue(name, value); err == nil {
			t.Errorf("%q=%q is accepted", name, value)
		}
	}
	if err := CheckConfigValue("tenant_id-1", "acme ${apiKey}"); err != nil {
		t.Error(err)
	}
}
