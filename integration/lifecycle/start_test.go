package lifecycle

// This file holds a Vault that is away when Caddy starts (G1).

import (
	"net/http"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

// absence is how long Vault is away. The probes have reached their longest
// interval after 8 s; LIFECYCLE_ABSENCE says otherwise. Longer absences are
// tested where time is the test's, in internal/keyring and internal/vault.
func absence(t *testing.T) time.Duration {
	t.Helper()
	s := os.Getenv("LIFECYCLE_ABSENCE")
	if s == "" {
		return 12 * time.Second
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestG1CaddyStartsWithVaultAway(t *testing.T) {
	t.Parallel()
	v := vaulttest.StartRaft(t)
	roleID, secretID := approle(v, nil)
	v.Put("pinned/0", map[string]any{"apiKey": "key-0-v1"})
	v.Put("customers/one", map[string]any{"apiKey": "key-one-v1"})
	v.Stop()

	s := settings{
		auth:  "approle {\n\t\t\t\trole_id {env.ROLE}\n\t\t\t\tsecret_id {env.SECRET}\n\t\t\t}",
		env:   []string{"ROLE=" + roleID, "SECRET=" + secretID},
		extra: "\trespond /hello hello\n",
	}
	st := coldStand(t, v, s)
	st.start(s)
	for end := time.Now().Add(absence(t)); time.Now().Before(end); {
		for _, q := range [][2]string{{"/p0", ""}, {"/c", "one"}} {
			r := st.ask(q[0], q[1])
			refused(t, r, http.StatusServiceUnavailable, "key_unavailable")
			if n, err := strconv.Atoi(r.Header.Get("Retry-After")); err != nil || n < 1 || n > 10 {
				t.Fatalf("Retry-After is %q", r.Header.Get("Retry-After"))
			}
		}
		if r := st.ask("/hello", ""); r.Body != "hello" {
			t.Fatalf("another route answers %d %s", r.Status, r.Body)
		}
		<-time.After(100 * time.Millisecond)
	}
	if st.up.Hits() != 0 {
		t.Errorf("%d hits at the upstream without a key", st.up.Hits())
	}

	v.Restart()
	v.Unseal()
	back := time.Now()
	st.until("/p0", "", "key-0-v1", 5*time.Second)
	st.until("/c", "one", "key-one-v1", time.Until(back.Add(5*time.Second)))
	t.Logf("served %s after Vault's return", time.Since(back).Round(time.Millisecond))
}
