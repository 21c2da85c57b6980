package alert

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

func TestWhatSlackEchoesIsNotInAnError(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		_, _ = conn.Write([]byte("HTTP/1.1 " + r.URL.Path + " no\r\n\r\n"))
		_ = conn.Close()
	}))
	defer srv.Close()
	s := &Slack{URL: secret.New(srv.URL + "/services/canary"), Client: srv.Client()}
	err := s.send(t.Context(), "text")
	if err == nil || strings.Contains(err.Error(), "canary") || !strings.Contains(err.Error(), "malformed HTTP status code") {
		t.Errorf("%v", err)
	}
}
