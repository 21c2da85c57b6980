package inject

import (
	"encoding/csv"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

func template(t *testing.T, s string) *BaseTemplate {
	t.Helper()
	tmpl, err := ParseBaseTemplate(s)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return tmpl
}

// written is where a base leads, path included.
func written(b *Base) string { return b.Scheme + "://" + b.Host + b.rawPath }

func TestPlacesOfABaseURL(t *testing.T) {
	for name, tc := range map[string]struct {
		template string
		config   map[string]string
		want     string
	}{
		"no placeholder":              {"https://API.example:443/v1/", nil, "https://api.example/v1"},
		"a label":                     {"https://${connectionConfig.t}.Example.com/v1", map[string]string{"t": "Acme"}, "https://acme.example.com/v1"},
		"two labels":                  {"https://${connectionConfig.t}.${connectionConfig.r}.example", map[string]string{"t": "a", "r": "eu-1"}, "https://a.eu-1.example"},
		"a label between others":      {"https://x.${connectionConfig.t}.example", map[string]string{"t": "a"}, "https://x.a.example"},
		"a label and IDNA":            {"https://${connectionConfig.t}.bücher.example", map[string]string{"t": "a"}, "https://a.xn--bcher-kva.example"},
		"the last label":              {"https://api.jiminny.${connectionConfig.r}/x", map[string]string{"r": "eu"}, "https://api.jiminny.eu/x"},
		"the last labels":             {"https://api.${connectionConfig.s}/api", map[string]string{"s": "us5.datadoghq.com"}, "https://api.us5.datadoghq.com/api"},
		"the whole host":              {"https://${connectionConfig.h}/api", map[string]string{"h": "Git.Example.org"}, "https://git.example.org/api"},
		"the whole host and its port": {"https://${connectionConfig.h}/api", map[string]string{"h": "git.example:8443"}, "https://git.example:8443/api"},
		"its default port":            {"https://${connectionConfig.h}", map[string]string{"h": "git.example:443"}, "https://git.example"},
		"an IPv4 address":             {"http://${connectionConfig.h}", map[string]string{"h": "192.0.2.1"}, "http://192.0.2.1"},
		"an IPv6 address":             {"https://${connectionConfig.h}", map[string]string{"h": "[2001:DB8::1]"}, "https://[2001:db8::1]"},
		"an IPv6 address and a port":  {"https://${connectionConfig.h}", map[string]string{"h": "[2001:db8::1]:8443"}, "https://[2001:db8::1]:8443"},
		"a host and a fixed port":     {"https://${connectionConfig.h}:8443/x", map[string]string{"h": "git.example"}, "https://git.example:8443/x"},
		"a host and a port":           {"https://${connectionConfig.h}:${connectionConfig.p}", map[string]string{"h": "a.example", "p": "80"}, "https://a.example:80"},
		"a label and a port":          {"https://${connectionConfig.s}.unipile.com:${connectionConfig.p}", map[string]string{"s": "a", "p": "443"}, "https://a.unipile.com"},
		"the port of an address":      {"http://[::1]:${connectionConfig.p}/x", map[string]string{"p": "8080"}, "http://[::1]:8080/x"},
		"a segment":                   {"https://h/v2/${connectionConfig.id}/api/", map[string]string{"id": "pub_1"}, "https://h/v2/pub_1/api"},
		"a segment to escape":         {"https://h/${connectionConfig.id}", map[string]string{"id": "a b;c,é%zz${x}"}, "https://h/a%20b%3Bc%2C%C3%A9%25zz$%7Bx%7D"},
		"a segment among escapes":     {"https://h/a%2fb/${connectionConfig.id}", map[string]string{"id": "c"}, "https://h/a%2fb/c"},
		"a host and a segment":        {"https://${connectionConfig.h}/rest/${connectionConfig.c}", map[string]string{"h": "shop.example", "c": "de"}, "https://shop.example/rest/de"},
		"the whole URL":               {"${connectionConfig.u}", map[string]string{"u": "http://scim.example/v2/"}, "http://scim.example/v2"},
		"the beginning":               {"${connectionConfig.u}/api/${connectionConfig.id}", map[string]string{"u": "https://n8n.example:5678/x/", "id": "7"}, "https://n8n.example:5678/x/api/7"},
		"the beginning before a /":    {"${connectionConfig.u}/", map[string]string{"u": "https://h/x"}, "https://h/x"},
		"one field twice":             {"https://${connectionConfig.t}.example/${connectionConfig.t}", map[string]string{"t": "a"}, "https://a.example/a"},
		"a name that needs no IDNA":   {"https://${connectionConfig.t}.example", map[string]string{"t": "ab--cd"}, "https://ab--cd.example"},
	} {
		t.Run(name, func(t *testing.T) {
			tmpl := template(t, tc.template)
			if tmpl.String() != tc.template {
				t.Errorf("String is %q", tmpl)
			}
			if (tmpl.Fixed() != nil) != (tc.config == nil) {
				t.Errorf("Fixed is %v", tmpl.Fixed())
			}
			b, err := tmpl.Resolve(tc.config)
			if err != nil {
				t.Fatal(err)
			}
			if got := written(b); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
			same, err := ParseBase(tc.want)
			if err != nil || *same != *b {
				t.Errorf("got %+v, want what ParseBase makes of it: %+v, %v", *b, same, err)
			}
			for f, v := range tc.config {
				if err := tmpl.CheckField(f, v); err != nil {
					t.Errorf("refused when written: %v", err)
				}
			}
			if got := slices.Sorted(slices.Values(tmpl.Fields())); !slices.Equal(got, slices.Sorted(maps.Keys(tc.config))) {
				t.Errorf("fields %q", got)
			}
		})
	}
}

func TestBaseTemplatesThatAreRefused(t *testing.T) {
	for name, tc := range map[string]struct{ url, says string }{
		"the key":                        {"https://${apiKey}.example", "unknown placeholder ${apiKey}"},
		"the key in the path":            {"https://h/${apiKey}", "unknown placeholder ${apiKey}"},
		"an unknown placeholder":         {"https://h/${tenant}", "unknown placeholder ${tenant}"},
		"an empty name":                  {"https://h/${connectionConfig.}", "unknown placeholder"},
		"a name that is none":            {"https://h/${connectionConfig.a b}", "unknown placeholder"},
		"not closed":                     {"https://h/${connectionConfig.a", "not closed"},
		"a scheme":                       {"${connectionConfig.s}://h", "does not end at a slash"},
		"a part of a scheme":             {"http${connectionConfig.s}://h", "beside other text"},
		"a beginning before a host":      {"${connectionConfig.u}.example/x", "does not end at a slash"},
		"a beginning before a port":      {"${connectionConfig.u}:8443/x", "does not end at a slash"},
		"no scheme":                      {"api.${connectionConfig.t}.example", "has no scheme"},
		"another scheme":                 {"ftp://${connectionConfig.t}.example", "scheme"},
		"a part of a label":              {"https://api-${connectionConfig.t}.example", "beside other text"},
		"two in one label":               {"https://${connectionConfig.a}${connectionConfig.b}.example", "beside other text"},
		"in brackets":                    {"https://[${connectionConfig.a}]/", "not a valid URL"},
		"a part of a port":               {"https://h:80${connectionConfig.p}", "beside other text"},
		"a part of a segment":            {"https://h/v${connectionConfig.v}", "beside other text"},
		"a user":                         {"https://hunter2:${connectionConfig.p}@h", "user or password"},
		"a query":                        {"https://h/?t=${connectionConfig.t}", "query"},
		"a fragment":                     {"https://h/#${connectionConfig.t}", "fragment"},
		"a dot segment":                  {"https://h/../${connectionConfig.t}", "segment"},
		"an empty label":                 {"https://${connectionConfig.t}..example", "host name"},
		"a dot that is none":             {"https://${connectionConfig.t}。example", "beside other text"},
		"two labels written as one":      {"https://a。b.${connectionConfig.t}", "beside other text"},
		"a colon without a port":         {"https://${connectionConfig.t}:/", "no port"},
		"a wrong port":                   {"https://${connectionConfig.t}:99999/", "port"},
		"a control character":            {"https://${connectionConfig.t}\x00", "control character"},
		"a placeholder of Caddy":         {"https://{env.H}/${connectionConfig.t}", "Caddy placeholder"},
		"braces":                         {"https://{h}/${connectionConfig.t}", "placeholder"},
		"an empty candidate":             {"https://${connectionConfig.t} || ", "is required"},
		"a candidate that is not used":   {"https://h || https://${connectionConfig.t}", "never used"},
		"a wrong candidate":              {"https://${connectionConfig.t} || https://u:hunter2@h", "user or password"},
		"two candidates and no field":    {"https://h || https://i", "not a valid URL"},
		"nothing":                        {"", "is required"},
		"a fixed URL with a query":       {"https://h/?a", "query"},
		"a placeholder behind the slash": {"https:///${connectionConfig.t}", "no host"},
	} {
		t.Run(name, func(t *testing.T) {
			tmpl, err := ParseBaseTemplate(tc.url)
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Fatalf("%q: got %v, %v, want an error that says %q", tc.url, tmpl, err, tc.says)
			}
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), mark) {
				t.Errorf("the error says too much: %q", err)
			}
		})
	}
}

