package gateway

// This file holds the commands over the management API, as processes of their
// own.

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

// command runs caddy apikey-inject, which has to end with this code. What it
// prints never holds a key of these tests: each begins with canary.
func (r *rig) command(code int, stdin string, args ...string) harness.Result {
	r.t.Helper()
	res := r.caddy.Run(stdin, append([]string{"apikey-inject"}, args...)...)
	if res.Code != code {
		r.t.Fatalf("%v: %+v", args, res)
	}
	if strings.Contains(res.Stdout+res.Stderr, "canary") {
		r.t.Fatalf("%v printed a key: %+v", args, res)
	}
	return res
}

// prints fails unless a command printed this, with the times taken out.
func (r *rig) prints(want, stdin string, args ...string) {
	r.t.Helper()
	got := regexp.MustCompile(`\b(now|\d+ seconds? ago)\b`).ReplaceAllString(r.command(0, stdin, args...).Stdout, "AGO")
	squeeze := func(s string) string {
		return regexp.MustCompile(` {2,}`).ReplaceAllString(strings.TrimSpace(strings.ReplaceAll(s, "\t", "")), " | ")
	}
	if squeeze(got) != squeeze(want) {
		r.t.Errorf("%v printed\n%s\nwant\n%s", args, squeeze(got), squeeze(want))
	}
}

// in gives a subtest its own t.
func (r *rig) in(name string, f func()) {
	outer := r.t
	outer.Run(name, func(t *testing.T) {
		r.t = t
		defer func() { r.t = outer }()
		f()
	})
}

func (r *rig) file(name, text string) string {
	r.t.Helper()
	path := filepath.Join(r.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return path
}

func TestCommands(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]settings{"vault": {}, "local": {local: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.global = "\t\tintegration own https://own.example {\n\t\t\tname X-Key\n\t\t\tkey own/key\n\t\t}\n"
			r := newRig(t, s)
			r.commands()
		})
	}
}

