// What a Vault that sends everything back, or is away, brings into logs and
// answers.

package integration

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

// echoes are answers of a Vault, or of what stands before it, that hold what
// was sent: the token and the body.
var echoes = map[string]func(w http.ResponseWriter, sent string){
	"json500":   jsonEcho(500),
	"json400":   jsonEcho(400),
	"json403":   jsonEcho(403),
	"json404":   jsonEcho(404),
	"json405":   jsonEcho(405),
	"json412":   jsonEcho(412),
	"json503":   jsonEcho(503),
	"json200":   jsonEcho(200),
	"html502":   plainEcho(502),
	"html200":   plainEcho(200),
	"html404":   plainEcho(404),
	"status":    rawEcho("HTTP/1.1 %s\r\n\r\n"),
	"header":    rawEcho("HTTP/1.1 200 OK\r\nno header: but\r\n%s\r\n\r\n"),
	"length":    rawEcho("HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n"),
	"chunk":     rawEcho("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%s\r\n"),
	"trailer":   rawEcho("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n%s\r\n\r\n"),
	"truncated": rawEcho("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n{\"data\": {\"data\": {\"apiKey\": \"%s"),
	"redirect": func(w http.ResponseWriter, sent string) {
		w.Header().Set("Location", "http://elsewhere.example/?sent="+sent)
		w.WriteHeader(http.StatusTemporaryRedirect)
	},
	"broken-redirect": func(w http.ResponseWriter, sent string) {
		w.Header().Set("Location", "http://%zz/"+sent)
		w.WriteHeader(http.StatusTemporaryRedirect)
	},
	"retry-after": func(w http.ResponseWriter, sent string) {
		w.Header().Set("Retry-After", sent)
		jsonEcho(http.StatusTooManyRequests)(w, sent)
	},
	"reset": func(w http.ResponseWriter, _ string) { vaulttest.Reset.ServeHTTP(w, nil) },
}

func jsonEcho(status int) func(http.ResponseWriter, string) {
	return func(w http.ResponseWriter, sent string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"errors": [%[1]q], "warnings": [%[1]q], "data": {"data": %[1]q, "metadata": %[1]q}, "auth": {"client_token": 7, "accessor": %[1]q}}`, sent)
	}
}

func plainEcho(status int) func(http.ResponseWriter, string) {
	return func(w http.ResponseWriter, sent string) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		fmt.Fprint(w, "<p>you sent ", sent)
	}
}

func rawEcho(format string) func(http.ResponseWriter, string) {
	return func(w http.ResponseWriter, sent string) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		_, _ = fmt.Fprintf(c, format, strings.ReplaceAll(sent, " ", "_"))
		_ = c.Close()
	}
}

// TestLeaksOfAnUnkindVault asks a Vault for a key that sends token, role_id and
// secret_id back in every kind of answer.
func TestLeaksOfAnUnkindVault(t *testing.T) {
	vault := vaulttest.Start(t)
	upstream := harness.NewUpstream(t, nil)
	role, secret, token := newCanary("the role_id"), newCanary("the secret_id"), newCanary("the token")
	// A token is a header's value, and may have no letters but ASCII's.
	token.value = token.cores[0] + `/+%"\=&` + token.cores[1]
	canaries := []canary{role, secret, token}

	var mu sync.Mutex
	received := map[string]string{}
	var stores, routes strings.Builder
	auths := map[string]string{
		"token":   "auth token {env.LEAK_TOKEN}",
		"approle": "auth approle {\n role_id {env.LEAK_ROLE}\n secret_id {env.LEAK_SECRET}\n }",
	}
	for echo, answer := range echoes {
		for auth, lines := range auths {
			name := echo + "-" + auth
			proxy := vault.Proxy(t)
			proxy.Fault(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				sent := strings.Join(r.Header["X-Vault-Token"], "") + string(bytes.TrimSpace(body))
				mu.Lock()
				received[name] += sent
				mu.Unlock()
				answer(w, sent)
			}))
			fmt.Fprintf(&stores, "store vault %s {\n address %s\n %s\n }\n", name, proxy.Addr, lines)
			// A failure of a fixed key is told at once, that of a tenant's never.
			fmt.Fprintf(&routes, "apikey_inject /%[1]s/fixed %[2]s {\n name X-Api-Key\n key a {\n store %[1]s\n }\n allow anyone\n }\n", name, upstream.URL())
			fmt.Fprintf(&routes, "apikey_inject /%[1]s %[2]s {\n name X-Api-Key\n key a/${connectionId} {\n store %[1]s\n }\n connection {http.request.header.X-Tenant}\n allow anyone\n }\n", name, upstream.URL())
		}
	}
	port := harness.Port(t)
	caddy := harness.StartCaddy(t, "{\ndebug\napikey_inject {\n"+stores.String()+"}\n}\n"+harness.Site(port, "log\n"+routes.String()),
		harness.Env("LEAK_TOKEN="+token.value, "LEAK_ROLE="+role.value, "LEAK_SECRET="+secret.value))

	// A store is told away after five failures; each tenant is another document.
	var answers strings.Builder
	var group sync.WaitGroup
	for echo := range echoes {
		for auth := range auths {
			group.Go(func() {
				url := fmt.Sprintf("http://127.0.0.1:%d/%s-%s", port, echo, auth)
				all := getAs(t, url+"/fixed", "")
				for tenant := range 6 {
					all += getAs(t, url, strconv.Itoa(tenant))
				}
				mu.Lock()
				defer mu.Unlock()
				answers.WriteString(all)
			})
		}
	}
	group.Wait()
	if upstream.Hits() != 0 {
		t.Errorf("%d requests reached the upstream", upstream.Hits())
	}
	for echo := range echoes {
		for auth := range auths {
			if caddy.Log.Entries("apikey_inject", fmt.Sprintf(`"store":"%s-%s"`, echo, auth), `"error":`) == nil {
				t.Errorf("%s-%s: the log says nothing about this store", echo, auth)
			}
		}
		mu.Lock()
		if find(received[echo+"-token"], token) == nil || find(received[echo+"-approle"], role) == nil || find(received[echo+"-approle"], secret) == nil {
			t.Errorf("%s: Vault was not sent what it was to send back", echo)
		}
		mu.Unlock()
	}
	noLeak(t, channel{"answers", answers.String()}, []canary{canaryOf("the code", "key_")}, canaries)
	noLeak(t, channel{"the log", caddy.Log.String()}, []canary{canaryOf("a store", "json500-token"), canaryOf("what was done", "logging in at auth/approle")}, canaries)
	noLeak(t, channel{"the configuration", caddy.Config("")}, []canary{canaryOf("a variable", "env.LEAK_TOKEN")}, canaries)
}

