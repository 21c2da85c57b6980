package alert

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/notice"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

func wantMessages(t *testing.T, c *channel, n int, lastHas ...string) {
	t.Helper()
	all := c.got()
	if len(all) != n {
		t.Fatalf("%d messages, want %d: %q", len(all), n, all)
	}
	for _, part := range lastHas {
		if !strings.Contains(all[n-1], part) {
			t.Errorf("the message lacks %q: %s", part, all[n-1])
		}
	}
}

func TestWhatIsWrongIsToldOnceAndItsEndToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, c := newBook(), &channel{}
		n := newNode(t, "one", b, c)
		n.Open(t.Context(), refused("cust-1"))
		time.Sleep(2 * time.Second)
		wantMessages(t, c, 1, "The upstream refuses the key of connection `cust-1` of `acme`", "(version 3)", "since <!date^", "Enter a new key")
		for range 50 {
			n.Open(t.Context(), refused("cust-1"))
			time.Sleep(time.Minute)
		}
		wantMessages(t, c, 1)
		n.Resolve(t.Context(), refused("cust-1").Subject)
		time.Sleep(2 * time.Second)
		wantMessages(t, c, 2, "*Resolved:* connection `cust-1` of `acme` works again, after 50m")
		n.Resolve(t.Context(), refused("cust-1").Subject)
		time.Sleep(time.Hour)
		wantMessages(t, c, 2)
		n.Open(t.Context(), refused("cust-1"))
		time.Sleep(2 * time.Second)
		wantMessages(t, c, 3)
	})
}

func TestWhatIsOverBeforeItIsToldIsNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, c := newBook(), &channel{}
		n := newNode(t, "one", b, c)
		n.Open(t.Context(), refused("cust-1"))
		n.Resolve(t.Context(), refused("cust-1").Subject)
		time.Sleep(time.Hour)
		wantMessages(t, c, 0)
		// Nor is an end that is none.
		n.Open(t.Context(), refused("cust-1"))
		time.Sleep(2 * time.Second)
		n.Resolve(t.Context(), refused("cust-1").Subject)
		n.Open(t.Context(), refused("cust-1"))
		time.Sleep(time.Hour)
		wantMessages(t, c, 1)
	})
}

func TestTenThousandAtOnceAreTwoMessages(t *testing.T) {
	for name, gap := range map[string]time.Duration{"in one moment": 0, "one a millisecond": time.Millisecond, "over minutes": 20 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			b, c := newBook(), &channel{}
			n := newNode(t, "one", b, c)
			began := time.Now()
			for i := range 10_000 {
				n.Open(t.Context(), refused(fmt.Sprintf("cust-%05d", i)))
				time.Sleep(gap)
			}
			time.Sleep(patience + quiet)
			all := c.got()
			if len(all) == 0 || len(all) > 2 {
				t.Fatalf("%s: %d messages", name, len(all))
			}
			if first := c.at[0].Sub(began); first > 2*time.Second {
				t.Errorf("%s: the first came after %s", name, first)
			}
			if text := all[len(all)-1]; !strings.Contains(text, "things are wrong at once") || len(text) > 2000 {
				t.Errorf("%s: %s", name, text)
			}
			if name == "in one moment" && !strings.Contains(all[0], "10,000 keys are refused by their upstreams") {
				t.Errorf("%s: %s", name, all[0])
			}
			before := len(all)
			for i := range 10_000 {
				n.Resolve(t.Context(), refused(fmt.Sprintf("cust-%05d", i)).Subject)
			}
			time.Sleep(patience + quiet)
			wantMessages(t, c, before+1, "10,000 things are resolved")
		})
	}
}

func TestManyMessagesInAMinuteBecomeFewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, c := newBook(), &channel{}
		n := newNode(t, "one", b, c)
		for i := range 100 {
			n.Open(t.Context(), refused(fmt.Sprint(i)))
			time.Sleep(3 * time.Second)
		}
		time.Sleep(patience)
		if got := len(c.got()); got < many || got > 40 {
			t.Errorf("%d messages for a hundred failures in five minutes", got)
		}
		told := 0
		for _, m := range c.got() {
			told += strings.Count(m, ":red_circle: *The") + 100*strings.Count(m, "things are wrong")
		}
		if told < 100 {
			t.Errorf("only %d were told", told)
		}
	})
}

