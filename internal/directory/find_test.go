package directory

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

func TestAHeldRowIsFoundWithoutAsking(t *testing.T) {
	started(t, Options{}, func(r *rig) {
		r.wantIntegration("https://a")
		first := r.want(one, "https://a")
		for range 10 {
			if c := r.want(one, "https://a"); c != first {
				t.Fatal("got another row, nothing was changed")
			}
		}
		r.wantReads(one, 1)
		r.wantReads(acme, 0)
		if _, ok := r.dir.Integration("none"); ok {
			t.Error("found an integration that is not there")
		}
		if c, err := r.dir.Connection(ended(r.T), one.integration, one.id); c != first || err != nil {
			t.Errorf("a held row needs no time, got %v, %v", c, err)
		}
	})
}

func TestAColdRowIsReadOnceForAll(t *testing.T) {
	started(t, Options{}, func(r *rig) {
		r.set(func() { r.delay = time.Second })
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(r.Context(), 500*time.Millisecond)
				defer cancel()
				if i > 0 {
					ctx = r.Context()
				} else {
					defer func(at time.Time) {
						if d := time.Since(at); d != 500*time.Millisecond {
							t.Errorf("the first waiter left after %s", d)
						}
					}(time.Now())
				}
				_, err := r.dir.Connection(ctx, one.integration, one.id)
				if i == 0 != errors.Is(err, context.DeadlineExceeded) || errors.Is(err, catalog.ErrUnavailable) {
					t.Errorf("waiter %d: %v", i, err)
				}
			})
			synctest.Wait() // the first begins the read
		}
		wg.Wait()
		r.wantReads(one, 1)
	})
}

func TestAReadEndsByItsOwnDeadline(t *testing.T) {
	started(t, Options{}, func(r *rig) {
		r.set(func() { r.delay = time.Hour })
		began := time.Now()
		r.fails(one, catalog.ErrUnavailable)
		if d := time.Since(began); d != readTimeout {
			t.Errorf("waited %s", d)
		}
	})
}

func TestNobodyBeginsToReadWithoutTime(t *testing.T) {
	started(t, Options{}, func(r *rig) {
		if _, err := r.dir.Connection(ended(r.T), one.integration, one.id); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
		r.wantReads(one, 0)
	})
}

func TestWhoComesWhenARowHasJustComeReadsNothing(t *testing.T) {
	started(t, Options{}, func(r *rig) {
		held := r.want(one, "https://a") // between another's look and its turn
		if c, f, err := r.dir.ask(one); c != held || f != nil || err != nil {
			t.Errorf("got %v, %v, %v", c, f, err)
		}
	})
}

func TestAnEmptyIDIsNotTheIntegration(t *testing.T) {
	started(t, Options{}, func(r *rig) {
		r.fails(acme, catalog.ErrNotFound)
		r.wantReads(acme, 0)
	})
}

func TestReadsForRequestsAreBounded(t *testing.T) {
	started(t, Options{}, func(r *rig) {
		r.set(func() { r.delay = 100 * time.Millisecond })
		var wg sync.WaitGroup
		for i := range 3 * foreground {
			wg.Go(func() { r.fails(key{"acme", fmt.Sprint("made up ", i)}, catalog.ErrNotFound) })
		}
		wg.Wait()
		if r.most != foreground {
			t.Errorf("%d reads at once, want %d", r.most, foreground)
		}
	})
}

func TestWhoFindsNoPlaceIsToldInTime(t *testing.T) {
	started(t, Options{}, func(r *rig) {
		r.set(func() { r.delay, r.stuck = time.Hour, true })
		for i := range foreground {
			go func() { _, _ = r.find(key{"acme", fmt.Sprint("made up ", i)}) }()
		}
		synctest.Wait()
		r.set(func() { r.delay = 0 })
		began := time.Now()
		r.fails(one, catalog.ErrUnavailable)
		if d := time.Since(began); d != readTimeout {
			t.Errorf("waited %s", d)
		}
		r.putIntegration(catalog.Integration{UniqueKey: "acme", BaseURL: "https://b"})
		synctest.Wait()
		r.wantIntegration("https://b") // requests do not take the places of changes
	})
}

