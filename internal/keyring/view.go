// How one configuration looks at a ring.

package keyring

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// Options are what one configuration wishes. A zero field takes its default.
type Options struct {
	// TTL is how long a key is used without asking the store again. A new value
	// in the store is in use within it. Default: 5m.
	TTL time.Duration

	// SyncAfter is the age from which a request waits for a refresh before it
	// uses the key. Default: 30m, or the ttl when that is longer.
	SyncAfter time.Duration

	// SyncWait is how long it waits. Default: 1s.
	SyncWait time.Duration

	// MaxStale is the age from which a key is not used any longer. Default:
	// 24h, or the ttl when that is longer.
	MaxStale time.Duration

	// Lazy leaves what the view pins unread until it is first asked for, and
	// then refreshes it when it is used, like a customer's. Default: false.
	Lazy bool

	// Observe is told what happens in the background. It is called from several
	// goroutines and must not block. May be nil.
	Observe func(Event)
}

// WithDefaults returns o with its zero fields set, or an error that names the
// field that cannot be as it is.
func (o Options) WithDefaults() (Options, error) {
	for _, f := range []struct {
		name string
		d    time.Duration
	}{{"ttl", o.TTL}, {"sync_after", o.SyncAfter}, {"sync_wait", o.SyncWait}, {"max_stale", o.MaxStale}} {
		if f.d < 0 {
			return o, fmt.Errorf("checking %s: %s is negative", f.name, f.d)
		}
	}
	setDefault(&o.TTL, 5*time.Minute)
	setDefault(&o.SyncWait, time.Second)
	setDefault(&o.MaxStale, max(24*time.Hour, o.TTL))
	setDefault(&o.SyncAfter, min(max(30*time.Minute, o.TTL), o.MaxStale))
	switch {
	case o.MaxStale < o.TTL:
		return o, fmt.Errorf("checking max_stale: %s is shorter than the ttl of %s", o.MaxStale, o.TTL)
	case o.SyncAfter < o.TTL:
		return o, fmt.Errorf("checking sync_after: %s is shorter than the ttl of %s", o.SyncAfter, o.TTL)
	case o.SyncAfter > o.MaxStale:
		return o, fmt.Errorf("checking sync_after: %s is longer than the max_stale of %s", o.SyncAfter, o.MaxStale)
	}
	return o, nil
}

// View is one configuration's look at a ring: its own ttl and limits over the
// keys that all views share.
type View struct {
	ring *Ring
	opts Options

	mu     sync.Mutex
	state  int // 0 new, 1 started, 2 closed
	pinned map[store.Address]*Entry
}

// View makes a view with o, which [Options.WithDefaults] has accepted. It starts
// nothing.
func (r *Ring) View(o Options) *View {
	o, _ = o.WithDefaults()
	return &View{ring: r, opts: o, pinned: make(map[store.Address]*Entry)}
}

// Start begins the view's background work: what it pins is fetched and kept
// fresh, and its Observe is told of events.
func (v *View) Start() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.state != 0 {
		return
	}
	v.state = 1
	v.ring.start()
	v.ring.views.add(v)
	if !v.opts.Lazy {
		for _, e := range v.pinned {
			e.slot.Load().kept.Add(1)
		}
	}
	v.ring.replan() // this view's ttl may be the strictest
}

// Close ends the view's background work. Requests that still hold the view or an
// entry of it go on to get their keys.
func (v *View) Close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	was := v.state
	v.state = 2
	if was == 2 {
		return
	}
	v.ring.views.remove(v)
	for _, e := range v.pinned {
		s := e.slot.Load()
		if was == 1 && !v.opts.Lazy && s.kept.Add(-1) == 0 {
			v.ring.queue.remove(s)
		}
		v.ring.table.unpin(s)
	}
}

// Pin returns the entry of a key that the configuration itself names. Once the
// view is started it is fetched and refreshed by schedule, asked for or not,
// unless the view is lazy; it is never evicted before the view is closed.
// Pinning an address again returns the same entry.
func (v *View) Pin(a store.Address) *Entry {
	v.mu.Lock()
	defer v.mu.Unlock()
	if e := v.pinned[a]; e != nil {
		return e
	}
	if v.state == 2 {
		return v.Entry(a)
	}
	s := v.ring.table.pin(a)
	e := &Entry{view: v, pinned: true}
	e.slot.Store(s)
	v.pinned[a] = e
	if v.state == 1 && !v.opts.Lazy {
		s.kept.Add(1)
		v.ring.plan(s)
	}
	return e
}

// Entry returns the entry of a key that a request chose. It is refreshed when it
// is used, and let go of when it is not.
func (v *View) Entry(a store.Address) *Entry {
	e := &Entry{view: v}
	e.slot.Store(v.ring.table.ensure(a))
	return e
}

// replan plans all that is kept by schedule, after the strictest ttl changed.
func (r *Ring) replan() {
	r.table.each(func(s *slot) bool {
		if s.kept.Load() > 0 {
			r.plan(s)
		}
		return true
	})
}

// views are the started ones of a ring.
type views struct {
	mu   sync.Mutex
	list atomic.Pointer[[]*View] // replaced, never changed
}

func (l *views) add(v *View) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := append(slices.Clone(l.all()), v)
	l.list.Store(&n)
}

func (l *views) remove(v *View) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := slices.DeleteFunc(slices.Clone(l.all()), func(o *View) bool { return o == v })
	l.list.Store(&n)
}

func (l *views) all() []*View {
	if p := l.list.Load(); p != nil {
		return *p
	}
	return nil
}

// strictestTTL is the shortest ttl of the started views: what is refreshed for
// all of them has to be fresh enough for each.
func (l *views) strictestTTL() time.Duration {
	var ttl time.Duration
	for _, v := range l.all() {
		if ttl == 0 || v.opts.TTL < ttl {
			ttl = v.opts.TTL
		}
	}
	if ttl == 0 {
		return 5 * time.Minute
	}
	return ttl
}

// tell tells every started view. No lock of a slot is held meanwhile.
func (l *views) tell(events ...Event) {
	for _, v := range l.all() {
		if v.opts.Observe == nil {
			continue
		}
		for _, e := range events {
			v.opts.Observe(e)
		}
	}
}
