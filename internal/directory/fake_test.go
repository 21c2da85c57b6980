package directory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

var errDown = fmt.Errorf("dialling: %w", catalog.ErrUnavailable)

// fake is a catalog in memory whose answers a test sets. Its methods take their
// answer when they begin, and give it after delay.
type fake struct {
	mu           sync.Mutex
	integrations map[string]catalog.Integration
	connections  map[key]catalog.Connection
	changes      []catalog.Change
	lost         int64 // changes up to this number are gone
	bell         chan struct{}
	deaf         bool // watchers hear nothing

	err   error         // of everything
	bad   map[key]error // of the read of one row; of the list of integrations
	delay time.Duration // of every read of rows
	mute  bool          // no sign of life is answered
	stuck bool          // reads of a row do not obey their context

	reads   map[key]int
	asked   int // signs of life
	flying  int // reads of a row, now
	most    int // at once
	uses    [][]catalog.Sighting
	refused [][]catalog.Sighting
	taken   [][]catalog.Sighting
	aging   []catalog.Aging
	aged    map[int][]catalog.Sighting // by step, to be given
}

func newFake() *fake {
	return &fake{
		integrations: map[string]catalog.Integration{}, connections: map[key]catalog.Connection{},
		bell: make(chan struct{}), bad: map[key]error{}, reads: map[key]int{},
	}
}

// set makes every later answer of the fake what change makes it.
func (f *fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// put writes a connection, and announces it.
func (f *fake) put(c catalog.Connection) {
	f.set(func() {
		k := key{c.Integration, c.ID}
		c.Revision = f.connections[k].Revision + 1
		f.connections[k] = c
		f.announce(k)
	})
}

func (f *fake) remove(k key) {
	f.set(func() {
		delete(f.connections, k)
		f.announce(k)
	})
}

func (f *fake) putIntegration(i catalog.Integration) {
	f.set(func() {
		i.Revision = f.integrations[i.UniqueKey].Revision + 1
		f.integrations[i.UniqueKey] = i
		f.announce(key{i.UniqueKey, ""})
	})
}

func (f *fake) removeIntegration(uniqueKey string) {
	f.set(func() {
		delete(f.integrations, uniqueKey)
		f.announce(key{uniqueKey, ""})
	})
}

// announce notes a change. The lock is held.
func (f *fake) announce(k key) {
	f.changes = append(f.changes, catalog.Change{Seq: int64(len(f.changes)) + 1, Integration: k.integration, Connection: k.id})
	if !f.deaf {
		f.ring()
	}
}

func (f *fake) ring() {
	close(f.bell)
	f.bell = make(chan struct{})
}

func (f *fake) LastChange(ctx context.Context) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mute {
		f.mu.Unlock()
		<-ctx.Done()
		f.mu.Lock()
		return 0, ctx.Err()
	}
	f.asked++
	return int64(len(f.changes)), f.err
}

// Watch sleeps for five seconds after an error, as the real one does.
func (f *fake) Watch(ctx context.Context, after int64, told func([]catalog.Change) error) error {
	for {
		f.mu.Lock()
		bell, err, deaf, lost := f.bell, f.err, f.deaf, f.lost > after
		var news []catalog.Change
		if err == nil && !deaf && !lost {
			news = slices.Clone(f.changes[after:])
		}
		f.mu.Unlock()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case lost && err == nil:
			return catalog.ErrChangesLost
		case len(news) > 0:
			if err := told(news); err != nil {
				return err
			}
			after = news[len(news)-1].Seq
			continue
		case err != nil:
			bell = nil
		}
		t := time.NewTimer(5 * time.Second)
		select {
		case <-bell:
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
	}
}

func (f *fake) Integrations(ctx context.Context) ([]*catalog.Integration, error) {
	f.mu.Lock()
	all, err, delay := slices.Collect(maps.Values(f.integrations)), errors.Join(f.err, f.bad[key{}]), f.delay
	f.mu.Unlock()
	if end := pause(ctx, delay); end != nil || err != nil {
		return nil, errors.Join(end, err)
	}
	rows := make([]*catalog.Integration, len(all))
	for i := range all {
		rows[i] = &all[i]
	}
	return rows, nil
}

func (f *fake) Integration(ctx context.Context, uniqueKey string) (*catalog.Integration, error) {
	return readRow(ctx, f, key{uniqueKey, ""}, func() (catalog.Integration, bool) {
		i, ok := f.integrations[uniqueKey]
		return i, ok
	})
}

func (f *fake) Connection(ctx context.Context, integration, id string) (*catalog.Connection, error) {
	k := key{integration, id}
	return readRow(ctx, f, k, func() (catalog.Connection, bool) {
		c, ok := f.connections[k]
		return c, ok
	})
}

func readRow[T any](ctx context.Context, f *fake, k key, get func() (T, bool)) (*T, error) {
	f.mu.Lock()
	f.reads[k]++
	f.flying++
	f.most = max(f.most, f.flying)
	v, ok := get()
	err, delay := errors.Join(f.err, f.bad[k]), f.delay
	if f.stuck {
		ctx = context.WithoutCancel(ctx)
	}
	f.mu.Unlock()
	defer f.set(func() { f.flying-- })
	if end := pause(ctx, delay); end != nil {
		return nil, end
	}
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("reading %v: %w", k, catalog.ErrNotFound)
	}
	return &v, nil
}

func pause(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *fake) NoteUse(ctx context.Context, seen []catalog.Sighting) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := errors.Join(ctx.Err(), f.err); err != nil {
		return err
	}
	f.uses = append(f.uses, seen)
	return nil
}