// J8, and what else would leave its place.
func TestValuesThatWouldLeaveTheirPlaceAreRefused(t *testing.T) {
	everywhere := []string{"h/../x", "a@b", "u:hunter2@b", "a#", "a?", "a/b", `a\b`, "a\nb", "a\x00", "a\x7f", "..", "."}
	host := append([]string{"a b", "a%2eb", "ａ", "é", "-a", "a-", "a..b", ".a", "a.", "a_b", "a:b", "${connectionConfig.x}", strings.Repeat("a", 64)}, everywhere...)
	for name, tc := range map[string]struct {
		template string
		values   []string
	}{
		"label":       {"https://${connectionConfig.x}.example", append(host, "a.b", "a:80", "[::1]")},
		"labels":      {"https://api.${connectionConfig.x}", append(host, "a:80", "[::1]", strings.Repeat("a.", 126)+"ab")},
		"host":        {"https://${connectionConfig.x}", append(host, "a:", "a:0", "a:65536", "a:080", "a:80:80", ":80", "::1", "[::1", "[::1]a", "[::1]:", "[1.2.3.4]", "[fe80::1%25eth0]", "[fe80::1%eth0]")},
		"host only":   {"https://${connectionConfig.x}:8443", append(host, "a:80", "::1", "[::1", "[::1]:80", strings.Repeat("a.", 127)+"a")},
		"port":        {"https://h.example:${connectionConfig.x}", append(everywhere, "0", "65536", "-1", "+1", "080", "1_0", "a", "80/", "８0", "80@evil.example")},
		"segment":     {"https://h.example/v1/${connectionConfig.x}", append(everywhere, "%2e%2e", "%2E.", "%252e", "..;a", "a%2fb", "a%255Cb", "a%00", "a%3fb", "..%00")},
		"first":       {"https://h.example/${connectionConfig.x}/v1", everywhere},
		"whole":       {"${connectionConfig.x}", append(everywhere, "h.example", "//h", "ftp://h", "https://u:hunter2@h", "https:///u:hunter2@h", "https://h/?", "https://h/#", "https://h/../x", "https://h/%2e%2e", "https://", "https://h:", "https://{env.H}", "https://${apiKey}", "https://h/${connectionConfig.x}", "https://h || https://i")},
		"beginning":   {"${connectionConfig.x}/api", append(everywhere, "https://h/a/..", "https://h?", "https://h/a/..;", "https://h/..%2f")},
		"second":      {"https://${connectionConfig.y}.example || https://h/${connectionConfig.x}", everywhere},
		"label again": {"https://a.example/${connectionConfig.x} || https://${connectionConfig.x}.example", []string{"a/b", ".."}},
	} {
		t.Run(name, func(t *testing.T) {
			tmpl := template(t, tc.template)
			for _, v := range tc.values {
				var bad *FieldError
				if err := tmpl.CheckField("x", v); !errors.As(err, &bad) || bad.Name != "x" || bad.Reason == "" {
					t.Errorf("%q when written: got %v", v, err)
				}
				b, err := tmpl.Resolve(map[string]string{"x": v})
				if !errors.As(err, &bad) || bad.Name != "x" {
					t.Errorf("%q when used: got %v, %v", v, b, err)
					continue
				}
				if msg := err.Error(); len(v) > 6 && strings.Contains(msg, v) || strings.Contains(msg, "hunter2") || strings.ContainsAny(msg, "\x00\n") {
					t.Errorf("the error holds the value: %q", msg)
				}
			}
			var missing *MissingFieldError
			if _, err := tmpl.Resolve(nil); !errors.As(err, &missing) || missing.Name != "x" {
				t.Errorf("without a value: got %v", err)
			}
			if _, err := tmpl.Resolve(map[string]string{"x": ""}); !errors.As(err, &missing) || missing.Name != "x" {
				t.Errorf("with an empty value: got %v", err)
			}
			var bad *FieldError
			if err := tmpl.CheckField("x", ""); !errors.As(err, &bad) {
				t.Errorf("an empty value when written: got %v", err)
			}
			if err := tmpl.CheckField("other", "a@b"); err != nil {
				t.Errorf("a field it does not have: %v", err)
			}
		})
	}
}

