package keyring

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

func TestAFreshKeyIsGivenWithoutAReadOrAnAllocation(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.docs[one] = doc(1, "k1")
		e := r.view(Options{}).Pin(one)
		k := r.want(e, "k1")
		if n := testing.AllocsPerRun(100, func() { _, _ = e.Key(context.Background(), "") }); n != 0 {
			t.Errorf("got %v allocations, want 0", n)
		}
		if r.want(e, "k1") != k || r.reads() != 1 {
			t.Errorf("got another pointer or %d reads, want the same and 1", r.reads())
		}
	})
}

func TestNewAndViewAndPinReadNothing(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.ring.View(Options{}).Pin(one)
		r.pass(time.Hour)
		if r.reads() != 0 {
			t.Errorf("got %d reads, want none", r.reads())
		}
	})
}

func TestAPinnedKeyIsFetchedFromStartOn(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.docs[one] = doc(1, "k1")
		v := r.ring.View(Options{})
		v.Pin(one)
		v.Start()
		synctest.Wait()
		if r.reads() != 1 {
			t.Errorf("got %d reads, want 1", r.reads())
		}
	})
}

func TestAKeyAskedForBeforeStartIsFetched(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.docs[one] = doc(1, "k1")
		r.want(r.ring.View(Options{}).Pin(one), "k1")
	})
}

func TestANewValueIsInUseWithinTheTTL(t *testing.T) {
	for _, pinned := range []bool{true, false} {
		for _, ttl := range []time.Duration{2 * time.Second, 5 * time.Minute} {
			t.Run(fmt.Sprint(pinned, ttl), func(t *testing.T) {
				inTime(t, RingOptions{}, func(r *rig) {
					r.set(func() { r.docs[one] = doc(1, "k1") })
					v := r.view(Options{TTL: ttl})
					e := v.Entry(one)
					if pinned {
						e = v.Pin(one)
					}
					k := r.want(e, "k1")
					for n := 2; n < 30; n++ {
						r.set(func() { r.docs[one] = doc(n, fmt.Sprint("k", n)) })
						for range 50 { // requests, the last one just before the ttl is over
							_, _ = e.Key(context.Background(), "")
							r.pass(ttl / 50)
						}
						if now := r.want(e, fmt.Sprint("k", n)); now == k || now.Version != n {
							t.Fatal("the key kept its pointer or version")
						}
					}
					if got := r.reads(); got > 29*100/79+2 {
						t.Errorf("got %d reads in 28 ttl, want one per ttl", got)
					}
				})
			})
		}
	}
}

func TestTheDocumentsTTLOnlyShortens(t *testing.T) {
	for name, c := range map[string]struct {
		ttl   time.Duration
		reads int
	}{"shorter": {time.Minute, 11}, "longer": {time.Hour, 2}} {
		t.Run(name, func(t *testing.T) {
			inTime(t, RingOptions{}, func(r *rig) {
				d := doc(1, "k1")
				d.TTL = c.ttl
				r.docs[one] = d
				v := r.view(Options{TTL: 10 * time.Minute})
				v.Pin(one)
				d2 := doc(1, "c1")
				d2.TTL = c.ttl
				r.set(func() { r.docs[addr(1)] = d2 })
				customer := v.Entry(addr(1))
				r.want(customer, "c1")
				r.pass(10 * time.Minute)
				if got := customer.Status().State; got != "stale" {
					t.Errorf("a customer's key is %s, want stale", got)
				}
				if got := r.readsOf(one); got < c.reads || got > c.reads+2 {
					t.Errorf("got %d reads, want about %d", got, c.reads)
				}
			})
		})
	}
}

func TestZonesWhileTheStoreHangs(t *testing.T) {
	o := Options{TTL: 5 * time.Minute, SyncAfter: 30 * time.Minute, MaxStale: 2 * time.Hour}
	for name, c := range map[string]struct {
		age  time.Duration
		wait time.Duration
		dead bool
	}{
		"fresh": {age: 3 * time.Minute},
		"stale": {age: 10 * time.Minute},
		"old":   {age: 40 * time.Minute, wait: time.Second},
		"dead":  {age: 2 * time.Hour, wait: 5 * time.Second, dead: true},
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, RingOptions{}, func(r *rig) {
				r.set(func() { r.docs[one] = doc(1, "k1") })
				e := r.view(o).Entry(one)
				r.want(e, "k1")
				r.set(func() { r.delay = time.Hour })
				r.pass(c.age)
				if got := e.Status().State; got != name {
					t.Errorf("got state %s, want %s", got, name)
				}
				began := time.Now()
				if c.dead {
					r.unavailable(r.fails(e))
				} else {
					r.want(e, "k1")
				}
				if got := time.Since(began); got != c.wait {
					t.Errorf("waited %s, want %s", got, c.wait)
				}
			})
		})
	}
}

func TestAnOldKeyIsReplacedBeforeItIsUsed(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.docs[one] = doc(1, "k1")
		e := r.view(Options{}).Entry(one)
		r.want(e, "k1")
		r.set(func() { r.docs[one] = doc(2, "k2"); r.delay = 500 * time.Millisecond })
		r.pass(time.Hour)
		r.want(e, "k2")
	})
}