func (f *fake) NoteAuthFailure(ctx context.Context, seen []catalog.Sighting) ([]catalog.Sighting, error) {
	return f.note(ctx, &f.refused, seen, func(c *catalog.Connection, s catalog.Sighting) bool {
		if c.AuthFailedVersion >= s.Version {
			return false
		}
		c.AuthFailedVersion, c.LastAuthFailureAt = s.Version, s.At
		return true
	})
}

func (f *fake) NoteAuthSuccess(ctx context.Context, seen []catalog.Sighting) ([]catalog.Sighting, error) {
	return f.note(ctx, &f.taken, seen, func(c *catalog.Connection, s catalog.Sighting) bool {
		if c.Unverified && c.KeyVersion <= s.Version {
			c.Unverified = false
			return true
		}
		if c.AuthFailedVersion == 0 || c.AuthFailedVersion > s.Version {
			return false
		}
		c.AuthFailedVersion = 0
		return true
	})
}

func (f *fake) note(ctx context.Context, log *[][]catalog.Sighting, seen []catalog.Sighting, apply func(*catalog.Connection, catalog.Sighting) bool) ([]catalog.Sighting, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := errors.Join(ctx.Err(), f.err); err != nil {
		return nil, err
	}
	*log = append(*log, seen)
	var news []catalog.Sighting
	for _, s := range seen {
		k := key{s.Integration, s.ID}
		c, ok := f.connections[k]
		if ok && apply(&c, s) {
			f.connections[k] = c
			f.announce(k)
			news = append(news, s)
		}
	}
	return news, nil
}

func (f *fake) readsOf(k key) (n int) {
	f.set(func() { n = f.reads[k] })
	return n
}

// one and other are connections, acme their integration.
var (
	acme  = key{"acme", ""}
	one   = key{"acme", "cust-1"}
	other = key{"acme", "cust-2"}
)

func aRow(k key, origin string) catalog.Connection {
	return catalog.Connection{Integration: k.integration, ID: k.id, Origin: origin, KeyVersion: 1}
}

// rig is a directory over a fake, in a bubble of fake time.
type rig struct {
	*testing.T
	*fake
	dir    *Directory
	mu     sync.Mutex
	events []Event
}

// inTime runs f with fake time and closes the directory afterwards; a goroutine
// that stays behind fails the test.
func inTime(t *testing.T, o Options, f func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{T: t, fake: newFake()}
		r.putIntegration(catalog.Integration{UniqueKey: "acme", BaseURL: "https://a"})
		r.put(aRow(one, "https://a"))
		o.Observe = func(e Event) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.events = append(r.events, e)
		}
		r.dir = New(r.fake, o)
		defer func() { _ = r.dir.Close(context.Background()) }()
		f(r)
	})
}

// started is inTime with a directory that has loaded.
func started(t *testing.T, o Options, f func(r *rig)) {
	t.Helper()
	inTime(t, o, func(r *rig) {
		r.dir.Start(r.Context())
		if err := r.dir.Ready(r.Context()); err != nil {
			r.Fatal(err)
		}
		f(r)
	})
}

func (r *rig) pass(d time.Duration) {
	time.Sleep(d) // fake
	synctest.Wait()
}

func (r *rig) find(k key) (*Connection, error) {
	return r.dir.Connection(context.Background(), k.integration, k.id)
}

// want asserts that k is found with the origin.
func (r *rig) want(k key, origin string) *Connection {
	r.Helper()
	c, err := r.find(k)
	if err != nil {
		r.Fatalf("%v: %v", k, err)
	}
	if c.Integration != k.integration || c.ID != k.id || c.Origin != origin {
		r.Fatalf("%v: got %+v, want the origin %s", k, c.Connection, origin)
	}
	return c
}

// fails asserts that k is not found for that reason, and no other.
func (r *rig) fails(k key, reason error) {
	r.Helper()
	c, err := r.find(k)
	if !errors.Is(err, reason) || (reason == catalog.ErrNotFound) == errors.Is(err, catalog.ErrUnavailable) {
		r.Fatalf("%v: got %v, %v, want %v", k, c, err, reason)
	}
}

func (r *rig) wantIntegration(baseURL string) *Integration {
	r.Helper()
	i, ok := r.dir.Integration("acme")
	if !ok || i.BaseURL != baseURL {
		r.Fatalf("got %+v, %v, want the base URL %s", i, ok, baseURL)
	}
	return i
}

func (r *rig) wantReads(k key, n int) {
	r.Helper()
	if got := r.readsOf(k); got != n {
		r.Errorf("%v was read %d times, want %d", k, got, n)
	}
}

func (r *rig) kinds() (all []Kind) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		all = append(all, e.Kind)
	}
	return all
}

func (r *rig) wantKinds(want ...Kind) {
	r.Helper()
	if got := r.kinds(); !slices.Equal(got, want) {
		r.Errorf("told %v, want %v", got, want)
	}
}

// away makes the catalog go away, and lets the directory notice.
func (r *rig) away() {
	r.set(func() { r.err = errDown })
	r.pass(beat + readTimeout)
}

// ClaimAged gives what is there for a step, a limit's worth at a time.
func (f *fake) ClaimAged(_ context.Context, a catalog.Aging) ([]catalog.Sighting, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.aging = append(f.aging, a)
	n := min(a.Limit, len(f.aged[a.Step]))
	seen := f.aged[a.Step][:n]
	f.aged[a.Step] = f.aged[a.Step][n:]
	return seen, f.err
}