func TestWhatIsNotThereIsNotAskedForAgain(t *testing.T) {
	started(t, Options{}, func(r *rig) {
		r.fails(other, catalog.ErrNotFound)
		r.pass(unknownFor - 1)
		r.fails(other, catalog.ErrNotFound)
		r.wantReads(other, 1)
		r.pass(1)
		r.fails(other, catalog.ErrNotFound)
		r.wantReads(other, 2)
	})
}

func TestWhatIsMadeIsFoundAtOnceThoughItWasMissing(t *testing.T) {
	started(t, Options{}, func(r *rig) {
		r.fails(other, catalog.ErrNotFound)
		r.put(aRow(other, "https://a"))
		synctest.Wait()
		r.want(other, "https://a")
	})
}

func TestWhatIsMissingAgainIsRememberedAnew(t *testing.T) {
	started(t, Options{}, func(r *rig) {
		r.fails(other, catalog.ErrNotFound)
		r.pass(unknownFor / 2)
		r.put(aRow(other, "https://a"))
		r.remove(other)
		synctest.Wait()
		r.fails(other, catalog.ErrNotFound)
		n := r.readsOf(other)
		r.pass(unknownFor / 2) // the first memory ends
		r.fails(key{"acme", "another"}, catalog.ErrNotFound)
		r.fails(other, catalog.ErrNotFound)
		r.wantReads(other, n)
	})
}

func TestMadeUpIDsTakeLittle(t *testing.T) {
	started(t, Options{}, func(r *rig) {
		r.want(one, "https://a")
		for i := range maxUnknown + 10 {
			r.fails(key{"acme", fmt.Sprint("made up ", i)}, catalog.ErrNotFound)
		}
		if s := r.dir.Status(); s.Unknown != maxUnknown || s.Connections != 1 {
			t.Errorf("got %+v", s)
		}
		r.fails(key{"acme", "made up 0"}, catalog.ErrNotFound) // the oldest had to go
		r.wantReads(key{"acme", "made up 0"}, 2)
		r.fails(key{"acme", "made up 20"}, catalog.ErrNotFound)
		r.wantReads(key{"acme", "made up 20"}, 1)
		r.pass(unknownFor)
		r.fails(key{"acme", "another"}, catalog.ErrNotFound)
		if s := r.dir.Status(); s.Unknown != 1 {
			t.Errorf("%d ids are remembered for too long", s.Unknown-1)
		}
	})
}

func TestTheLeastUsedConnectionsGoBeyondTheBound(t *testing.T) {
	const bound = 100
	started(t, Options{MaxConnections: bound}, func(r *rig) {
		hot := make([]key, bound/2)
		for i := range hot {
			hot[i] = key{"acme", fmt.Sprint("hot ", i)}
			r.put(aRow(hot[i], "https://a"))
			synctest.Wait()
			r.want(hot[i], "https://a")
		}
		for i := range 20 * bound {
			cold := key{"acme", fmt.Sprint("cold ", i)}
			r.put(aRow(cold, "https://a"))
			synctest.Wait()
			r.want(cold, "https://a")
			r.want(hot[i%len(hot)], "https://a")
			r.want(hot[(i+len(hot)/2)%len(hot)], "https://a")
			if n := r.dir.Status().Connections; n > bound {
				t.Fatalf("%d connections are held", n)
			}
		}
		again := 0
		for _, k := range hot {
			again += r.readsOf(k) - 1
		}
		if again > 0 {
			t.Errorf("connections in use were read again %d times", again)
		}
		n := 0
		for c := range r.dir.All {
			if c.Integration == "acme" {
				n++
			}
		}
		if n != bound {
			t.Errorf("%d connections are held, want %d", n, bound)
		}
	})
}

func TestWhatHasJustComeStays(t *testing.T) {
	started(t, Options{MaxConnections: 3}, func(r *rig) {
		var keys [5]key
		for i := range keys {
			keys[i] = key{"acme", fmt.Sprint("c", i)}
			r.put(aRow(keys[i], "https://a"))
		}
		synctest.Wait()
		for _, k := range keys {
			r.want(k, "https://a")
		}
		for _, k := range keys[2:] { // the others came before
			r.want(k, "https://a")
			r.wantReads(k, 1)
		}
		r.want(one, "https://a") // though all the others are in use
		r.want(one, "https://a")
		r.wantReads(one, 1)
	})
}

// ended is a context that is over.
func ended(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
