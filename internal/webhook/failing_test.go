package webhook

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
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

func TestAReceiverThatHangsDoesNotHoldUpOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, r := newOutbox(), &receiver{}
		var hangs atomic.Bool
		var under, most atomic.Int32 // attempts under way once it is known to fail
		hangs.Store(true)
		r.answer = func(_ int, req *http.Request) (int, error) {
			if req.URL.Host == "slow.example" && hangs.Load() {
				most.Store(max(most.Load(), under.Add(1)))
				defer under.Add(-1)
				<-req.Context().Done()
				return 0, req.Context().Err()
			}
			return http.StatusOK, nil
		}
		const crowd = 20 * atOnce
		for range crowd {
			o.add(catalog.Message{URL: "https://slow.example"})
		}
		s, _, _ := start(t, o)
		s.Use(1, r.target(home))
		time.Sleep(time.Second) // it has all places
		o.add(catalog.Message{ID: "other"})
		time.Sleep(2 * attempt)
		if n := o.waiting(); n != crowd {
			t.Errorf("%d wait, want those of the receiver that hangs, %d", n, crowd)
		}
		most.Store(0)
		time.Sleep(10 * time.Minute)
		if n := most.Load(); n == 0 || n > failingAtOnce {
			t.Errorf("%d at once were on their way to a receiver that fails, want %d at most", n, failingAtOnce)
		}
		hangs.Store(false)
		time.Sleep(time.Hour)
		if n := o.waiting(); n != 0 {
			t.Errorf("%d wait though the receiver takes them", n)
		}
	})
}

func TestWhatIsLongPastIsNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, r := newOutbox(), &receiver{}
		o.add(catalog.Message{ID: "old"})
		o.rows["old"].MadeAt = time.Now().Add(-keepFor - maxWait)
		o.add(catalog.Message{ID: "last try"})
		o.rows["last try"].MadeAt = time.Now().Add(-keepFor)
		s, logged, _ := start(t, o)
		s.Use(1, r.target(home))
		synctest.Wait()
		if all := r.got(); len(all) != 1 || all[0].header.Get("Webhook-Id") != "last try" || o.waiting() != 0 {
			t.Errorf("sent %v, %d wait", all, o.waiting())
		}
		if n := logged.FilterMessage("a webhook was given up").Len(); n != 1 {
			t.Errorf("the log has %d lines of it", n)
		}
		if n := logged.FilterMessageSnippet("does not take").Len(); n != 0 {
			t.Error("a receiver that nobody asked was said not to take it")
		}
	})
}

func TestWebhooksThatFindNoPlaceInTheOutboxAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, r := newOutbox(), &receiver{}
		s, logged, _ := start(t, o)
		s.Use(1, r.target(home))
		time.Sleep(time.Hour)
		if n := logged.Len(); n != 0 {
			t.Fatalf("%d lines, and none is lost", n)
		}
		lost := uint64(0)
		for _, n := range []uint64{1, 300} {
			for range n { // one after the other, for five minutes at most
				o.lost.Add(1)
				time.Sleep(time.Second)
			}
			time.Sleep(2 * time.Minute)
			lost += n
			told := uint64(0)
			for _, line := range logged.FilterMessage("webhooks are lost, because too many wait").All() {
				told += line.ContextMap()["lost"].(uint64)
			}
			if told != lost || logged.Len() > 10 {
				t.Errorf("%d lines tell of %d that were lost, want %d", logged.Len(), told, lost)
			}
		}
	})
}