// commands are steps that follow each other.
func (r *rig) commands() {
	up := r.up.URL()
	r.in("an integration is made from flags", func() {
		r.prints("Made integration acme, to "+up+".", "",
			"integrations", "create", "acme", "--base-url", up, "--name", "Authorization", "--template", "Api-Key ${apiKey}", "--display-name", "Acme")
	})
	r.in("another one from a file", func() {
		r.prints("Made integration beta, to "+up+".", "", "integrations", "create", "--file",
			r.file("beta.json", fmt.Sprintf(`{"provider": "private-api-bearer", "unique_key": "beta", "integration_config": {"baseUrl": %q}}`, up)))
	})
	r.in("it is listed and shown", func() {
		r.prints(fmt.Sprintf(`INTEGRATION  BASE URL  PLACEMENT  NAME  FROM
acme  %[1]s  header  Authorization  api
beta  %[1]s  header  Authorization  api
own  https://own.example  header  X-Key  config`, up), "", "integrations", "list")
		r.prints(fmt.Sprintf(`Integration  acme
Display name  Acme
Provider  private-api-generic
Base URL  %s
Placement  header
Name  Authorization
Template  Api-Key ${apiKey}
Label  API Key
From  api
Changed  AGO`, up), "", "integrations", "show", "acme")
		for _, step := range [][2]string{
			{`{"refused_statuses": [401, 403], "refused_after": 2}`, `Refused by +401 403\nRefused after +2 refusals\n`},
			{`{"refused_statuses": [], "refused_after": null}`, `Refused by +off\nFrom `},
		} {
			r.command(0, step[0], "integrations", "update", "beta", "--file", "-")
			if out := r.command(0, "", "integrations", "show", "beta").Stdout; !regexp.MustCompile(step[1]).MatchString(out) {
				r.t.Errorf("with %s it is shown as\n%s", step[0], out)
			}
		}
		var all []map[string]any
		if err := json.Unmarshal([]byte(r.command(0, "", "integrations", "list", "--json").Stdout), &all); err != nil || len(all) != 3 {
			r.t.Errorf("%d integrations, %v", len(all), err)
		}
	})
	r.in("a connection is made with a key from standard input", func() {
		r.prints("Made connection cust-1 of acme, version 1 of its key.", "canary-of-1\n",
			"connections", "create", "acme", "cust-1", "--tag", "plan=pro", "--end-user", "user-1", "--metadata", `{"a": 1}`, "--connection-config", "region=eu")
		r.prints("Made connection cust-2 of acme, version 1 of its key.", "canary-of-2", "connections", "create", "acme", "cust-2")
		if got := r.sent("acme", "cust-1"); got != "Api-Key canary-of-1" {
			r.t.Errorf("the upstream got %q", got)
		}
	})
	r.in("connections are found by filters", func() {
		row := "INTEGRATION  CONNECTION  STATUS  VERSION  WRITTEN  USED  END USER\nacme  cust-1  ok  1" + strings.Repeat("  AGO", 2) + "  user-1"
		for _, filter := range [][]string{{"--tag", "plan=pro"}, {"--end-user", "user-1"}, {"--search", "cust-1"}, {"--integration", "acme", "--search", "user"}} {
			r.prints(row, "", append([]string{"connections", "list"}, filter...)...)
		}
		r.prints("There are no such connections.", "", "connections", "list", "--integration", "beta")
		var some []map[string]any
		if err := json.Unmarshal([]byte(r.command(0, "", "connections", "list", "--limit", "1", "--json").Stdout), &some); err != nil || len(some) != 1 {
			r.t.Errorf("%d connections, %v", len(some), err)
		}
		shown := r.command(0, "", "connections", "show", "acme", "cust-1").Stdout
		for _, part := range []string{"end_user_id=user-1, plan=pro", "region=eu", `{"a":1}`} {
			if !strings.Contains(strings.ReplaceAll(shown, ": ", ":"), part) {
				r.t.Errorf("show printed no %q:\n%s", part, shown)
			}
		}
	})
	r.in("what describes a connection is changed", func() {
		r.prints("Changed connection cust-1 of acme.", "", "connections", "update", "acme", "cust-1",
			"--tag", "plan=gold", "--connection-config", "zone=b", "--metadata", `{"b": [2]}`, "--end-user", "user-1", "--end-user-email", "u@acme.example")
		out := r.command(0, "", "connections", "update", "acme", "cust-1", "--connection-config", "region=", "--json").Stdout
		var c struct {
			ID       string            `json:"connection_id"`
			Version  int               `json:"key_version"`
			Tags     map[string]string `json:"tags"`
			Config   map[string]string `json:"connection_config"`
			Metadata map[string]any    `json:"metadata"`
		}
		if err := json.Unmarshal([]byte(out), &c); err != nil || c.ID != "cust-1" || c.Version != 1 || c.Tags["plan"] != "gold" || c.Tags["end_user_email"] != "u@acme.example" ||
			len(c.Config) != 1 || c.Config["zone"] != "b" || fmt.Sprint(c.Metadata) != "map[a:1 b:[2]]" {
			r.t.Errorf("%v, %s", err, out)
		}
		r.prints("Changed connection cust-1 of acme.", "", "connections", "update", "acme", "cust-1", "--metadata", `{"b": null}`)
	})
	r.in("a rotated key is on the next request", func() {
		r.prints("Rotated connection cust-1 of acme, version 2 of its key.", "canary-of-1-new\n", "rotate", "acme", "cust-1")
		if got := r.sent("acme", "cust-1"); got != "Api-Key canary-of-1-new" {
			r.t.Errorf("the upstream got %q", got)
		}
	})
	r.in("what is held of a key is forgotten, and read again", func() {
		r.prints("Forgot the key of connection cust-1 of acme, which was version 2, fresh.", "", "invalidate", "acme", "cust-1")
		r.prints("Nothing was held of the key of connection cust-1 of acme.", "", "invalidate", "acme", "cust-1")
		r.prints("Read the key of connection cust-1 of acme: version 2, fresh, written AGO.", "", "refresh", "acme", "cust-1")
		out := r.command(0, "", "invalidate", "acme", "cust-1", "--json").Stdout
		if !strings.Contains(out, `"state": "fresh"`) || !strings.Contains(out, `"version": 2`) || !strings.Contains(out, `"connection": "cust-1"`) {
			r.t.Errorf("printed %s", out)
		}
		if got := r.sent("acme", "cust-1"); got != "Api-Key canary-of-1-new" {
			r.t.Errorf("the upstream got %q", got)
		}
	})
	r.in("what is disabled is refused until it is enabled", func() {
		for _, args := range [][]string{{"acme", "cust-1"}, {"acme"}} {
			r.command(0, "", append([]string{"disable"}, args...)...)
			if got := r.sent("acme", "cust-1"); got != "disabled" {
				r.t.Errorf("disabled %v: the upstream got %q", args, got)
			}
			if out := r.command(0, "", "status", "--status", "disabled").Stdout; !strings.Contains(out, "cust-1") {
				r.t.Errorf("status shows\n%s", out)
			}
			r.command(0, "", append([]string{"enable"}, args...)...)
			if got := r.sent("acme", "cust-1"); got != "Api-Key canary-of-1-new" {
				r.t.Errorf("enabled %v: the upstream got %q", args, got)
			}
		}
	})
	r.in("status shows stores and keys", func() {
		out := r.command(0, "", "status", "--integration", "acme").Stdout
		if !regexp.MustCompile(`(?m)^(vault|local) +(vault|local) +reachable`).MatchString(out) || !regexp.MustCompile(`(?m)^acme +cust-1 +ok +2 `).MatchString(out) ||
			strings.Contains(out, "beta") {
			r.t.Errorf("status printed\n%s", out)
		}
		if !strings.Contains(out, "\n2 connections: 2 ok\n") {
			r.t.Errorf("status printed no totals:\n%s", out)
		}
		var all struct {
			Totals                    map[string]int
			Connections, Integrations []any
		}
		if err := json.Unmarshal([]byte(r.command(0, "", "status", "--json", "--exit-code").Stdout), &all); err != nil || len(all.Connections) != 2 || len(all.Integrations) != 3 || all.Totals["ok"] != 2 {
			r.t.Errorf("%v, %v", all, err)
		}
	})
	r.in("the exit code of status tells that something needs somebody", func() {
		r.up.Always(harness.Text(http.StatusUnauthorized, "no"))
		if a := r.proxy("acme", "cust-1", http.MethodGet, "/", ""); a.status != http.StatusUnauthorized {
			r.t.Errorf("the upstream's refusal came as %d", a.status)
		}
		r.up.Always(harness.Text(http.StatusOK, "ok"))
		if out := r.command(0, "", "status").Stdout; !regexp.MustCompile(`(?m)^acme +cust-1 +auth_failed +2 .*(now|ago)$`).MatchString(out) || !strings.Contains(out, "1 ok, 1 auth_failed") {
			r.t.Errorf("status printed\n%s", out)
		}
		if out := r.command(1, "", "status", "--status", "ok", "--exit-code"); strings.Contains(out.Stdout, "cust-1") || !strings.Contains(out.Stderr, "1 store or key to look after") {
			r.t.Errorf("status printed\n%s%s", out.Stdout, out.Stderr)
		}
		r.sent("acme", "cust-1")
		until(r.t, 10*time.Second, "the success to be written down", func() bool { return r.status("acme", "cust-1") == "ok" })
		r.command(0, "", "status", "--exit-code")
	})
	r.in("an integration is changed", func() {
		r.prints("Changed integration acme, to "+up+".", "", "integrations", "update", "acme", "--template", "Token ${apiKey}")
		if got := r.sent("acme", "cust-1"); got != "Token canary-of-1-new" {
			r.t.Errorf("the upstream got %q", got)
		}
	})
	r.in("a key follows a base URL that moved once that is confirmed", func() {
		moved := strings.Replace(up, "127.0.0.1", "127.0.0.1.nip.example", 1)
		r.command(0, "", "integrations", "update", "acme", "--base-url", moved)
		if got := r.sent("acme", "cust-1"); got != "origin_changed" {
			r.t.Errorf("the upstream got %q", got)
		}
		r.command(0, "", "integrations", "update", "acme", "--base-url", strings.Replace(up, "http:", "https:", 1))
		r.prints("Keys of acme may go where its base URL leads.", "", "integrations", "confirm-origin", "acme")
		r.command(0, "", "integrations", "update", "acme", "--base-url", up)
		if got := r.sent("acme", "cust-1"); got != "origin_changed" {
			r.t.Errorf("the upstream got %q", got)
		}
		r.command(0, "", "integrations", "confirm-origin", "acme")
		if got := r.sent("acme", "cust-1"); got != "Token canary-of-1-new" {
			r.t.Errorf("the upstream got %q", got)
		}
	})
	r.in("a deleted connection is unknown", func() {
		r.prints("Deleted connection cust-1 of acme, and its key.", "", "connections", "delete", "acme", "cust-1")
		if got := r.sent("acme", "cust-1"); got != "unknown_connection" {
			r.t.Errorf("the upstream got %q", got)
		}
	})
	r.in("an integration with connections is deleted by force only", func() {
		if res := r.command(1, "", "integrations", "delete", "acme"); !strings.Contains(res.Stderr, "has connections") {
			r.t.Errorf("got %+v", res)
		}
		r.prints("Deleted integration acme.", "", "integrations", "delete", "acme", "--force")
		if got := r.sent("acme", "cust-2"); got != "unknown_provider_config" {
			r.t.Errorf("the upstream got %q", got)
		}
	})
}

