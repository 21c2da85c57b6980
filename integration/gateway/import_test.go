package gateway

// This file holds how integrations and connections are carried from one Caddy,
// or from Nango, to another.

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAnExportIsImportedElsewhere(t *testing.T) {
	from, to := newRig(t, settings{}), newRig(t, settings{local: true})
	from.integration("acme", `, "keyLabel": "Acme key"`)
	from.api(http.StatusOK, http.MethodPatch, "/integrations/acme", `{"refused_statuses": [], "refused_after": 2}`)
	from.connection("acme", "cust-1", "canary-of-1")
	from.command(0, "canary-of-2", "connections", "create", "acme", "cust 2", "--tag", "plan=pro", "--end-user", "user-2", "--metadata", `{"n":12345678901234567890}`, "--connection-config", "region=eu")
	from.command(0, "", "disable", "acme", "cust-1")
	from.api(http.StatusOK, http.MethodPatch, "/integrations/acme", `{"forward_webhooks": false}`)

	file := filepath.Join(t.TempDir(), "export.jsonl")
	if out := from.command(0, "", "export", file).Stdout; !strings.HasPrefix(out, "Wrote 1 integration and 2 connections, without keys, to ") {
		t.Errorf("export printed %q", out)
	}
	text, err := os.ReadFile(file)
	if err != nil || strings.Contains(string(text), "canary") || strings.Count(string(text), "\n") != 3 || !strings.Contains(string(text), `"forward_webhooks":false`) {
		t.Fatalf("%v\n%s", err, text)
	}
	if fi, err := os.Stat(file); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the export: %v %v", fi.Mode(), err)
	}
	if got := from.command(0, "", "export", "--integration", "acme").Stdout; got != string(text) {
		t.Errorf("standard output got\n%s\nthe file\n%s", got, text)
	}

	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	withKey := func(line, key string) string {
		return strings.Replace(line, `{"connection":{`, `{"connection":{"apiKey":"`+key+`",`, 1)
	}
	t.Run("without keys only the integrations are entered", func(t *testing.T) {
		res := to.command(1, string(text), "import", "-")
		if want := "Integrations: 1 made, 0 updated. Connections: 0 made, 0 updated. 2 failed.\n"; res.Stdout != want {
			t.Errorf("printed %q, want %q", res.Stdout, want)
		}
		if !strings.Contains(res.Stderr, "line 2, connection cust") || !strings.Contains(res.Stderr, "the file holds no key for it") {
			t.Errorf("printed %s", res.Stderr)
		}
	})
	t.Run("with keys all of it is, wherever a line stands", func(t *testing.T) {
		res := to.command(0, strings.Join([]string{withKey(lines[2], "canary-b"), withKey(lines[1], "canary-a"), "", lines[0]}, "\n"), "import", "-")
		if want := "Integrations: 0 made, 1 updated. Connections: 2 made, 0 updated. 0 failed.\n"; res.Stdout != want {
			t.Errorf("printed %q, want %q", res.Stdout, want)
		}
		if got := to.command(0, "", "export").Stdout; got != string(text) {
			t.Errorf("what came in goes out as\n%s\nit was\n%s", got, text)
		}
	})
	t.Run("again, without keys, it changes what is there", func(t *testing.T) {
		var sum struct {
			Integrations, Connections struct{ Made, Updated int }
			Failures                  []any
		}
		out := to.command(0, "", "import", file, "--json").Stdout
		if err := json.Unmarshal([]byte(out), &sum); err != nil || sum.Integrations.Updated != 1 || sum.Connections.Updated != 2 || sum.Connections.Made != 0 || sum.Failures == nil || len(sum.Failures) != 0 {
			t.Errorf("%v %s", err, out)
		}
	})
	if got := to.command(0, "", "export").Stdout; got != string(text) {
		t.Errorf("what came in goes out as\n%s\nit was\n%s", got, text)
	}
}

