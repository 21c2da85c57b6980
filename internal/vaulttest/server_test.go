package vaulttest_test

import (
	"net/http"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/internal/vaulttest"
)

func TestDevServerServesSealsAndCounts(t *testing.T) {
	s := vaulttest.Start(t)
	if v := s.Put("a", map[string]any{"apiKey": "k"}); v != 1 {
		t.Fatalf("version %d, want 1", v)
	}
	addr, count := s.CountingProxy(t)
	status := func() int {
		resp, err := http.Get(addr + "/v1/sys/health")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	if got := status(); got != http.StatusOK {
		t.Errorf("healthy server answers %d", got)
	}
	s.Seal()
	if got := status(); got != http.StatusServiceUnavailable {
		t.Errorf("sealed server answers %d", got)
	}
	s.Unseal()
	if got := status(); got != http.StatusOK {
		t.Errorf("unsealed server answers %d", got)
	}
	if count() != 3 {
		t.Errorf("counted %d requests, want 3", count())
	}
}

func TestRaftServerKeepsItsDataOverAKill(t *testing.T) {
	s := vaulttest.StartRaft(t)
	s.Put("a", map[string]any{"apiKey": "k"})
	s.Stop()
	s.Restart()
	s.Unseal()
	out := s.Do(http.MethodGet, "secret/data/a", nil)
	if out["data"].(map[string]any)["data"].(map[string]any)["apiKey"] != "k" {
		t.Errorf("read back %v", out)
	}
}