// The pace, by when messages come: at once as long as it is calm.
func TestWhenAMessageIsSent(t *testing.T) {
	tell := func(n *node, from, to int) {
		for i := range to - from {
			n.Open(n.ctx, refused(fmt.Sprintf("cust-%05d", from+i)))
		}
	}
	for name, check := range map[string]func(t *testing.T, n *node, c *channel){
		"many soon after one wait until it is quiet": func(t *testing.T, n *node, c *channel) {
			tell(n, 0, 1)
			time.Sleep(10 * time.Second)
			tell(n, 1, 20)
			time.Sleep(quiet - time.Second)
			wantMessages(t, c, 1)
			time.Sleep(2 * time.Second)
			wantMessages(t, c, 2, "19 things")
		},
		"one soon after many waits, too": func(t *testing.T, n *node, c *channel) {
			tell(n, 0, 20)
			time.Sleep(10 * time.Second)
			tell(n, 20, 21)
			time.Sleep(quiet - time.Second)
			wantMessages(t, c, 1, "20 things")
			time.Sleep(2 * time.Second)
			wantMessages(t, c, 2, "cust-00020")
		},
		"it is not waited for without end": func(t *testing.T, n *node, c *channel) {
			tell(n, 0, 20)
			time.Sleep(10 * time.Second)
			for i := range 100 {
				tell(n, 20+i, 21+i)
				time.Sleep(5 * time.Second)
			}
			if got := len(c.got()); got != 2 {
				t.Errorf("%d messages while something came every five seconds, want a second one within %s", got, patience)
			}
		},
		"those of yesterday delay nothing": func(t *testing.T, n *node, c *channel) {
			for i := range 2 * many {
				tell(n, i, i+1)
				time.Sleep(time.Hour)
			}
			tell(n, 2*many, 2*many+1)
			time.Sleep(2 * time.Second)
			wantMessages(t, c, 2*many+1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, c := newBook(), &channel{}
				check(t, newNode(t, "one", b, c), c)
			})
		})
	}
}

func TestOneNodeTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, c := newBook(), &channel{}
		one := newNode(t, "one", b, c)
		synctest.Wait() // so that it leads
		two := newNode(t, "two", b, c)
		for _, n := range []*node{one, two} {
			n.Open(t.Context(), refused("cust-1"))
		}
		time.Sleep(time.Minute)
		wantMessages(t, c, 1)
		one.stop()
		two.Open(t.Context(), refused("cust-2"))
		time.Sleep(leadEvery + 2*time.Second)
		wantMessages(t, c, 2, "cust-2")
		two.stop()
		three := newNode(t, "three", b, c) // after a restart of all
		three.Open(t.Context(), refused("cust-2"))
		time.Sleep(time.Hour)
		wantMessages(t, c, 2)
		three.Resolve(t.Context(), refused("cust-2").Subject)
		time.Sleep(2 * time.Second)
		wantMessages(t, c, 3, "Resolved", "cust-2")
	})
}

// Two who tell at once would close each other's messages.
func TestWhoDoesNotLeadTellsNothingOfTheCatalog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, c := newBook(), &channel{}
		for range 10 { // as another node does
			if leads, err := b.LeadAlerts(t.Context(), "other"); !leads || err != nil {
				t.Fatal(leads, err)
			}
			if b.asked == 0 {
				newNode(t, "one", b, c).Open(t.Context(), refused("cust-1"))
			}
			time.Sleep(leadEvery)
		}
		wantMessages(t, c, 0)
		time.Sleep(time.Minute) // it died
		wantMessages(t, c, 1, "cust-1")
	})
}