func TestAnImportNamesTheLinesThatFail(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{local: true})
	r.integration("acme", "")
	file := r.file("in.jsonl", strings.Join([]string{
		`{"connection": {"provider_config_key": "acme", "connection_id": "good", "apiKey": "canary-good"}}`,
		`{"connection": {"provider_config_key": "acme", "connection_id": "cut", "apiKey": "canary-cut`,
		`{"provider_config_key": "acme", "connection_id": "number", "apiKey": 4242}`,
		`{"provider_config_key": "acme", "connection_id": "control", "apiKey": "canary\u0007"}`,
		`{"provider_config_key": "none", "connection_id": "orphan", "apiKey": "canary-orphan"}`,
		`{"provider_config_key": "acme", "connection_id": "a/b", "apiKey": "canary-slash"}`,
		`{"provider_config_key": "acme", "connection_id": "oauth", "credentials": {"type": "OAUTH2", "access_token": "canary-oauth"}}`,
		`{"unique_key": "github", "provider": "github"}`,
		`{"unique_key": "bare", "provider": "private-api-generic"}`,
		`{"unique_key": "wrong", "provider": "private-api-generic", "integration_config": {"baseUrl": "ftp://x", "keyName": "K"}}`,
		`["canary-list"]`,
		`{"provider_config_key": "acme", "connection_id": ["canary-id"], "apiKey": "x"}`,
	}, "\n"))
	res := r.command(1, "", "import", file)
	if want := "Integrations: 0 made, 0 updated. Connections: 1 made, 0 updated. 11 failed.\n"; res.Stdout != want {
		t.Errorf("printed %q, want %q", res.Stdout, want)
	}
	lines := make([]string, 0, 11)
	for _, want := range []string{
		"line 2: is no JSON object with",
		"line 3: its key must be a string",
		"line 4, connection control of acme: API key has a control character",
		`line 5, connection orphan of none: Integration "none" does not exist`,
		"line 6: its provider_config_key and connection_id cannot name a connection",
		"line 7, connection oauth of acme: its credentials are of a type that is not kept here",
		"line 8, integration github: its provider is not one whose keys are kept here",
		"line 9, integration bare: it has no integration_config, which a Nango server does not tell",
		"line 10, integration wrong: Base URL has an invalid format: it must begin with https:// or http:// (integration_config.baseUrl)",
		"line 11, item 1: is no JSON object with",
		"line 12: its field connection_id is of a wrong type",
	} {
		if !strings.Contains(res.Stderr, want) {
			t.Errorf("printed no %q:\n%s", want, res.Stderr)
		}
		lines = append(lines, want)
	}
	for n, line := range strings.Split(res.Stderr, "\n")[:len(lines)] {
		if !strings.HasPrefix(line, lines[n]) {
			t.Errorf("at place %d stands %q, not %q", n, line, lines[n])
		}
	}
	if strings.Contains(res.Stderr, "4242") {
		t.Errorf("printed a value:\n%s", res.Stderr)
	}
	if got := r.sent("acme", "good"); got != "Api-Key canary-good" {
		t.Errorf("the upstream got %q", got)
	}
}

// The answers of a Nango server, as it writes them.
func TestWhatNangoAnswersIsImported(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{local: true})
	r.integration("acme-internal", "")
	integrations := r.file("integrations.json", `{"data": [{"unique_key": "acme-internal", "provider": "private-api-generic", "display_name": "Acme from Nango",
		"logo": "https://app.nango.dev/images/x.svg", "forward_webhooks": true, "created_at": "2025-01-01T00:00:00.000Z", "updated_at": "2025-01-01T00:00:00.000Z"}]}`)
	res := r.command(0, "", "import", integrations)
	if want := "Integrations: 0 made, 1 updated. Connections: 0 made, 0 updated. 0 failed.\n"; res.Stdout != want {
		t.Errorf("printed %q", res.Stdout)
	}
	connections := func(key string) string {
		return fmt.Sprintf(`{"connections": [{"id": 12, "connection_id": "5f6d-1", "provider": "private-api-generic", "provider_config_key": "acme-internal",
			"created": "2025-01-01T00:00:00.000Z", "metadata": null, "errors": [], "tags": {"end_user_id": "u1", "plan": "pro"},
			"end_user": {"id": "u1", "display_name": null, "email": "u1@example.com", "tags": null, "organization": {"id": "o1", "display_name": null}}%s}]}`, key)
	}
	if res := r.command(1, connections(""), "import", "-"); !strings.Contains(res.Stderr, "line 1, item 1, connection 5f6d-1 of acme-internal: it is not here yet") {
		t.Errorf("printed %s", res.Stderr)
	}
	r.command(0, connections(`, "credentials": {"type": "API_KEY", "apiKey": "canary-nango"}`), "import", "-")
	if got := r.sent("acme-internal", "5f6d-1"); got != "Api-Key canary-nango" {
		t.Errorf("the upstream got %q", got)
	}
	shown := r.command(0, "", "connections", "show", "acme-internal", "5f6d-1").Stdout
	if !strings.Contains(shown, "end_user_email=u1@example.com, end_user_id=u1, organization_id=o1, plan=pro") {
		t.Errorf("show printed\n%s", shown)
	}
}

func TestAnImportStopsWhereNothingCanBeEntered(t *testing.T) {
	t.Parallel()
	r := newRig(t, settings{})
	r.integration("acme", "")
	lines := make([]string, 0, 5)
	for n := range 5 {
		lines = append(lines, fmt.Sprintf(`{"provider_config_key": "acme", "connection_id": "cust-%d", "apiKey": "canary-%d"}`, n, n))
	}
	text := strings.Join(lines, "\n")
	r.vault.Seal()
	res := r.command(1, text, "import", "-")
	if !strings.Contains(res.Stderr, "Run it again to go on") || !strings.Contains(res.Stdout, "0 made, 0 updated. 1 failed.") {
		t.Errorf("with a sealed Vault: %+v", res)
	}
	r.vault.Unseal()
	if res := r.command(0, text, "import", "-"); !strings.Contains(res.Stdout, "Connections: 5 made, 0 updated. 0 failed.") {
		t.Errorf("afterwards: %+v", res)
	}
}
