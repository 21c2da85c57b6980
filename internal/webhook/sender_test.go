package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

const home = "https://app.example/hooks?token=canary"

func TestAWebhookIsSentAtOnceAndOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, r := newOutbox(), &receiver{}
		s, _, _ := start(t, o)
		o.add(catalog.Message{Operation: catalog.OperationCreation, Success: true})
		time.Sleep(time.Hour)
		if len(r.got()) != 0 || o.said.Load() != 0 {
			t.Fatal("something was sent, or promised, though nobody says where to")
		}
		s.Use(1, r.target(home))
		o.add(catalog.Message{Operation: catalog.OperationOverride, Success: true})
		o.add(catalog.Message{URL: "https://customer.example/own", Operation: catalog.OperationRefresh})
		synctest.Wait()
		all := r.got()
		if len(all) != 3 || o.waiting() != 0 || s.count(ResultDelivered) != 3 || o.said.Load() != 1 {
			t.Fatalf("%d sent, %d wait, %v, said %d times", len(all), o.waiting(), s.of, o.said.Load())
		}
		own := 0
		for _, g := range all {
			if g.url == "https://customer.example/own" {
				own++
			} else if g.url != home {
				t.Errorf("sent to %s", g.url)
			}
			if g.header.Get("Content-Type") != "application/json" {
				t.Errorf("sent as %v", g.header)
			}
		}
		if own != 1 {
			t.Errorf("%d went to the connection's own receiver", own)
		}
		time.Sleep(24 * time.Hour)
		if len(r.got()) != 3 || o.said.Load() < 24 {
			t.Errorf("%d sent in a day, said %d times that somebody sends", len(r.got()), o.said.Load())
		}
	})
}

func TestWhileTheReceiverIsAwayAttemptsGetRarerAndNoneIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, r := newOutbox(), &receiver{}
		var away atomic.Bool
		away.Store(true)
		r.answer = func(int, *http.Request) (int, error) {
			if away.Load() {
				return 0, errors.New("connection refused")
			}
			return http.StatusOK, nil
		}
		s, logged, _ := start(t, o)
		s.Use(1, r.target(home))
		o.add(catalog.Message{Success: true})
		time.Sleep(48 * time.Hour)
		all := r.got()
		for n := 1; n < len(all); n++ {
			full := min(firstWait<<min(n-1, 12), maxWait)
			if gap := all[n].at.Sub(all[n-1].at); gap < full/2 || gap > full+lookEvery {
				t.Errorf("attempt %d came %s after the one before, want %s to %s", n+1, gap, full/2, full)
			}
			if all[n].header.Get("Webhook-Id") != all[0].header.Get("Webhook-Id") || all[n].body != all[0].body {
				t.Errorf("attempt %d has another id or body", n+1)
			}
			if all[n].header.Get("Webhook-Timestamp") == all[n-1].header.Get("Webhook-Timestamp") {
				t.Errorf("attempt %d has the time of the one before", n+1)
			}
		}
		if len(all) < 15 || len(all) > 50 || o.waiting() != 1 {
			t.Errorf("%d attempts in two days, %d wait", len(all), o.waiting())
		}
		away.Store(false)
		time.Sleep(maxWait + lookEvery)
		if o.waiting() != 0 || s.count(ResultDelivered) != 1 || s.count(ResultGivenUp) != 0 {
			t.Errorf("it was not delivered when the receiver came back: %v", s.of)
		}
		if down, up := logged.FilterMessageSnippet("does not take").Len(), logged.FilterMessageSnippet("takes them again").Len(); down != 1 || up != 1 {
			t.Errorf("logged %d times that it is away and %d times that it is back, want once each", down, up)
		}
		o.add(catalog.Message{Success: true})
		synctest.Wait()
		if up := logged.FilterMessageSnippet("takes them again").Len(); up != 1 {
			t.Errorf("logged %d times that it is back, though it was away once", up)
		}
		away.Store(true)
		o.add(catalog.Message{Success: true})
		synctest.Wait()
		if down := logged.FilterMessageSnippet("does not take").Len(); down != 2 {
			t.Errorf("logged %d times that it is away, though it was twice", down)
		}
		if text := fmt.Sprint(logged.All()); strings.Contains(text, "canary") || !strings.Contains(text, "app.example") {
			t.Errorf("logged %s", text)
		}
	})
}