func TestWhatWasSentWhileWhoTellsIsStoppedIsNotToldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, c := newBook(), &channel{}
		one := newNode(t, "one", b, c)
		c.comes = one.cancel
		one.Open(t.Context(), refused("cust-1"))
		time.Sleep(2 * time.Second)
		one.stop()
		wantMessages(t, c, 1, "cust-1")
		newNode(t, "two", b, c)
		time.Sleep(time.Hour)
		wantMessages(t, c, 1)
	})
}

func TestWhoHasNobodyToTellLeavesItToAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, first, second := newBook(), &channel{}, &channel{}
		one := newNode(t, "one", b, first)
		synctest.Wait() // so that it leads
		two := newNode(t, "two", b, second)
		one.Drop("one")
		two.Open(t.Context(), refused("cust-1"))
		time.Sleep(leadEvery + 2*time.Second)
		wantMessages(t, second, 1, "cust-1")
		// And does not think that it still does, when it has somebody again.
		two.Drop("two")
		synctest.Wait()
		one.Use("one", &Slack{URL: secret.New("https://hooks.slack.example/"), Client: &http.Client{Transport: first}})
		synctest.Wait()
		two.Use("two", &Slack{URL: secret.New("https://hooks.slack.example/"), Client: &http.Client{Transport: second}})
		one.Drop("one")
		synctest.Wait()
		time.Sleep(leadEvery)
		one.Use("one", &Slack{URL: secret.New("https://hooks.slack.example/"), Client: &http.Client{Transport: first}})
		synctest.Wait()
		one.Open(t.Context(), refused("cust-2"))
		time.Sleep(2 * time.Second)
		wantMessages(t, first, 0)
		wantMessages(t, second, 2, "cust-2")
	})
}

func TestWhoTellsAndDiesIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, c := newBook(), &channel{}
		if leads, err := b.LeadAlerts(t.Context(), "dead"); !leads || err != nil {
			t.Fatal(leads, err)
		}
		n := newNode(t, "one", b, c)
		n.Open(t.Context(), refused("cust-1"))
		if taken, err := b.TellAlerts(t.Context(), named); err != nil || taken.Count.Opened != 1 {
			t.Fatal(taken, err)
		}
		time.Sleep(time.Minute) // it has not said that it was told
		wantMessages(t, c, 1, "cust-1")
	})
}

func TestSlackIsGivenTheTimeItAsksFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, c := newBook(), &channel{}
		n := newNode(t, "one", b, c)
		c.set(http.StatusTooManyRequests, http.Header{"Retry-After": {"120"}})
		n.Open(t.Context(), refused("cust-1"))
		time.Sleep(100 * time.Second)
		if tried := c.set(0, nil); tried != 1 {
			t.Errorf("%d attempts, though two minutes were asked for", tried)
		}
		n.Open(t.Context(), refused("cust-2"))
		time.Sleep(30 * time.Second)
		wantMessages(t, c, 1, "cust-1", "cust-2")
		c.set(http.StatusServiceUnavailable, http.Header{"Retry-After": {"86400"}})
		n.Open(t.Context(), refused("cust-3"))
		time.Sleep(time.Minute)
		c.set(0, nil)
		time.Sleep(time.Hour) // which is the most it gets
		wantMessages(t, c, 2, "cust-3")
	})
}

func TestASlackThatHangsIsCutAndOurOwnEndIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, c := newBook(), &channel{hangs: true}
		n := newNode(t, "one", b, c)
		n.Open(t.Context(), refused("cust-1"))
		time.Sleep(attempt + gather + time.Millisecond)
		if got := n.failed.Load(); got != 1 {
			t.Errorf("%d have failed after %s", got, attempt)
		}
		time.Sleep(firstRetry + lookEvery)
		n.stop()
		if tried := c.set(0, nil); tried != 2 || n.failed.Load() != 1 || n.logged.Len() != 1 {
			t.Errorf("%d attempts, %d failed, logged %v", tried, n.failed.Load(), n.logged.All())
		}
		c.hangs = false
		newNode(t, "two", b, c)
		time.Sleep(2 * time.Second)
		wantMessages(t, c, 1, "cust-1")
	})
}