func TestConcurrentFirstRequestsReadOnce(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.docs[one] = doc(1, "k1")
		r.set(func() { r.delay = 500 * time.Millisecond })
		v := r.view(Options{})
		first, leave := context.WithCancel(context.Background())
		gone := make(chan error, 1)
		go func() {
			_, err := v.Entry(one).Key(first, "")
			gone <- err
		}()
		synctest.Wait()
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() { r.want(v.Entry(one), "k1") })
		}
		synctest.Wait()
		leave() // the others go on
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("the one who left got %v, want its context's error", err)
		}
		wg.Wait()
		if r.reads() != 1 {
			t.Errorf("got %d reads, want 1", r.reads())
		}
	})
}

func TestAFieldThatIsNotUsable(t *testing.T) {
	bad := func() *store.Document {
		d := doc(2, "")
		d.Fields["apiKey"] = store.Field{Kind: "number"}
		d.Fields["other"] = store.Field{Kind: "string", Value: secret.New("o2")}
		return d
	}
	t.Run("keeps the good value held, says so once, and takes the next good one", func(t *testing.T) {
		inTime(t, RingOptions{}, func(r *rig) {
			d := doc(1, "k1")
			d.Fields["other"] = store.Field{Kind: "string", Value: secret.New("o1")}
			r.docs[one] = d
			v := r.view(Options{TTL: time.Minute})
			e := v.Pin(one)
			k := r.want(e, "k1")
			r.set(func() { r.docs[one] = bad() })
			r.pass(10 * time.Minute)
			if r.want(e, "k1") != k {
				t.Error("the kept key changed its pointer")
			}
			if o, err := e.Key(context.Background(), "other"); err != nil || o.Value.Reveal() != "o2" {
				t.Errorf("the good field beside it gave %v, %v", o, err)
			}
			if got := r.count(KeyInvalid); got != 2 { // apiKey, and the default field
				t.Errorf("got %d events, want one per name", got)
			}
			r.set(func() { r.docs[one] = doc(3, "k3") })
			r.pass(time.Minute)
			r.want(e, "k3")
		})
	})
	t.Run("is said once also by a store without versions", func(t *testing.T) {
		inTime(t, RingOptions{}, func(r *rig) {
			r.docs[one] = doc(0, "k1")
			e := r.view(Options{TTL: time.Minute, MaxStale: time.Hour}).Pin(one)
			r.want(e, "k1")
			r.set(func() { r.docs[one] = doc(0, "") })
			r.pass(30 * time.Minute)
			r.want(e, "k1")
			if got := r.count(KeyInvalid); got != 2 {
				t.Errorf("got %d events, want one per name", got)
			}
			r.pass(31 * time.Minute) // the good value is not kept for ever
			r.fails(e)
		})
	})
	t.Run("is an error when nothing good is held, and read again after 30 seconds", func(t *testing.T) {
		inTime(t, RingOptions{}, func(r *rig) {
			r.docs[one] = bad()
			e := r.view(Options{}).Entry(one)
			var invalid *store.InvalidError
			if err := r.fails(e); !errors.As(err, &invalid) {
				t.Fatalf("got %v, want an InvalidError", err)
			}
			r.set(func() { r.docs[one] = doc(3, "k3") })
			r.pass(29 * time.Second)
			r.fails(e)
			if got := r.count(KeyUnusable); got != 1 {
				t.Errorf("got %d events for one version and field, want 1", got)
			}
			r.pass(2 * time.Second)
			r.want(e, "k3")
		})
	})
	t.Run("names the fields there when it is missing", func(t *testing.T) {
		inTime(t, RingOptions{}, func(r *rig) {
			r.set(func() { r.docs[one] = doc(1, "canary") })
			_, err := r.view(Options{}).Entry(one).Key(context.Background(), "token")
			if err == nil || !strings.Contains(err.Error(), "apiKey") || strings.Contains(err.Error(), "canary") {
				t.Errorf("got %v", err)
			}
		})
	})
}

func TestTheVersionGuard(t *testing.T) {
	then := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(d *store.Document, c time.Time) *store.Document { d.CreatedAt = c; return d }
	for name, c := range map[string]struct {
		next *store.Document
		want string
	}{
		"a higher version replaces":                         {at(doc(6, "new"), then.Add(1)), "new"},
		"a lower version does not":                          {at(doc(4, "new"), then.Add(-1)), "old"},
		"a lower version without a time does not":           {doc(4, "new"), "old"},
		"a lower version that is newer replaces":            {at(doc(1, "new"), then.Add(time.Hour)), "new"},
		"the same version of a document recreated replaces": {at(doc(5, "new"), then.Add(time.Hour)), "new"},
		"the same version that is older does not":           {at(doc(5, "new"), then.Add(-1)), "old"},
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, RingOptions{}, func(r *rig) {
				r.docs[one] = at(doc(5, "old"), then)
				e := r.view(Options{TTL: time.Minute}).Pin(one)
				r.want(e, "old")
				r.set(func() { r.docs[one] = c.next })
				r.pass(time.Minute)
				r.want(e, c.want)
			})
		})
	}
}

func TestAStoreWithoutVersionsReplacesByValue(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.docs[one] = doc(0, "k1")
		e := r.view(Options{TTL: time.Minute}).Pin(one)
		k := r.want(e, "k1")
		r.set(func() { r.docs[one] = doc(0, "k1") })
		r.pass(time.Minute)
		if r.want(e, "k1") != k {
			t.Error("the same value got another pointer")
		}
		r.set(func() { r.docs[one] = doc(0, "k2") })
		r.pass(time.Minute)
		r.want(e, "k2")
	})
}