// getAs sends a request of a tenant and returns all of the answer.
func getAs(t *testing.T, url, tenant string) string {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Error(err)
		return ""
	}
	req.Header.Set("X-Tenant", tenant)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return fmt.Sprintln(resp.Status, resp.Header, string(body))
}

// TestLeaksOfKeysThatCannotBeUsed stores values that no header can carry, and
// takes Vault away.
func TestLeaksOfKeysThatCannotBeUsed(t *testing.T) {
	vault := vaulttest.Start(t)
	proxy := vault.Proxy(t)
	upstream := harness.NewUpstream(t, nil)
	key, bad := newCanary("the key"), newCanary("a value that is no key")
	vault.Put("leak/good", map[string]any{"apiKey": key.value})
	values := map[string]any{
		"control": bad.value + "\x01", "newline": bad.cores[0] + "\n" + bad.cores[1], "nul": "\x00" + bad.value,
		"list": []string{bad.value}, "object": map[string]string{"key": bad.value}, "long": strings.Repeat(bad.value, 1000),
		"other-field": nil,
	}
	for name, v := range values {
		vault.Put("leak/"+name, map[string]any{"apiKey": v, "comment": bad.value})
	}
	vault.Put("leak/other-field", map[string]any{"a": bad.value, "b": bad.value})
	port := harness.Port(t)
	caddy := harness.StartCaddy(t, fmt.Sprintf("{\ndebug\napikey_inject {\nstore vault {\n address %s\n auth token {env.LEAK_TOKEN}\n ttl 1s\n }\n}\n}\n", proxy.Addr)+
		harness.Site(port, fmt.Sprintf("log\napikey_inject %s {\n name X-Api-Key\n key leak/${connectionId}\n connection {http.request.header.X-Tenant}\n allow anyone\n }", upstream.URL())),
		harness.Env("LEAK_TOKEN="+vault.Token))
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	ask := func(tenant string) *harness.RawResponse {
		return harness.Exchange(t, addr, nil, "GET / HTTP/1.1\r\nHost: "+addr+"\r\nX-Tenant: "+tenant+"\r\nConnection: close\r\n\r\n")
	}

	var answers strings.Builder
	for name := range values {
		answer := ask(name)
		if answer.Status == http.StatusOK {
			t.Errorf("%s: was used as a key", name)
		}
		answers.WriteString(answer.Raw)
	}
	if answer := ask("good"); answer.Status != http.StatusOK || find(upstream.Only().String(), key) == nil {
		t.Errorf("the good key was not used: %s", answer.Raw)
	}
	// until asks for the good key until the log has the line: what makes the
	// keyring look again is a request after the ttl.
	until := func(line string) {
		deadline := time.Now().Add(20 * time.Second)
		for !strings.Contains(caddy.Log.String(), line) {
			if time.Now().After(deadline) {
				t.Fatalf("the log does not hold %q:\n%s", line, caddy.Log.Tail(20))
			}
			answers.WriteString(ask("good").Raw)
			time.Sleep(50 * time.Millisecond)
		}
	}
	vault.Put("leak/good", map[string]any{"apiKey": bad.value + "\x02"})
	until("a key's new value cannot be used")
	proxy.Fault(vaulttest.Reset)
	until("the store is away")
	answers.WriteString(ask("never-seen").Raw)

	canaries := []canary{key, bad, canaryOf("the root token", vault.Token)}
	noLeak(t, channel{"answers", answers.String()}, []canary{canaryOf("the code", "key_invalid"), canaryOf("the code", "key_unavailable")}, canaries)
	noLeak(t, channel{"the log", caddy.Log.String()}, []canary{canaryOf("a path", "leak/good"), canaryOf("a path", "leak/control")}, canaries)
}
