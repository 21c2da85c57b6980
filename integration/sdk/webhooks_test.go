package sdk

// This file holds that the SDK takes our webhooks for Nango's.

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

// signing is what webhooks are signed with.
const signing = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// webhook is one that came, as a service would hand it to the SDK.
type webhook struct {
	Body    string            `json:"body"`
	Headers map[string]string `json:"headers"`
}

func TestTheSDKVerifiesOurWebhooks(t *testing.T) {
	t.Parallel()
	up, hooks := harness.NewUpstream(t, nil), harness.NewUpstream(t, nil)
	up.Always(harness.Text(http.StatusUnauthorized, "refused"))
	port := harness.Port(t)
	harness.StartCaddy(t, fmt.Sprintf("{\n\tapikey_inject {\n\t\tstore local\n\t\tegress {\n\t\t\tallow 127.0.0.1\n\t\t}\n\t\tintegration acme %s {\n\t\t\tname X-Api-Key\n\t\t}\n\t}\n}\n%s", up.URL(),
		harness.Site(port, "\tapikey_inject_api {\n\t\ttoken ops {env.OPS}\n\t\twebhook "+hooks.URL()+" {\n\t\t\tsecret {env.SIGNING}\n\t\t}\n\t}\n")),
		harness.Env("OPS="+token, "SIGNING="+signing))
	s := &stand{t: t, url: fmt.Sprintf("http://127.0.0.1:%d", port)}
	s.enter(`{"provider_config_key": "acme", "connection_id": "Größe & Co.", "credentials": {"type": "API_KEY", "apiKey": "k"}, "tags": {"plan": "<pro>"}, "end_user": {"id": "ü"}}`)
	hooks.WaitRequests(1, 30*time.Second) // what waits together comes in any order
	s.call("acme", "Größe & Co.")
	hooks.WaitRequests(2, 30*time.Second)

	sent := make([]webhook, 0, 2*hooks.Hits())
	for _, q := range hooks.Requests() {
		w := webhook{string(q.Body), map[string]string{}}
		for _, f := range q.Fields {
			w.Headers[f.Name] = f.Value
		}
		changed := webhook{strings.Replace(w.Body, "acme", "acne", 1), w.Headers}
		sent = append(sent, w, changed)
	}
	if len(sent) != 4 || !strings.Contains(sent[0].Body, `"success":true`) || !strings.Contains(sent[2].Body, `"success":false`) {
		t.Fatalf("sent %+v", sent)
	}
	if got := verified(t, signing, sent); got != "true false true false" {
		t.Errorf("of each webhook and its forgery the SDK says %s", got)
	}
	if got := verified(t, signing+"x", sent); got != strings.TrimSpace(strings.Repeat("false ", 4)) {
		t.Errorf("with another key the SDK says %s", got)
	}
}

// verified asks the SDK about webhooks.
func verified(t *testing.T, key string, sent []webhook) string {
	t.Helper()
	if _, err := os.Stat("node_modules/@nangohq/node"); err != nil {
		t.Fatal("the SDK is not installed: run tools/make/sdk.sh, as make test does")
	}
	var stdin, stdout, stderr bytes.Buffer
	for _, w := range sent {
		if err := json.NewEncoder(&stdin).Encode(w); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "node", "webhooks.js")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "SIGNING=" + key}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = &stdin, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("the script ended early: %v\n%s", err, stderr.Bytes())
	}
	return strings.Join(strings.Fields(stdout.String()), " ")
}

// enter posts a connection.
func (s *stand) enter(body string) {
	s.t.Helper()
	if status := s.send(http.MethodPost, "/connections", body); status != http.StatusCreated {
		s.t.Fatalf("entering a key: %d", status)
	}
}

// call goes through the gateway, whatever it answers.
func (s *stand) call(integration, id string) {
	s.t.Helper()
	s.send(http.MethodGet, "/proxy/x", "", "Provider-Config-Key", integration, "Connection-Id", id)
}

// send sends a request as the operator, with further headers.
func (s *stand) send(method, path, body string, headers ...string) (status int) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := harness.HTTP1Client(s.t, nil).Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}
