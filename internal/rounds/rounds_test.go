package rounds

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// due is a catalog of connections: when each is due.
type due struct {
	mu     sync.Mutex
	at     map[Source][]time.Time
	claims int
	fail   error
}

func (d *due) claim(_ context.Context, s Source, limit int) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.claims++
	if d.fail != nil {
		return nil, d.fail
	}
	var ids []string
	for i, at := range d.at[s] {
		if len(ids) < limit && !at.After(time.Now()) {
			d.at[s][i] = time.Now().Add(s.Interval)
			ids = append(ids, fmt.Sprint(i))
		}
	}
	return ids, nil
}

// run runs rounds over sources of n keys each for a time.
func run(t *testing.T, d *due, c Config, length time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	c.Claim = d.claim
	Run(ctx, c)
}

func TestEachKeyIsTriedOnceAnInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Source{Integration: "acme", Interval: time.Hour}
		d := &due{at: map[Source][]time.Time{s: make([]time.Time, 45)}}
		var mu sync.Mutex
		tried := map[string][]time.Time{}
		run(t, d, Config{
			Sources: func() []Source { return []Source{s} },
			Try: func(_ context.Context, _ Source, id string) {
				mu.Lock()
				defer mu.Unlock()
				tried[id] = append(tried[id], time.Now())
			},
		}, 150*time.Minute)
		if len(tried) != 45 {
			t.Errorf("%d keys were tried", len(tried))
		}
		for id, at := range tried {
			if len(at) != 3 || at[1].Sub(at[0]) > time.Hour+2*time.Minute {
				t.Errorf("%s was tried at %v", id, at)
			}
		}
	})
}

func TestLooksArePartedByAPartOfTheInterval(t *testing.T) {
	for interval, want := range map[time.Duration]time.Duration{
		10 * time.Second: lookEvery, 5 * time.Minute: 30 * time.Second, time.Hour: lookRare, 24 * time.Hour: lookRare,
	} {
		if got := pause(interval); got != want {
			t.Errorf("of an interval of %s: %s, want %s", interval, got, want)
		}
	}
	synctest.Test(t, func(t *testing.T) { // also after a look that found some
		var looks []time.Time
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		Run(ctx, Config{
			Sources: func() []Source { return []Source{{Integration: "acme", Interval: time.Hour}} },
			Claim: func(context.Context, Source, int) ([]string, error) {
				looks = append(looks, time.Now())
				return []string{"one"}, nil
			},
			Try: func(context.Context, Source, string) {},
		})
		if len(looks) < 8 || len(looks) > 20 {
			t.Errorf("%d looks in ten minutes", len(looks))
		}
	})
}

func TestAHundredThousandKeysAreTriedAtABoundedRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Without the list of times, which would take long to search.
		const keys = 100_000
		s := Source{Integration: "acme", Interval: 10 * time.Minute}
		given := 0
		start := time.Now()
		var running, most, tried atomic.Int64
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		perSecond := map[int64]int{}
		var mu sync.Mutex
		Run(ctx, Config{
			Sources: func() []Source { return []Source{s} },
			Claim: func(_ context.Context, _ Source, limit int) ([]string, error) {
				given += limit
				if given > keys {
					return nil, nil
				}
				return make([]string, limit), nil
			},
			Try: func(context.Context, Source, string) {
				n := running.Add(1)
				defer running.Add(-1)
				for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
				}
				mu.Lock()
				perSecond[int64(time.Since(start)/time.Second)]++
				mu.Unlock()
				time.Sleep(100 * time.Millisecond)
				tried.Add(1)
			},
		})
		if most.Load() > 4 || tried.Load() < 10_000 {
			t.Errorf("%d were tried, up to %d at once", tried.Load(), most.Load())
		}
		for second, n := range perSecond {
			if n > 21 {
				t.Errorf("%d were tried in second %d", n, second)
			}
		}
	})
}

func TestAnUpstreamThatHangsHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hangs, works := Source{Integration: "hangs", Interval: time.Hour}, Source{Integration: "works", Interval: time.Hour}
		d := &due{at: map[Source][]time.Time{hangs: make([]time.Time, 1000), works: make([]time.Time, 100)}}
		var tried, atOnce, most atomic.Int64
		run(t, d, Config{
			Sources: func() []Source { return []Source{hangs, works} },
			Try: func(_ context.Context, s Source, _ string) {
				if s == works {
					tried.Add(1)
					return
				}
				if n := atOnce.Add(1); n > most.Load() {
					most.Store(n)
				}
				time.Sleep(10 * time.Second)
				atOnce.Add(-1)
			},
		}, 30*time.Second)
		if tried.Load() != 100 || most.Load() != 4 {
			t.Errorf("%d of the other were tried, %d hung at once", tried.Load(), most.Load())
		}
	})
}

func TestManySourcesShareThePlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sources := make([]Source, 50)
		d := &due{at: map[Source][]time.Time{}}
		for n := range sources {
			s := Source{Integration: fmt.Sprint(n), Interval: time.Hour}
			sources[n] = s
			d.at[s] = make([]time.Time, 20)
		}
		var atOnce, most atomic.Int64
		run(t, d, Config{
			Sources: func() []Source { return sources },
			Try: func(context.Context, Source, string) {
				n := atOnce.Add(1)
				for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
				}
				time.Sleep(10 * time.Second)
				atOnce.Add(-1)
			},
		}, 5*time.Minute)
		if most.Load() != 32 {
			t.Errorf("up to %d were tried at once", most.Load())
		}
	})
}

func TestSourcesAreLookedAtSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Source{Integration: "acme", Interval: 24 * time.Hour}
		d := &due{at: map[Source][]time.Time{}}
		run(t, d, Config{Sources: func() []Source { return []Source{s} }}, time.Hour)
		if d.claims > 61 {
			t.Errorf("was asked %d times in an hour", d.claims)
		}
	})
}

func TestACatalogThatIsAwayIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Source{Integration: "acme", Interval: time.Minute}
		d := &due{at: map[Source][]time.Time{s: make([]time.Time, 1)}, fail: errors.New("away")}
		var told, tried atomic.Int64
		time.AfterFunc(time.Minute, func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.fail = nil
		})
		run(t, d, Config{
			Sources: func() []Source { return []Source{s} },
			Failed:  func(Source, error) { told.Add(1) },
			Try:     func(context.Context, Source, string) { tried.Add(1) },
		}, 90*time.Second)
		if told.Load() < 5 || tried.Load() != 1 {
			t.Errorf("told %d times, tried %d", told.Load(), tried.Load())
		}
	})
}

func TestASourceThatIsGoneIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Source{Integration: "acme", Interval: time.Minute}
		d := &due{at: map[Source][]time.Time{s: make([]time.Time, 1)}}
		var tried atomic.Int64
		start := time.Now()
		run(t, d, Config{
			Sources: func() []Source {
				if time.Since(start) > 90*time.Second {
					return nil
				}
				return []Source{s}
			},
			Try: func(context.Context, Source, string) { tried.Add(1) },
		}, 10*time.Minute)
		if tried.Load() != 2 {
			t.Errorf("tried %d times", tried.Load())
		}
	})
}
