// The example of webhooks and alerts, called as its comment says.

package integration

import (
	"strings"
	"testing"
	"time"

	standard "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

func alerted(t *testing.T) {
	const signing = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	x, hooks := newExampleRun(t, nil), harness.NewUpstream(t, nil)
	text := read(t, "alerts.caddyfile")
	harness.StartCaddy(t, text, harness.Env(append(x.apiEnvironment(), "UPSTREAM="+x.upstream.URL(),
		"WEBHOOK_URL="+hooks.URL()+"/hooks", "WEBHOOK_SECRET="+signing, "SLACK_WEBHOOK="+hooks.URL()+"/slack")...))
	lines := curlLines(text)
	if len(lines) != 1 {
		t.Fatalf("the comment has %d curl lines", len(lines))
	}
	x.curl(t, strings.ReplaceAll(lines[0], "$OPS_TOKEN", opsToken))
	hooks.WaitRequests(1, 30*time.Second)
	got := hooks.Only()
	if want := `{"from":"nango","type":"auth","operation":"creation","connectionId":"customer-7",`; got.Method != "POST" || got.Target != "/hooks" || !strings.HasPrefix(string(got.Body), want) {
		t.Errorf("received %s", got)
	}
	wh, err := standard.NewWebhook(signing)
	if err != nil {
		t.Fatal(err)
	}
	header := map[string][]string{}
	for _, f := range got.Fields {
		header[f.Name] = append(header[f.Name], f.Value)
	}
	if err := wh.Verify(got.Body, header); err != nil {
		t.Errorf("the signature: %v", err)
	}
}