func TestASlackThatIsAwayIsTriedRarelyAndLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, c := newBook(), &channel{}
		n := newNode(t, "one", b, c)
		c.set(http.StatusFound, nil) // is no message that was taken
		n.Open(t.Context(), refused("cust-1"))
		time.Sleep(time.Minute)
		c.set(http.StatusInternalServerError, nil)
		time.Sleep(time.Hour)
		if tried := c.set(0, nil); tried < 10 || tried > 30 {
			t.Errorf("%d attempts in an hour", tried)
		}
		time.Sleep(maxRetry)
		wantMessages(t, c, 1, "cust-1")
		if logged := n.logged.All(); len(logged) != 2 || strings.Contains(fmt.Sprint(logged), "canary") {
			t.Errorf("logged %v", logged)
		}
	})
}

func TestWhatNeitherSlackNorTheCatalogTookIsToldLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, c := &deafBook{book: newBook()}, &channel{}
		n := newNode(t, "one", b, c)
		c.set(http.StatusInternalServerError, nil)
		b.deaf.Store(true)
		n.Open(t.Context(), refused("cust-1"))
		time.Sleep(2 * time.Second)
		if tried := c.set(0, nil); tried == 0 {
			t.Fatal("nothing was tried")
		}
		b.deaf.Store(false)
		time.Sleep(time.Minute)
		wantMessages(t, c, 1, "cust-1")
	})
}

func TestWhatEndsAndBeginsAnewInMemoryWhileItIsToldIsToldAgainUnlessThatArrived(t *testing.T) {
	m, now := newMemory(), time.Now()
	for subject, arrived := range map[string]bool{"arrived": true, "lost": false} {
		m.open(catalog.Alert{Subject: subject}, now)
		m.take()
		m.resolve(subject, now)
		m.open(catalog.Alert{Subject: subject}, now)
		m.done(arrived)
		again := m.take()
		m.done(true)
		if got := len(again.Opened) == 1; got == arrived || len(again.Resolved) != 0 {
			t.Errorf("%s: told %+v", subject, again)
		}
		m.resolve(subject, now)
		if end := m.take(); len(end.Opened) != 0 || len(end.Resolved) != 1 {
			t.Errorf("%s: its end is %+v", subject, end)
		}
		m.done(true)
	}
}

func TestWhileTheCatalogIsAwayItIsToldFromMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, c := newBook(), &channel{}
		n := newNode(t, "one", b, c)
		time.Sleep(time.Minute)
		b.setAway(true)
		n.Open(t.Context(), catalog.Alert{Subject: "catalog", Kind: string(notice.CatalogAway)})
		time.Sleep(2 * time.Second)
		wantMessages(t, c, 1, "The catalog is away")
		if b.asked != 0 {
			t.Error("the catalog was asked to note that it is away")
		}
		n.Open(t.Context(), catalog.Alert{Subject: "store\nvault", Kind: string(notice.StoreDown), Store: "vault"})
		time.Sleep(2 * time.Second)
		wantMessages(t, c, 2, "the store `vault` is away")
		b.setAway(false)
		n.Resolve(t.Context(), "catalog")
		n.Resolve(t.Context(), "store\nvault")
		time.Sleep(2 * time.Second)
		wantMessages(t, c, 3, "The catalog is back", "the store `vault` is back")
	})
}

func TestWhatIsInMemoryIsToldOnceSlackTakesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, c := newBook(), &channel{}
		b.setAway(true)
		n := newNode(t, "one", b, c)
		c.set(http.StatusInternalServerError, nil)
		down := catalog.Alert{Subject: "store\nvault", Kind: string(notice.StoreDown), Store: "vault"}
		n.Open(t.Context(), down)
		time.Sleep(time.Minute)
		c.set(0, nil)
		time.Sleep(maxRetry)
		wantMessages(t, c, 1, "the store `vault` is away")
		c.set(http.StatusInternalServerError, nil)
		n.Resolve(t.Context(), down.Subject)
		time.Sleep(time.Minute)
		c.set(0, nil)
		time.Sleep(time.Hour)
		wantMessages(t, c, 2, "the store `vault` is back")
		n.Resolve(t.Context(), down.Subject)
		time.Sleep(time.Hour)
		wantMessages(t, c, 2)
	})
}

