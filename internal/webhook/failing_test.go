package webhook

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

func TestWhatAReceiverEchoesIsNotLogged(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		_, _ = conn.Write([]byte("HTTP/1.1 " + r.URL.Path + " no\r\n\r\n"))
		_ = conn.Close()
	}))
	defer srv.Close()
	o := newOutbox()
	s, logged, _ := start(t, o)
	r := (&receiver{}).target(srv.URL + "/hooks/canary")
	r.Client = srv.Client()
	s.Use(1, r)
	o.add(catalog.Message{})
	for end := time.Now().Add(30 * time.Second); logged.Len() == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nothing was logged")
		}
	}
	if text := fmt.Sprint(logged.All()[0].ContextMap()); strings.Contains(text, "canary") || !strings.Contains(text, "malformed HTTP status code") {
		t.Errorf("logged %s", text)
	}
}

func TestReceiversThatFailAreLoggedOnceHoweverManyThereAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, r := newOutbox(), &receiver{}
		r.answer = func(int, *http.Request) (int, error) { return http.StatusInternalServerError, nil }
		for n := range maxFailing + 10 {
			o.add(catalog.Message{URL: fmt.Sprintf("https://n%d.example", n)})
		}
		s, logged, _ := start(t, o)
		s.Use(1, r.target(home))
		time.Sleep(time.Hour)
		if n := logged.Len(); n > maxFailing {
			t.Errorf("%d lines about %d receivers", n, maxFailing+10)
		}
	})
}