func TestAFieldIsCheckedWhereverItStands(t *testing.T) {
	tmpl := template(t, "https://h.example/${connectionConfig.x} || https://${connectionConfig.x}.example")
	if err := tmpl.CheckField("x", "a b"); err == nil {
		t.Error("a value that fits only the first candidate is accepted")
	}
}

func TestLabelsThatAreTooLongTogether(t *testing.T) {
	long := strings.Repeat(strings.Repeat("a", 61)+".", 3) + "a"
	tmpl := template(t, "https://${connectionConfig.x}."+strings.Repeat("b", 60)+".${connectionConfig.y}")
	_, err := tmpl.Resolve(map[string]string{"x": "aaaaa", "y": long})
	var bad *FieldError
	if !errors.As(err, &bad) || bad.Name != "x" {
		t.Errorf("got %v", err)
	}
}

func TestTheFirstCandidateWhoseValuesAreThereIsTaken(t *testing.T) {
	tmpl := template(t, "https://${connectionConfig.alias} || https://${connectionConfig.sub}.crm.example:${connectionConfig.port}||https://crm.example/v1")
	for _, tc := range []struct {
		config map[string]string
		want   string
	}{
		{map[string]string{"alias": "crm.acme.example", "sub": "acme", "port": "1"}, "https://crm.acme.example"},
		{map[string]string{"alias": "", "sub": "acme", "port": "8443"}, "https://acme.crm.example:8443"},
		{map[string]string{"sub": "acme"}, "https://crm.example/v1"},
		{nil, "https://crm.example/v1"},
	} {
		if b, err := tmpl.Resolve(tc.config); err != nil || written(b) != tc.want {
			t.Errorf("%v: got %v, %v, want %s", tc.config, b, err, tc.want)
		}
	}
	if b, err := tmpl.Resolve(map[string]string{"alias": "a/b", "sub": "acme", "port": "1"}); err == nil {
		t.Errorf("an ill-formed value falls through to %s", written(b))
	}
	if got := strings.Join(tmpl.Fields(), " "); got != "alias sub port" {
		t.Errorf("fields %q", got)
	}
	if tmpl.Fixed() != nil {
		t.Error("it is taken for fixed")
	}
}