func TestWhatNobodyTakesIsGivenUpAfterThreeDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, r := newOutbox(), &receiver{answer: func(int, *http.Request) (int, error) { return http.StatusFound, nil }}
		r.header = http.Header{"Location": {"https://elsewhere.example/"}}
		s, logged, _ := start(t, o)
		s.Use(1, r.target(home))
		o.add(catalog.Message{})
		time.Sleep(keepFor + maxWait + time.Minute)
		if o.waiting() != 0 || s.count(ResultGivenUp) != 1 || logged.FilterMessage("a webhook was given up").Len() != 1 {
			t.Errorf("%d wait, %v", o.waiting(), s.of)
		}
		for _, g := range r.got() {
			if g.url != home {
				t.Errorf("a redirect was followed to %s", g.url)
			}
		}
	})
}

func TestAReceiverThatIsGoneIsNotAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, r := newOutbox(), &receiver{answer: func(int, *http.Request) (int, error) { return http.StatusGone, nil }}
		s, _, _ := start(t, o)
		s.Use(1, r.target(home))
		o.add(catalog.Message{})
		time.Sleep(time.Hour)
		if len(r.got()) != 1 || o.waiting() != 0 || s.count(ResultGivenUp) != 1 {
			t.Errorf("%d attempts, %d wait, %v", len(r.got()), o.waiting(), s.of)
		}
	})
}

func TestAReceiverMayAskForTime(t *testing.T) {
	for header, want := range map[string]time.Duration{"600": 600 * time.Second, "99999999": maxWait, "soon": 0} {
		testAskedTime(t, http.StatusTooManyRequests, header, want)
	}
	testAskedTime(t, http.StatusServiceUnavailable, "600", 600*time.Second)
	testAskedTime(t, http.StatusInternalServerError, "600", 0) // which asks for nothing
}

func testAskedTime(t *testing.T, status int, header string, want time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o, r := newOutbox(), &receiver{header: http.Header{"Retry-After": {header}}}
		r.answer = func(n int, _ *http.Request) (int, error) {
			if n == 0 {
				return status, nil
			}
			return http.StatusOK, nil
		}
		s, _, _ := start(t, o)
		s.Use(1, r.target(home))
		o.add(catalog.Message{})
		time.Sleep(2 * maxWait)
		all := r.got()
		if len(all) != 2 {
			t.Fatalf("%d, %s: %d attempts", status, header, len(all))
		}
		if gap := all[1].at.Sub(all[0].at); gap < want || gap > max(want, firstWait)+lookEvery {
			t.Errorf("%d, %s: the second attempt came after %s, want %s", status, header, gap, want)
		}
	})
}

func TestRetryAfterIsSecondsOrADate(t *testing.T) {
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": 0, "0": 0, "90": 90 * time.Second, "-5": 0, "1.5": 0, "soon": 0,
		"2147483647": 2147483647 * time.Second, "9223372037": 0, // seconds that no duration holds
		"Wed, 01 Jul 2026 12:02:00 GMT": 2 * time.Minute, "Wed, 01 Jul 2026 11:59:00 GMT": 0,
	} {
		if got := RetryAfter(http.Header{"Retry-After": {header}}, now); got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
}

func TestOneThatHangsIsCutAndTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, r := newOutbox(), &receiver{}
		r.answer = func(n int, req *http.Request) (int, error) {
			if n == 0 {
				<-req.Context().Done()
				return 0, req.Context().Err()
			}
			return http.StatusOK, nil
		}
		s, _, _ := start(t, o)
		s.Use(1, r.target(home))
		o.add(catalog.Message{})
		time.Sleep(time.Minute)
		if all := r.got(); len(all) != 2 || o.waiting() != 0 || all[1].at.Sub(all[0].at) < attempt {
			t.Errorf("%d attempts, %d wait", len(all), o.waiting())
		}
	})
}

func TestDeliveriesAtOnceAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, r := newOutbox(), &receiver{}
		let := make(chan struct{})
		r.answer = func(int, *http.Request) (int, error) {
			<-let
			return http.StatusOK, nil
		}
		for range 5 * atOnce {
			o.add(catalog.Message{})
		}
		s, _, _ := start(t, o)
		s.Use(1, r.target(home))
		synctest.Wait()
		if n := len(r.got()); n != atOnce {
			t.Errorf("%d at once, want %d", n, atOnce)
		}
		close(let)
		synctest.Wait()
		if n := len(r.got()); n != 5*atOnce || o.waiting() != 0 {
			t.Errorf("%d sent, %d wait", n, o.waiting())
		}
	})
}

func TestTwoNodesSendEachOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, r := newOutbox(), &receiver{}
		r.answer = func(int, *http.Request) (int, error) {
			time.Sleep(3 * time.Second)
			return http.StatusOK, nil
		}
		for range 2 {
			s, _, _ := start(t, o)
			s.Use(1, r.target(home))
		}
		for range 200 {
			o.add(catalog.Message{})
		}
		time.Sleep(5 * time.Minute)
		seen := map[string]bool{}
		for _, g := range r.got() {
			seen[g.header.Get("Webhook-Id")] = true
		}
		if len(seen) != 200 || len(r.got()) != 200 {
			t.Errorf("%d were sent, %d of them different", len(r.got()), len(seen))
		}
	})
}

func TestWhoIsStoppedLeavesWhatHeBeganToTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, r := newOutbox(), &receiver{}
		var hang atomic.Bool
		hang.Store(true)
		r.answer = func(_ int, req *http.Request) (int, error) {
			if hang.Load() {
				<-req.Context().Done()
				time.Sleep(time.Second)
				return 0, req.Context().Err()
			}
			return http.StatusOK, nil
		}
		s, logged, stop := start(t, o)
		s.Use(1, r.target(home))
		o.add(catalog.Message{})
		synctest.Wait()
		stop()
		if _, due, _ := o.NextMessage(t.Context()); due.After(time.Now()) {
			t.Error("it ended before what it had begun was left to the next")
		}
		if logged.Len() != 0 || s.count(ResultFailed) != 0 {
			t.Errorf("our own end was taken for the receiver's: %v", logged.All())
		}
		hang.Store(false)
		next, _, _ := start(t, o)
		next.Use(1, r.target(home))
		synctest.Wait()
		if o.waiting() != 0 || len(r.got()) != 2 {
			t.Errorf("%d attempts, %d wait", len(r.got()), o.waiting())
		}
	})
}

func TestTheNewestConfigurationSendsAndSigns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, r := newOutbox(), &receiver{}
		s, _, _ := start(t, o)
		other := r.target("https://new.example/")
		other.Secret = secret.New("another secret, of plain text")
		last := func() got {
			o.add(catalog.Message{})
			synctest.Wait()
			all := r.got()
			return all[len(all)-1]
		}
		s.Use("old", r.target(home))
		s.Use("new", other)
		if g := last(); g.url != "https://new.example/" || !verifies(g, other.Secret.Reveal()) {
			t.Errorf("with both it was sent to %s", g.url)
		}
		s.Drop("old")
		if g := last(); g.url != "https://new.example/" {
			t.Errorf("with the new one it was sent to %s", g.url)
		}
		s.Use("bad", r.target(home))
		s.Drop("bad")
		if g := last(); g.url != "https://new.example/" {
			t.Errorf("after one that did not come about it was sent to %s", g.url)
		}
		s.Drop("new")
		n := len(r.got())
		o.add(catalog.Message{})
		time.Sleep(time.Hour)
		if len(r.got()) != n {
			t.Error("it was sent without a configuration")
		}
	})
}

func TestACatalogThatIsAwayIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, r := newOutbox(), &receiver{}
		o.away = true
		s, _, _ := start(t, o)
		s.Use(1, r.target(home))
		o.add(catalog.Message{})
		time.Sleep(time.Hour)
		o.mu.Lock()
		o.away = false
		o.mu.Unlock()
		time.Sleep(2 * lookEvery)
		if len(r.got()) != 1 {
			t.Errorf("%d sent", len(r.got()))
		}
	})
}

func TestWhatIsNotAllowedIsNotFollowed(t *testing.T) {
	o := newOutbox()
	s := NewSender(o, nil)
	for _, to := range []string{"", "ftp://app.example", "https://user:pass@app.example/", "https:///x", "https://app.example/#x", "app.example"} {
		r := &receiver{}
		if err := s.post(context.Background(), r.target(home), to, &catalog.Message{}); err == nil || len(r.got()) != 0 {
			t.Errorf("%q: %v, %d sent", to, err, len(r.got()))
		}
	}
}
