package webhook

// This file holds who takes webhooks from the outbox.

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/notice"
)

const (
	// atOnce bounds the deliveries under way.
	atOnce = 16

	// attempt bounds one of them.
	attempt = 10 * time.Second

	// lease is how long a claimed webhook is nobody else's: longer than an
	// attempt, and no longer than must be waited after a crash.
	lease = 15 * time.Second

	// lookEvery is how often the outbox is looked at when nothing is heard of
	// it; what another node writes may not be announced.
	lookEvery = 5 * time.Second

	// sayEvery is how often the sender says that it is there.
	sayEvery = time.Hour

	// complainEvery is how often it is logged at most that webhooks are lost.
	complainEvery = time.Minute
)

// Outbox is what a sender needs of a [catalog.DB].
type Outbox interface {
	SendsWebhooks(ctx context.Context) error
	ClaimMessages(ctx context.Context, limit int, lease time.Duration) ([]*catalog.Message, error)
	DropMessage(ctx context.Context, m *catalog.Message) error
	PostponeMessage(ctx context.Context, m *catalog.Message, until time.Time) error
	NextMessage(ctx context.Context) (waiting int, due time.Time, err error)
	Rung() <-chan struct{}

	// Crowded is how many webhooks this process did not write down, as too many
	// waited.
	Crowded() uint64
}

// Sender delivers webhooks for as long as somebody configures a receiver. It
// belongs to the process and outlives configurations.
type Sender struct {
	// Observe is told of each attempt, by one of the Result constants. It must
	// not block. Set before [Sender.Run]; nil tells nobody.
	Observe func(result string)

	outbox Outbox
	log    *zap.Logger
	now    func() time.Time

	receivers notice.Newest[*Receiver]

	running sync.WaitGroup
	free    chan struct{} // holds a token for each delivery that may begin
	health  health

	// What follows is [Sender.Run]'s alone.
	complained time.Time // of webhooks that are lost
	lost       uint64    // as many
}

// NewSender returns a sender that does nothing before [Sender.Run].
func NewSender(o Outbox, log *zap.Logger) *Sender {
	s := &Sender{outbox: o, log: log, now: time.Now, free: make(chan struct{}, atOnce)}
	for range atOnce {
		s.free <- struct{}{}
	}
	return s
}

// Use has webhooks sent to r and signed by its secret, until owner drops it or
// another configuration comes: the newest counts.
func (s *Sender) Use(owner any, r *Receiver) { s.receivers.Use(owner, r) }

// Drop takes back what owner gave. What was there before counts again.
func (s *Sender) Drop(owner any) { s.receivers.Drop(owner) }

// Announce says that there is somebody who sends, so that the first webhook is
// written down. [Sender.Run] goes on saying so.
func (s *Sender) Announce(ctx context.Context) error { return s.outbox.SendsWebhooks(ctx) }

// Results of [Sender.Observe].
const (
	ResultDelivered = "delivered"
	ResultFailed    = "failed"   // and tried again
	ResultGivenUp   = "given_up" // failed for the last time
)

func (s *Sender) observe(result string) {
	if s.Observe != nil {
		s.Observe(result)
	}
}

// Run delivers until ctx ends, and returns when no delivery is under way any
// longer. Those that were cut off are due again at once.
func (s *Sender) Run(ctx context.Context) {
	defer s.running.Wait()
	var said time.Time
	for ctx.Err() == nil {
		rung, changed := s.outbox.Rung(), s.receivers.Changed() // before looking, so that nothing is missed
		r, ok := s.receivers.Get()
		if !ok {
			notice.Rest(ctx, -1, nil, changed, nil)
			continue
		}
		if now := s.now(); said.IsZero() || now.Sub(said) >= sayEvery {
			if s.outbox.SendsWebhooks(ctx) == nil {
				said = now
			}
		}
		s.complain()
		notice.Rest(ctx, s.take(ctx, r), rung, changed, nil)
	}
}

// complain logs that webhooks are lost.
func (s *Sender) complain() {
	n, now := s.outbox.Crowded(), s.now()
	if n <= s.lost || now.Sub(s.complained) < complainEvery {
		return
	}
	s.log.Error("webhooks are lost, because too many wait", zap.Uint64("lost", n-s.lost))
	s.complained, s.lost = now, n
}

// take begins deliveries of what is due, and returns when to look again.
func (s *Sender) take(ctx context.Context, r *Receiver) time.Duration {
	places := s.places(ctx)
	if places == 0 {
		return 0
	}
	all, err := s.outbox.ClaimMessages(ctx, places, lease)
	for range places - len(all) {
		s.free <- struct{}{}
	}
	for _, m := range all {
		s.running.Go(func() {
			defer func() { s.free <- struct{}{} }()
			s.deliver(ctx, r, m)
		})
	}
	switch {
	case err != nil: // the catalog is away, which is told elsewhere
		return lookEvery
	case len(all) == places:
		return 0
	}
	waiting, due, err := s.outbox.NextMessage(ctx)
	if err != nil || waiting == 0 {
		return lookEvery
	}
	// What another node has just claimed is due when its lease ends.
	return min(max(due.Sub(s.now()), 10*time.Millisecond), lookEvery)
}

// places takes all places that are free, and waits for the first.
func (s *Sender) places(ctx context.Context) (n int) {
	select {
	case <-s.free:
		n = 1
	case <-ctx.Done():
		return 0
	}
	for {
		select {
		case <-s.free:
			n++
		default:
			return n
		}
	}
}

// Interface guards
var (
	_ Outbox = (*catalog.DB)(nil)
)
