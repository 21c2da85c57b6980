// Package alert tells people in Slack what is wrong with keys and stores: once
// for each thing, all together when much is wrong at once, and again when it is
// over.
//
// What is wrong stands in the catalog, so that of many nodes one tells, and a
// restart tells nothing twice. What the catalog's own absence is to be told by,
// or comes up while it is away, is kept in memory.
package alert

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/notice"
)

const (
	// lookEvery is how often alerts are looked for when nothing is heard.
	lookEvery = 5 * time.Second

	// leadEvery is how often it is asked, and said, who tells. It must be well
	// below the 30 seconds after which another node takes over.
	leadEvery = 10 * time.Second

	// named is how many things a message names.
	named = 5

	firstRetry = time.Second
	maxRetry   = 5 * time.Minute
)

// Book is where alerts stand. [catalog.DB] is one.
type Book interface {
	OpenAlert(ctx context.Context, a catalog.Alert) error
	ResolveAlert(ctx context.Context, subject string) error
	LeadAlerts(ctx context.Context, owner string) (bool, error)
	CedeAlerts(ctx context.Context, owner string) error
	CountAlerts(ctx context.Context) (catalog.AlertCount, error)
	TellAlerts(ctx context.Context, few int) (*catalog.Telling, error)
	AlertsTold(ctx context.Context, told bool) error
	Rung() <-chan struct{}
}

// Teller tells for as long as somebody configures where. It belongs to the
// process and outlives configurations.
type Teller struct {
	// Observe is told of each message, by one of the Result constants. It must
	// not block. Set before [Teller.Run]; nil tells nobody.
	Observe func(result string)

	book   Book
	memory *memory
	owner  string
	log    *zap.Logger
	now    func() time.Time

	slacks notice.Newest[*Slack]

	wake chan struct{} // something is in memory

	// What follows is [Teller.Run]'s alone.
	pace    pace
	leads   bool
	asked   time.Time // whether it leads
	closing *bool     // whether what the catalog gave was told, until it has heard that
	fails   int
	notYet  time.Time // Slack asked for time, or failed
	failing bool      // and this was logged
}

// New returns a teller that does nothing before [Teller.Run]. The owner is a
// name that no other node has.
func New(b Book, owner string, log *zap.Logger) *Teller {
	return &Teller{book: b, memory: newMemory(), owner: owner, log: log, now: time.Now, wake: make(chan struct{}, 1)}
}

// Use has alerts sent to s until owner drops it or another configuration comes.
func (t *Teller) Use(owner any, s *Slack) { t.slacks.Use(owner, s) }

// Drop takes back what owner gave. What was there before counts again.
func (t *Teller) Drop(owner any) { t.slacks.Drop(owner) }

// Open notes that something is wrong. It may wait for the catalog.
func (t *Teller) Open(ctx context.Context, a catalog.Alert) {
	if a.Kind != string(notice.CatalogAway) {
		err := t.book.OpenAlert(ctx, a)
		if err == nil || !errors.Is(err, catalog.ErrUnavailable) {
			return
		}
	}
	if _, ok := t.slacks.Get(); !ok {
		return // nobody would ever be told
	}
	t.memory.open(a, t.now())
	t.poke()
}

// Resolve notes that something is not wrong any longer. It may wait for the
// catalog.
func (t *Teller) Resolve(ctx context.Context, subject string) {
	t.memory.resolve(subject, t.now())
	t.poke()
	_ = t.book.ResolveAlert(ctx, subject) // an alert that stays open is told anew after an hour
}

func (t *Teller) poke() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// Run tells until ctx ends.
func (t *Teller) Run(ctx context.Context) {
	defer t.cede(ctx)
	for ctx.Err() == nil {
		rung, changed := t.book.Rung(), t.slacks.Changed() // before looking, so that nothing is missed
		s, ok := t.slacks.Get()
		if !ok {
			t.cede(ctx)
			notice.Rest(ctx, -1, nil, changed, t.wake)
			continue
		}
		notice.Rest(ctx, t.look(ctx, s), rung, changed, t.wake)
	}
}