func TestResolvedBasesAreNotShared(t *testing.T) {
	tmpl := template(t, "https://h/${connectionConfig.x}")
	a, errA := tmpl.Resolve(map[string]string{"x": "a"})
	b, errB := tmpl.Resolve(map[string]string{"x": "b"})
	if errA != nil || errB != nil || written(a) != "https://h/a" || written(b) != "https://h/b" {
		t.Errorf("got %v, %v and %v, %v", a, errA, b, errB)
	}
}

func TestOrigins(t *testing.T) {
	const x, y = "${connectionConfig.x}", "${connectionConfig.y}"
	for _, tc := range []struct{ template, want string }{
		{"HTTPS://API.Example:443/v1", "https://api.example"},
		{"http://api.example:443", "http://api.example:443"},
		{"https://" + x + ".Example.COM:0443/a", "https://" + x + ".example.com"},
		{"https://" + x + ".bücher.example", "https://" + x + ".xn--bcher-kva.example"},
		{"http://" + x + ":80", "http://" + x},
		{"http://" + x + ":8080/" + y, "http://" + x + ":8080"},
		{"https://H:" + x, "https://h:" + x},
		{"https://[2001:DB8::0:1]:" + x, "https://[2001:db8::1]:" + x},
		{"https://H/" + x, "https://h"},
		{x + "/api/" + y, x},
		{"https://" + x + ".a/p || https://" + x + ".A:443/q", "https://" + x + ".a"},
		{"https://" + x + "||https://" + y + ".a/p||" + x, "https://" + x + " || https://" + y + ".a || " + x},
		{"https://" + x + " || https://H/v1", "https://" + x + " || https://h"},
	} {
		if got := template(t, tc.template).Origin(); got != tc.want {
			t.Errorf("%s: got %s, want %s", tc.template, got, tc.want)
		}
	}
	for _, tc := range [][2]string{
		{"https://" + x + ".a", "http://" + x + ".a"},
		{"https://" + x + ".a", "https://" + y + ".a"},
		{"https://" + x + ".a", "https://" + x + ".b"},
		{"https://" + x + ".a", "https://" + x + ".a:8443"},
		{"https://" + x + ".a", "https://" + x + ".a || https://b"},
		{"https://" + x + ".a || https://b", "https://" + y + " || https://b"},
		{x, "https://" + x},
	} {
		if template(t, tc[0]).Origin() == template(t, tc[1]).Origin() {
			t.Errorf("%s and %s have one origin", tc[0], tc[1])
		}
	}
}

