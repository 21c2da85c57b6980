package lifecycle

// This file holds what only looks at a configuration.

import (
	"io/fs"
	"path/filepath"
	"slices"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

func TestValidateAndAdaptAskNoVaultAndWriteNoFile(t *testing.T) {
	t.Parallel()
	v := vaulttest.Start(t)
	roleID, _ := approle(v, nil)
	p := v.Proxy(t)
	home := t.TempDir()
	opts := []harness.Option{harness.Home(home), harness.Env(
		"VT="+v.Token, "ROLE="+roleID, "WRAPPED="+v.WrappedSecretID("caddy", wait))}
	st := coldStand(t, v, settings{})
	for name, auth := range map[string]string{
		"a token":             "token {env.VT}",
		"a wrapped secret_id": "approle {\n\t\t\t\trole_id {env.ROLE}\n\t\t\t\tsecret_id {env.WRAPPED}\n\t\t\t\twrapped\n\t\t\t\trole caddy\n\t\t\t}",
	} {
		config := st.config(settings{address: p.Addr, auth: auth})
		for command, r := range map[string]harness.Result{
			"validate": harness.Validate(t, config, opts...),
			"adapt":    harness.Adapt(t, config, opts...),
		} {
			if r.Code != 0 {
				t.Errorf("%s with %s: %s", command, name, r.Stderr)
			}
		}
	}
	if n := p.Count(""); n != 0 {
		t.Errorf("%d requests to Vault: %v", n, p.Seen())
	}
	var files []string
	err := filepath.WalkDir(home, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, d.Name())
		}
		return err
	})
	if err != nil || !slices.Equal(files, []string{"Caddyfile"}) { // the harness's own
		t.Errorf("left files %v, %v", files, err)
	}
}