// cede lets another node tell.
func (t *Teller) cede(ctx context.Context) {
	t.leads, t.asked, t.closing = false, time.Time{}, nil
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = t.book.CedeAlerts(end, t.owner) // then it takes 30 seconds
}

// Announce says that there is somebody who tells, so that the first alert is
// written down. [Teller.Run] goes on saying so.
func (t *Teller) Announce(ctx context.Context) { _, _ = t.book.LeadAlerts(ctx, t.owner) }

// look tells what is to be told now, and returns when to look again.
func (t *Teller) look(ctx context.Context, s *Slack) time.Duration {
	leads := t.lead(ctx) && t.settle(ctx)
	count := t.memory.count()
	if leads {
		if c, err := t.book.CountAlerts(ctx); err == nil {
			count.Opened, count.Resolved = count.Opened+c.Opened, count.Resolved+c.Resolved
			if c.Last.After(count.Last) {
				count.Last = c.Last
			}
		}
	}
	now := t.now()
	wait := max(t.pace.wait(now, count), t.notYet.Sub(now))
	if wait > 0 {
		return min(wait, lookEvery)
	}
	return t.tell(ctx, s, leads)
}

// lead tells whether this node is the one that tells what stands in the catalog.
func (t *Teller) lead(ctx context.Context) bool {
	if now := t.now(); t.asked.IsZero() || now.Sub(t.asked) >= leadEvery {
		leads, err := t.book.LeadAlerts(ctx, t.owner)
		t.leads, t.asked = leads && err == nil, now
		if err == nil && !leads {
			t.closing = nil // who leads has what was open told again
		}
	}
	return t.leads
}

// settle says in the catalog what became of the last message, and tells whether
// it has heard that. It gives nothing of that message again before.
func (t *Teller) settle(ctx context.Context) bool {
	if t.closing == nil {
		return true
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookEvery)
	defer cancel()
	if t.book.AlertsTold(end, *t.closing) != nil {
		return false
	}
	t.closing = nil
	return true
}

// tell sends one message.
func (t *Teller) tell(ctx context.Context, s *Slack, leads bool) time.Duration {
	all := t.memory.take()
	more := &catalog.Telling{}
	var taking error
	if leads {
		if more, taking = t.book.TellAlerts(ctx, named); taking != nil {
			more = &catalog.Telling{} // it is away; what is in memory is told all the same
		}
	}
	all = join(all, more)
	var err error
	if n := all.Count.Opened + all.Count.Resolved; n > 0 {
		err = s.send(ctx, text(all, t.now()))
		t.observe(ctx, err)
		if err == nil {
			t.pace.told(t.now(), n)
		}
	}
	t.memory.done(err == nil)
	if leads {
		t.closing = new(err == nil && taking == nil) // its answer alone may be lost
		t.settle(ctx)
	}
	t.note(ctx, err)
	if taking != nil {
		return lookEvery // it may still say how many there are, and would be asked without end
	}
	return 0
}

// Results of [Teller.Observe].
const (
	ResultDelivered = "delivered"
	ResultFailed    = "failed" // and tried again
)

// observe tells of a message that was sent, or that Slack did not take.
func (t *Teller) observe(ctx context.Context, err error) {
	switch {
	case t.Observe == nil, err != nil && ctx.Err() != nil: // we were stopped, not refused
	case err != nil:
		t.Observe(ResultFailed)
	default:
		t.Observe(ResultDelivered)
	}
}

// note logs once that Slack does not take messages, and sets when to try again.
func (t *Teller) note(ctx context.Context, err error) {
	if err == nil {
		if t.failing {
			t.log.Info("Slack takes alerts again")
		}
		t.fails, t.failing, t.notYet = 0, false, time.Time{}
		return
	}
	if ctx.Err() != nil {
		return
	}
	t.fails++
	d := min(firstRetry<<min(t.fails-1, 10), maxRetry)
	if no, ok := errors.AsType[*refusal](err); ok && no.after > d {
		d = no.after
	}
	t.notYet = t.now().Add(d)
	if !t.failing {
		t.failing = true
		t.log.Warn("Slack does not take an alert; it is tried again", zap.Error(err))
	}
}

// Interface guard
var _ Book = (*catalog.DB)(nil)