func TestCommandsRefuse(t *testing.T) {
	r := newRig(t, settings{local: true, global: "\t\tintegration own https://own.example {\n\t\t\tname X-Key\n\t\t\tkey own/key\n\t\t}\n"})
	r.integration("acme", "")
	r.connection("acme", "cust-1", "canary-held")
	const key = "must not be an argument"
	nobody := fmt.Sprintf("127.0.0.1:%d", harness.Port(t))
	for _, tc := range []struct{ name, stdin, want, args string }{
		{"a key as an argument of rotate", "", key, "rotate acme cust-1 canary-typed"},
		{"a key as an argument of create", "", key, "connections create acme cust-2 canary-typed"},
		{"rotate without a connection", "", "write: rotate <integration> <connection>", "rotate acme"},
		{"rotate what is not there", "canary-x", `there is no connection \"cust-2\" of integration \"acme\"; caddy apikey-inject connections create makes one`, "rotate acme cust-2"},
		{"rotate of an unknown integration", "canary-x", `Integration \"nope\" does not exist`, "rotate nope cust-1"},
		{"create what is there", "canary-x", `there is a connection \"cust-1\" of integration \"acme\" already`, "connections create acme cust-1"},
		{"no key", "\n", "the key is empty", "rotate acme cust-1"},
		{"two lines of key", "canary-a\ncanary-b\n", "control character at byte 8", "connections create acme cust-2"},
		{"a slash in an id", "", "is no connection id", "connections show acme a/b"},
		{"an id that climbs", "", "is no connection id", "connections delete acme .."},
		{"no base URL and no name", "", "Base URL is required (integration_config.baseUrl); Key name is required (integration_config.keyName)", "integrations create x"},
		{"a template without a key", "", "Value template has an invalid format: does not contain ${apiKey}; allowed are ${apiKey}, ${connectionConfig.NAME} and ${base64(...)} (integration_config.valueTemplate)", "integrations create x --base-url https://x --name K --template T"},
		{"an integration twice", "", "Unique key already exists (unique_key)", "integrations create acme --base-url https://x --name K"},
		{"nothing to change", "", "there is nothing to change", "integrations update acme"},
		{"no change of a connection", "", "there is nothing to change", "connections update acme cust-1"},
		{"a change of what is not there", "", `Connection \"cust-2\"`, "connections update acme cust-2 --tag a=b"},
		{"metadata that are none", "", "--metadata is no JSON", "connections update acme cust-1 --metadata {"},
		{"a name of the connection_config that is none", "", "Connection config", "connections update acme cust-1 --connection-config a.b=x"},
		{"refresh of a key that is not there", "", "own/key", "refresh own"},
		{"refresh of nothing", "", "write: refresh <integration> [<connection>]", "refresh"},
		{"refresh of an unknown connection", "", "cust-2", "refresh acme cust-2"},
		{"invalidate of an unknown integration", "", "nope", "invalidate nope"},
		{"a file and flags", "", "no other flag may describe it", "integrations update acme --file - --name X"},
		{"a file that is no JSON", "canary", "- holds no JSON object", "integrations update acme --file -"},
		{"an integration of the configuration", "", "is defined in the Caddy config", "integrations update own --name X"},
		{"disabling one of the configuration", "", "is defined in the Caddy config", "disable own"},
		{"a tag without a value", "", "--tag needs name=value", "connections list --tag plan"},
		{"an unknown status", "", `did you mean \"stale\"?`, "status --status stail"},
		{"an unknown command", "", `did you mean "rotate"?`, "rotat"},
		{"an unknown command below", "", `did you mean "create"?`, "integrations crate"},
		{"an import of nothing", "", "there is nothing to import", "import -"},
		{"an export of nothing", "", `there is no integration \"nope\"`, "export --integration nope"},
		{"an export over a file", "", "file exists", "export " + r.file("there", "x")},
		{"nobody listens", "", "connection refused", "status --address " + nobody},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r.t = t
			res := r.command(1, tc.stdin, strings.Fields(tc.args)...)
			if !strings.Contains(res.Stderr, tc.want) || res.Stdout != "" && !strings.Contains(tc.want, "did you mean") {
				t.Errorf("got %+v, want %q", res, tc.want)
			}
		})
	}
	r.t = t
	if got := r.sent("acme", "cust-1"); got != "Api-Key canary-held" {
		t.Errorf("after refusals only the upstream got %q", got)
	}
	if log := r.caddy.Log.String(); strings.Contains(log, "canary-x") || strings.Contains(log, "canary-typed") {
		t.Error("Caddy's log holds a key")
	}
	if status, _, _ := r.caddy.Do(http.MethodGet, "/apikey_inject/integrations/x", ""); status != http.StatusNotFound {
		t.Errorf("a refused integration is there: %d", status)
	}
}
