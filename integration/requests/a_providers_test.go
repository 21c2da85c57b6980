// A12: the placements of real APIs, row by row.

package requests

import (
	"encoding/csv"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

type provider struct{ name, placement, keyName, template, baseURL string }

// providers returns the rows that need nothing of a connection. Columns:
// provider, placement, key_name, value_template, base_url, and two more.
func providers(t *testing.T) []provider {
	t.Helper()
	f, err := os.Open("../testdata/providers-placement.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var out []provider
	for i, row := range rows[1:] {
		if !strings.Contains(strings.Join(row, ""), "${connectionConfig.") {
			name := fmt.Sprintf("%s-%d", row[0], i+2) // by line: one name stands twice
			out = append(out, provider{name, row[1], row[2], row[3], row[4]})
		}
	}
	if len(out) != 225 {
		t.Fatalf("%d rows, want 225", len(out))
	}
	return out
}

// integrations is the global option with one integration for each row.
func integrations(rows []provider, base func(string) string) string {
	var b strings.Builder
	b.WriteString("\tapikey_inject {\n\t\tstore vault\n")
	for _, p := range rows {
		fmt.Fprintf(&b, "\t\tintegration %s %s {\n\t\t\tplacement %s\n\t\t\tname %s\n\t\t\ttemplate %q\n\t\t\tkey prod\n\t\t\tallow anyone\n\t\t}\n",
			p.name, base(p.baseURL), p.placement, p.keyName, p.template)
	}
	b.WriteString("\t}\n")
	return b.String()
}

func TestA12PlacementsOfRealAPIs(t *testing.T) {
	rows := providers(t)
	u := harness.NewUpstream(t, nil)
	r := newRig(t)
	r.options.WriteString(integrations(rows, func(base string) string {
		real, err := url.Parse(base)
		if err != nil {
			t.Fatal(err)
		}
		return u.URL() + real.EscapedPath()
	}))
	var routes strings.Builder
	for _, p := range rows {
		fmt.Fprintf(&routes, "\tapikey_inject /%s/* %s {\n\t\tstrip_prefix /%s\n\t}\n", p.name, p.name, p.name)
	}
	addr := r.site(routes.String())
	r.start()

	conn := harness.DialRaw(t, addr, nil)
	for _, p := range rows {
		t.Run("A12 "+p.name, func(t *testing.T) {
			u.Forget()
			conn.Send(get(addr, "/"+p.name+"/v9/things?q=a%20b"))
			if answer := conn.Receive("GET"); answer.Status != 200 {
				t.Fatalf("answered %q", answer.Raw)
			}
			got, value := u.Only(), strings.ReplaceAll(p.template, "${apiKey}", key)
			base, _ := url.Parse(p.baseURL)
			target := strings.TrimRight(base.EscapedPath(), "/") + "/v9/things?q=a%20b"
			if p.placement == "query" {
				target += "&" + p.keyName + "=" + value
			} else if have := got.Values(p.keyName); len(have) != 1 || have[0] != value {
				t.Errorf("received %s %q, want %q", p.keyName, have, value)
			}
			if got.Target != target || strings.Count(got.String(), key) != 1 {
				t.Errorf("received %s, want %s with one key", got, target)
			}
		})
	}
}

func TestA12PlacementsLoadWithTheirOwnHosts(t *testing.T) {
	rows := providers(t)
	config := "{\n" + integrations(rows, func(base string) string { return base }) + "}\n" + harness.Site(harness.Port(t), "\tapikey_inject "+rows[0].name)
	if v := harness.Validate(t, config, harness.Env("VAULT_ADDR=http://127.0.0.1:1", "VAULT_TOKEN=x")); v.Code != 0 {
		t.Errorf("validate: %s", v.Stderr)
	}
}
