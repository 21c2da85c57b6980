package lifecycle

// This file holds the life of tokens and credentials (G6 to G9).

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

// readKeys is the policy of docs/keys.md, for the keys of these tests.
const readKeys = `path "secret/data/pinned/*" { capabilities = ["read"] }
path "secret/data/customers/*" { capabilities = ["read"] }`

// approle makes a role that may read keys.
func approle(v *vaulttest.Server, more map[string]any) (roleID, secretID string) {
	v.Policy("keys", readKeys)
	return v.AppRole("caddy", "keys", more)
}

// approleStand is a stand that logs in with a role, through a proxy that counts.
func approleStand(t *testing.T, role map[string]any) (*stand, *vaulttest.Proxy) {
	t.Helper()
	v := vaulttest.Start(t)
	roleID, secretID := approle(v, role)
	p := v.Proxy(t)
	return newStand(t, v, settings{
		address: p.Addr,
		auth:    "approle {\n\t\t\t\trole_id {env.ROLE}\n\t\t\t\tsecret_id {env.SECRET}\n\t\t\t}",
		env:     []string{"ROLE=" + roleID, "SECRET=" + secretID},
	}), p
}

// logins counts the logins that a proxy saw, whatever their method was.
func logins(p *vaulttest.Proxy) int { return p.Count("/login") }

// revokeAll ends every token of the role's policy and says how many there were.
func revokeAll(v *vaulttest.Server) int {
	n := 0
	list := v.Do("LIST", "auth/token/accessors", nil)
	for _, a := range list["data"].(map[string]any)["keys"].([]any) {
		looked := v.Do(http.MethodPost, "auth/token/lookup-accessor", map[string]any{"accessor": a})
		path, _ := looked["data"].(map[string]any)["path"].(string)
		if strings.HasPrefix(path, "auth/approle/") {
			v.Do(http.MethodPost, "auth/token/revoke-accessor", map[string]any{"accessor": a})
			n++
		}
	}
	return n
}

func TestG6ARevokedTokenIsOneLoginAndNoFailedRequest(t *testing.T) {
	t.Parallel()
	st, p := approleStand(t, nil)
	if n := logins(p); n != 1 {
		t.Fatalf("%d logins at the start", n)
	}
	l := st.load()
	for i := 2; i <= 4; i++ {
		<-time.After(time.Second)
		if n := revokeAll(st.vault); n != 1 {
			t.Fatalf("%d tokens were in use", n)
		}
		st.await(wait, func() (string, bool) { return "no login", logins(p) == i })
		l.versions[1].Store(int64(i))
		st.vault.Put("pinned/0", map[string]any{"apiKey": "key-0-v" + string(rune('0'+i))})
		st.until("/p0", "", "key-0-v"+string(rune('0'+i)), wait)
	}
	<-time.After(2 * time.Second)
	l.stop(t)
	if n := logins(p); n != 4 {
		t.Errorf("%d logins for 4 tokens", n)
	}
}

func TestG7NoGapAtTheMaximumOfAToken(t *testing.T) {
	t.Parallel()
	st, p := approleStand(t, map[string]any{"token_ttl": "4s", "token_max_ttl": "9s"})
	was := p.Answered(http.StatusForbidden)
	l := st.load()
	<-time.After(20 * time.Second)
	l.stop(t)
	if n := p.Answered(http.StatusForbidden) - was; n != 0 {
		t.Errorf("%d reads were refused", n)
	}
	if n, renewals := logins(p), p.Count("renew-self"); n < 3 || n > 7 || renewals == 0 {
		t.Errorf("%d logins and %d renewals in 20 s", n, renewals)
	}
}

func TestG8AWrongSecretIDIsTriedOnce(t *testing.T) {
	t.Parallel()
	v := vaulttest.Start(t)
	roleID, secretID := approle(v, nil)
	v.Put("pinned/0", map[string]any{"apiKey": "key-0-v1"})
	p := v.Proxy(t)
	file := filepath.Join(t.TempDir(), "secret_id")
	write := func(s string) {
		if err := os.WriteFile(file, []byte(s+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("of-another-role")
	s := settings{
		address: p.Addr,
		auth:    "approle {\n\t\t\t\trole_id {env.ROLE}\n\t\t\t\tsecret_id_file " + file + "\n\t\t\t}",
		env:     []string{"ROLE=" + roleID},
	}
	st := coldStand(t, v, s)
	st.start(s)
	for end := time.Now().Add(8 * time.Second); time.Now().Before(end); <-time.After(50 * time.Millisecond) {
		refused(t, st.ask("/p0", ""), http.StatusServiceUnavailable, "key_unavailable")
	}
	for _, ttl := range []string{"2s", "3s"} { // a reload is no new credential
		s.ttl = ttl
		if err := st.caddy.Load(st.config(s)); err != nil {
			t.Fatal(err)
		}
		refused(t, st.ask("/p0", ""), http.StatusServiceUnavailable, "key_unavailable")
	}
	if n := logins(p); n != 1 {
		t.Errorf("%d logins with a secret_id that Vault refuses", n)
	}
	write(secretID)
	// The file is looked at every 10 s.
	st.until("/p0", "", "key-0-v1", 20*time.Second)
	if n := logins(p); n != 2 {
		t.Errorf("%d logins in all", n)
	}
	if log := st.caddy.Log.String(); !strings.Contains(log, "invalid role or secret ID") || strings.Contains(log, secretID) {
		t.Error("the log does not say what is wrong, or shows the secret_id")
	}
}

func TestG9ADenialByPolicyIsNoLoginStorm(t *testing.T) {
	t.Parallel()
	v := vaulttest.Start(t)
	roleID, secretID := approle(v, nil)
	v.Put("pinned/0", map[string]any{"apiKey": "key-0-v1"})
	v.Put("others/1", map[string]any{"apiKey": "nobody's"})
	p := v.Proxy(t)
	s := settings{
		address: p.Addr,
		auth:    "approle {\n\t\t\t\trole_id {env.ROLE}\n\t\t\t\tsecret_id {env.SECRET}\n\t\t\t}",
		env:     []string{"ROLE=" + roleID, "SECRET=" + secretID},
	}
	st := coldStand(t, v, s)
	s.extra = "\tapikey_inject /denied " + st.up.URL() + " {\n\t\tname X-Api-Key\n\t\tkey others/1\n\t\tallow anyone\n\t}\n"
	st.start(s)
	st.until("/p0", "", "key-0-v1", wait)
	for end := time.Now().Add(8 * time.Second); time.Now().Before(end); <-time.After(20 * time.Millisecond) {
		refused(t, st.ask("/denied", ""), http.StatusServiceUnavailable, "key_unavailable")
	}
	if n := p.Count("GET /v1/secret/data/others/1"); logins(p) != 1 || n > 2 {
		t.Errorf("%d logins, %d reads of what the policy denies", logins(p), n)
	}
	if n := p.Count("lookup-self"); n > 1 {
		t.Errorf("%d times looked at the token", n)
	}
}