// A catalog may go away between any two questions.
func TestWhatTheCatalogGaveIsToldOnceWhateverAnswerIsLost(t *testing.T) {
	for name, lost := range map[string][2]bool{"what is to be told": {true, false}, "that it was told": {false, true}, "both": {true, true}} {
		synctest.Test(t, func(t *testing.T) {
			b, c := newBook(), &channel{}
			n := newNode(t, "one", b, c)
			time.Sleep(time.Minute)
			b.setLost(lost[0], lost[1])
			n.Open(t.Context(), refused("cust-1"))
			time.Sleep(2 * time.Second)
			b.setLost(false, false)
			time.Sleep(time.Minute)
			wantMessages(t, c, 1, "cust-1")
			n.Open(t.Context(), refused("cust-2"))
			time.Sleep(time.Minute)
			wantMessages(t, c, 2, "cust-2")
			if strings.Contains(c.got()[1], "cust-1") {
				t.Errorf("without the answer of %s it was told again: %s", name, c.got()[1])
			}
			n.Resolve(t.Context(), refused("cust-1").Subject)
			time.Sleep(time.Minute)
			wantMessages(t, c, 3, "Resolved", "cust-1")
		})
	}
}

func TestNobodyIsToldWhenNobodyIsConfigured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, c := newBook(), &channel{}
		n := newNode(t, "one", b, c)
		n.Drop("one")
		n.Open(t.Context(), refused("cust-1"))
		n.Open(t.Context(), catalog.Alert{Subject: "catalog", Kind: string(notice.CatalogAway)})
		time.Sleep(time.Hour)
		wantMessages(t, c, 0)
		if n.memory.count().Opened != 0 {
			t.Error("it is kept for nobody")
		}
	})
}

func TestNamesAreNoMarkup(t *testing.T) {
	a := refused("<!channel> & `x` *y*\n" + strings.Repeat("z", 300))
	a.Integration, a.Reason = "<https://evil.example|acme>", "<!here>"
	got := text(&catalog.Telling{Opened: []*catalog.Alert{&a}, Count: catalog.AlertCount{Opened: 1}}, time.Now())
	if !strings.Contains(got, "`&lt;!channel&gt; &amp; 'x' *y* zz") || !strings.Contains(got, "`&lt;https://evil.example|acme&gt;`") ||
		strings.Contains(got, "<!channel") || strings.Contains(got, "<!here") || strings.Contains(got, strings.Repeat("z", longest+1)) || len(got) > 600 || strings.Count(got, "\n") != 0 {
		t.Error(got)
	}
}

func TestEveryBadNewsHasWords(t *testing.T) {
	for kind, w := range kinds {
		for _, format := range []string{w.wrong, w.over} {
			if got := fmt.Sprintf(format, "X"); strings.Contains(got, "%!") {
				t.Errorf("%s: %s", kind, got)
			}
		}
		if w.todo == "" || w.many == "" {
			t.Errorf("%s lacks words", kind)
		}
	}
}

func TestSlacksURLIsHTTPS(t *testing.T) {
	for to, fine := range map[string]bool{
		"https://hooks.slack.com/services/T/B/x": true, "http://127.0.0.1:8080/x": true, "http://[::1]/x": true,
		"http://hooks.slack.com/services/T/B/x": false, "http://localhost/x": false, "ftp://hooks.slack.com": false, "": false,
		"https://": false, "https://user:pass@hooks.slack.com/": false, "http://127.0.0.1.evil.example/": false,
	} {
		s := &Slack{URL: secret.New(to)}
		if err := s.Check(); (err == nil) != fine {
			t.Errorf("%q: %v", to, err)
		}
	}
}
