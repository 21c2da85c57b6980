package keyring

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// fake is a store whose answers a test sets.
type fake struct {
	mu        sync.Mutex
	docs      map[store.Address]*store.Document
	former    map[store.Address]*store.Document // the version before
	asked     []int                             // before which versions
	errs      map[store.Address]error
	err       error         // of every read and probe
	ill       error         // of every probe
	delay     time.Duration // of every read
	panics    bool
	answering func() // called when a read is about to be answered
	log       []read
	probes    []time.Time
	closed    int
	flying    int // now
	most      int // at once
}

type read struct {
	addr store.Address
	at   time.Time
}

func newFake() *fake {
	return &fake{docs: map[store.Address]*store.Document{}, former: map[store.Address]*store.Document{}, errs: map[store.Address]error{}}
}

func (f *fake) Get(ctx context.Context, a store.Address) (*store.Document, error) {
	f.mu.Lock()
	f.log = append(f.log, read{a, time.Now()})
	f.flying++
	f.most = max(f.most, f.flying)
	delay := f.delay
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.flying--
	}()
	if delay > 0 {
		t := time.NewTimer(delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.panics {
		panic("canary")
	}
	if f.err != nil {
		return nil, f.err
	}
	if err := f.errs[a]; err != nil {
		return nil, err
	}
	if f.answering != nil {
		f.answering()
	}
	if d := f.docs[a]; d != nil {
		return d, nil
	}
	return nil, fmt.Errorf("reading %s: %w", a, store.ErrNotFound)
}

func (f *fake) Former(ctx context.Context, a store.Address, newest int) (*store.Document, error) {
	f.mu.Lock()
	f.asked = append(f.asked, newest)
	err, delay, d := f.err, f.delay, f.former[a]
	f.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err == nil && d == nil {
		err = fmt.Errorf("reading the version before %d of %s: %w", newest, a, store.ErrNotFound)
	}
	return d, err
}

func (f *fake) Put(context.Context, store.Address, map[string]secret.Value, int) (int, error) {
	return 0, errors.New("not written by a keyring")
}

func (f *fake) Delete(context.Context, store.Address) error {
	return errors.New("not deleted by a keyring")
}

func (f *fake) Healthy(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.probes = append(f.probes, time.Now())
	if f.ill != nil {
		return f.ill
	}
	return f.err
}

func (f *fake) Close(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed++
	return nil
}

// set makes every later answer of the fake what change makes it.
func (f *fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fake) reads() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.log)
}

func (f *fake) readsOf(a store.Address) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.log {
		if r.addr == a {
			n++
		}
	}
	return n
}

// askedFor returns before which versions the store was asked for one.
func (f *fake) askedFor() []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.asked)
}

func doc(version int, value string) *store.Document {
	return &store.Document{
		Version: version,
		Fields:  map[string]store.Field{"apiKey": {Kind: "string", Value: secret.New(value)}},
	}
}

func addr(i int) store.Address { return store.Address{Path: fmt.Sprintf("customers/%d", i)} }

var one = store.Address{Path: "acme/prod"}

// rig is a ring over a fake, in a bubble of fake time.
type rig struct {
	*testing.T
	*fake
	ring   *Ring
	mu     sync.Mutex
	events []Event
}

func (r *rig) observe(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

func (r *rig) count(k Kind) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e.Kind == k {
			n++
		}
	}
	return n
}

// inTime runs f with fake time and closes the ring afterwards; a goroutine that
// stays behind fails the test.
func inTime(t *testing.T, o RingOptions, f func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{T: t, fake: newFake()}
		r.ring = New(r.fake, o)
		defer r.ring.Close(context.Background())
		f(r)
	})
}

// view is a started view with the options.
func (r *rig) view(o Options) *View {
	o.Observe = r.observe
	v := r.ring.View(o)
	v.Start()
	return v
}

func (r *rig) pass(d time.Duration) {
	time.Sleep(d) // fake
	synctest.Wait()
}

// want asserts that e gives the value now, and returns its key.
func (r *rig) want(e *Entry, value string) *Key {
	r.Helper()
	k, err := e.Key(context.Background(), "")
	if err != nil {
		r.Fatalf("got error %v, want key %s", err, value)
	}
	if got := k.Value.Reveal(); got != value {
		r.Fatalf("got key %s, want %s", got, value)
	}
	return k
}

// fails asserts that e gives no key, and returns the error.
func (r *rig) fails(e *Entry) error {
	r.Helper()
	_, err := e.Key(context.Background(), "")
	if err == nil {
		r.Fatal("got a key, want an error")
	}
	return err
}

func (r *rig) unavailable(err error) *UnavailableError {
	r.Helper()
	var un *UnavailableError
	if !errors.As(err, &un) {
		r.Fatalf("got %v, want an UnavailableError", err)
	}
	if un.RetryAfter < time.Second {
		r.Fatalf("got RetryAfter %s, want at least a second", un.RetryAfter)
	}
	return un
}