// A12: the base URLs of real APIs, each with a value that its place allows.
func TestBaseURLsOfRealAPIs(t *testing.T) {
	f, err := os.Open("../../integration/testdata/providers-placement.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 320 || rows[0][4] != "base_url" {
		t.Fatalf("%d rows, the fifth column is %q", len(rows), rows[0][4])
	}
	templates := 0
	for i, row := range rows[1:] {
		src := row[4]
		tmpl, err := ParseBaseTemplate(src)
		if err != nil {
			t.Errorf("row %d, %s: %v", i+2, row[0], err)
			continue
		}
		config := map[string]string{}
		for _, f := range tmpl.Fields() {
			config[f] = "42" // a label, a host, a port and a segment
		}
		want, _, _ := strings.Cut(src, " || ")
		for f := range config {
			if strings.HasPrefix(want, "${connectionConfig."+f+"}") {
				config[f] = "https://self.example:8443/sub"
			}
			want = strings.ReplaceAll(want, "${connectionConfig."+f+"}", config[f])
		}
		b, err := tmpl.Resolve(config)
		if err != nil {
			t.Errorf("row %d, %s: %v", i+2, src, err)
			continue
		}
		if got := written(b); !strings.EqualFold(got, strings.TrimRight(want, "/")) {
			t.Errorf("row %d, %s: got %s, want %s", i+2, src, got, want)
		}
		if tmpl.Fixed() == nil {
			templates++
		}
	}
	if templates != 94 {
		t.Errorf("%d rows with placeholders", templates)
	}
}

func BenchmarkResolve(b *testing.B) {
	for _, s := range []string{"https://h/v1", "https://h/v1/${connectionConfig.x}", "https://${connectionConfig.x}.example.com/v1", "https://${connectionConfig.x}"} {
		b.Run(s, func(b *testing.B) {
			tmpl, err := ParseBaseTemplate(s)
			if err != nil {
				b.Fatal(err)
			}
			config := map[string]string{"x": "acme"}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := tmpl.Resolve(config); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
