// Package directory is what a node knows of the catalog: the integrations, all
// of them, and the connections that requests asked for.
//
// A request finds both without I/O. What is changed on any node is heard of
// through the catalog's sequence of changes and read anew; from the moment it is
// heard of, no request goes by the old row, unless the catalog is away: then
// everything held stays in use.
package directory

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

// Catalog is what is needed of a [catalog.DB].
type Catalog interface {
	LastChange(ctx context.Context) (int64, error)
	Watch(ctx context.Context, after int64, f func([]catalog.Change) error) error

	Integrations(ctx context.Context) ([]*catalog.Integration, error)
	Integration(ctx context.Context, key string) (*catalog.Integration, error)
	Connection(ctx context.Context, integration, id string) (*catalog.Connection, error)

	NoteUse(ctx context.Context, uses []catalog.Sighting) error
	NoteAuthFailure(ctx context.Context, failures []catalog.Sighting) ([]catalog.Sighting, error)
	NoteAuthSuccess(ctx context.Context, successes []catalog.Sighting) ([]catalog.Sighting, error)
	ClaimAged(ctx context.Context, a catalog.Aging) ([]catalog.Sighting, error)
}

// Options of a directory. A zero field takes its default.
type Options struct {
	// Now is the clock of uses and of ids remembered as unknown. Default:
	// time.Now.
	Now func() time.Time

	// MaxConnections bounds the connections held. Default: 200000.
	MaxConnections int

	// FlushEvery is how often uses are written down. Default: 10s.
	FlushEvery time.Duration

	// Observe is told what happens, one event at a time. It must not block.
	// Default: nobody is told.
	Observe func(Event)
}

const (
	defaultMax   = 200_000
	defaultFlush = 10 * time.Second

	// readTimeout ends a read of one row, whoever waits for it.
	readTimeout = 2 * time.Second

	// loadTimeout ends the read of all integrations.
	loadTimeout = 10 * time.Second

	// firstPause is after which time a load that failed is tried again; each
	// further pause is twice as long, up to lastPause.
	firstPause = 250 * time.Millisecond
	lastPause  = 5 * time.Second
)

// Directory holds rows of one catalog. See the package for what it promises.
type Directory struct {
	catalog Catalog
	opts    Options

	// What requests read without a lock.
	integrations atomic.Pointer[map[string]*Integration]
	connections  sync.Map // key to *Connection
	outage       atomic.Pointer[Outage]

	mu       sync.Mutex // guards what follows
	flights  map[key]*flight
	flying   int // flights of the queue
	urgent   fifo
	casual   fifo
	failed   fifo
	unknown  unknown
	ring     []*slot // the slot of each that is held
	hand     int
	recent   map[string]struct{} // integrations changed since a load began
	watching bool
	closed   bool

	notes   notes
	telling sync.Mutex // held while the observer is told

	ctx     context.Context // of all background work; ends in Close
	cancel  context.CancelFunc
	running sync.WaitGroup
	started sync.Once
	loaded  chan struct{} // closed after the first load
	places  chan struct{} // one token per read that requests wait for
	doubt   chan struct{} // see Directory.pulse
	back    chan struct{} // see Directory.pulse
}

// New makes a directory that holds nothing. It reads nothing before it is
// started or asked.
func New(c Catalog, o Options) *Directory {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxConnections <= 0 {
		o.MaxConnections = defaultMax
	}
	if o.FlushEvery <= 0 {
		o.FlushEvery = defaultFlush
	}
	if o.Observe == nil {
		o.Observe = func(Event) {}
	}
	d := &Directory{
		catalog: c,
		opts:    o,
		flights: map[key]*flight{},
		loaded:  make(chan struct{}),
		places:  make(chan struct{}, foreground),
		doubt:   make(chan struct{}, 1),
		back:    make(chan struct{}, 1),
	}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	d.integrations.Store(&map[string]*Integration{})
	d.notes.init(o.MaxConnections)
	return d
}

// Start begins to load the integrations and to watch for changes, in the
// background, until [Directory.Close] or the end of ctx. A catalog that is away
// is waited for. Only the first call does anything.
func (d *Directory) Start(ctx context.Context) {
	d.started.Do(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.closed {
			return
		}
		stop := context.AfterFunc(ctx, d.cancel)
		d.running.Go(func() {
			defer stop()
			d.keep()
		})
		d.running.Go(d.pulse)
		d.running.Go(d.writeNotes)
	})
}

// Ready waits until the integrations were loaded once. It is a
// [catalog.ErrUnavailable] when ctx or the directory ends before.
func (d *Directory) Ready(ctx context.Context) error {
	select {
	case <-d.loaded:
		return nil
	default:
	}
	end := errClosed
	select {
	case <-d.loaded:
		return nil
	case <-ctx.Done():
		end = ctx.Err()
	case <-d.ctx.Done():
	}
	if o := d.outage.Load(); o != nil {
		end = fmt.Errorf("%w: %w", end, o.Err)
	}
	return fmt.Errorf("waiting for the integrations: %w: %w", catalog.ErrUnavailable, end)
}

var errClosed = errors.New("the directory is closed")

// Loaded tells whether the integrations were loaded once: [Directory.Ready]
// without the wait.
func (d *Directory) Loaded() bool {
	select {
	case <-d.loaded:
		return true
	default:
		return false
	}
}

// Close ends the background work and writes down, as long as ctx allows, what
// is still to be noted. What is held is found afterwards, too; what is not is
// unavailable. Only the first call does anything.
func (d *Directory) Close(ctx context.Context) error {
	d.mu.Lock()
	again := d.closed
	d.closed = true
	d.mu.Unlock()
	if again {
		return nil
	}
	d.cancel()
	d.running.Wait() // obeys the context that just ended
	if err := d.flush(ctx, true); err != nil {
		return fmt.Errorf("closing the directory: %w", err)
	}
	return nil
}
