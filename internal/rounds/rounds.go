// Package rounds tries known keys again and again: those that are due, however
// many there are, and never more than a few at once and in a second.
//
// It knows neither keys nor upstreams. Who uses it says which keys there are, of
// which it may have those that are due, and how one is tried.
package rounds

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Source is some keys that are tried at one interval: the connections of an
// integration, or its own key.
type Source struct {
	Integration string
	Own         bool
	Interval    time.Duration
}

// Config says what there is to try. Zero numbers take their defaults.
type Config struct {
	// Sources returns what is to be tried. It is asked often and must be cheap.
	Sources func() []Source

	// Claim returns up to limit ids of a source that are due, and sees to it that
	// nobody is given them again before the next interval.
	Claim func(ctx context.Context, s Source, limit int) ([]string, error)

	// Try tries one key. It returns within seconds.
	Try func(ctx context.Context, s Source, id string)

	// Failed is told why nothing could be claimed. Nil: no one is.
	Failed func(s Source, err error)

	// PerSecond bounds how many are tried in a second. Default: 20.
	PerSecond int

	// AtOnce bounds how many are tried at once, OfSource how many of these are
	// one source's: an upstream that hangs is not to hold up all others.
	// Default: 32 and 4.
	AtOnce, OfSource int
}

const (
	// lookEvery parts two looks for what is due. Sources with a long interval are
	// looked at less often, see pause.
	lookEvery = 2 * time.Second
	lookRare  = time.Minute

	// batch is how many keys of a source are claimed together.
	batch = 20
)

// pause is what parts two looks at a source: a part of its interval that makes
// no difference to it.
func pause(interval time.Duration) time.Duration {
	return min(max(interval/10, lookEvery), lookRare)
}

// rounds is the state of a [Run].
type rounds struct {
	Config
	pace   *rate.Limiter
	places chan struct{}

	next map[Source]time.Time // of a look
	busy map[Source]bool
	done chan looked
}

// looked says what became of the keys of a source that were claimed.
type looked struct {
	source Source
	more   bool // there may be more
}

// Run tries keys until ctx ends, and returns when the last trial has.
func Run(ctx context.Context, c Config) {
	r := &rounds{Config: c, next: map[Source]time.Time{}, busy: map[Source]bool{}, done: make(chan looked)}
	if r.PerSecond <= 0 {
		r.PerSecond = 20
	}
	if r.AtOnce <= 0 {
		r.AtOnce = 32
	}
	if r.OfSource <= 0 {
		r.OfSource = 4
	}
	if r.Failed == nil {
		r.Failed = func(Source, error) {}
	}
	r.pace, r.places = rate.NewLimiter(rate.Limit(r.PerSecond), 1), make(chan struct{}, r.AtOnce)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if ctx.Err() == nil {
			r.look(ctx)
		}
		select {
		case l := <-r.done:
			delete(r.busy, l.source)
			if !l.more {
				r.next[l.source] = time.Now().Add(pause(l.source.Interval))
			}
		case <-tick.C:
		case <-ctx.Done():
			r.drain()
			return
		}
	}
}

// drain waits for what runs.
func (r *rounds) drain() {
	for len(r.busy) > 0 {
		delete(r.busy, (<-r.done).source)
	}
}

// look begins to try what is due.
func (r *rounds) look(ctx context.Context) {
	now := time.Now()
	there := make(map[Source]time.Time, len(r.next))
	for _, s := range r.Sources() {
		there[s] = r.next[s]
		if r.busy[s] || now.Before(r.next[s]) {
			continue
		}
		ids, err := r.Claim(ctx, s, batch)
		if err != nil && ctx.Err() == nil {
			r.Failed(s, err)
		}
		if len(ids) == 0 {
			there[s] = now.Add(pause(s.Interval))
			continue
		}
		r.busy[s] = true
		go func() {
			r.try(ctx, s, ids)
			r.done <- looked{s, len(ids) == batch}
		}()
	}
	r.next = there
}

// try tries the keys that were claimed.
func (r *rounds) try(ctx context.Context, s Source, ids []string) {
	var running sync.WaitGroup
	own := make(chan struct{}, r.OfSource)
	for _, id := range ids {
		if !take(ctx, own) {
			break
		}
		if !take(ctx, r.places) {
			break
		}
		if r.pace.Wait(ctx) != nil {
			break
		}
		running.Go(func() {
			defer func() { <-own; <-r.places }()
			r.Try(ctx, s, id)
		})
	}
	running.Wait()
}

// take waits for a place.
func take(ctx context.Context, places chan struct{}) bool {
	select {
	case places <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}
