package alert

// This file holds when a message is sent: soon, unless so much comes that people
// would stop to read.

import (
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

const (
	// gather is how long a message waits for what comes with it.
	gather = 750 * time.Millisecond

	// few is how many things are told each in full. More are a flood: told at
	// once as far as they have come, and then in a second message, once nothing
	// new has come for a while.
	few = named

	// quiet is that while, and patience how long it is waited for at most.
	quiet    = 15 * time.Second
	patience = 5 * time.Minute

	// calm is for how long a flood, or many messages, make the next one wait
	// like that; many is how many.
	calm = time.Minute
	many = 10
)

// pace knows the messages of the last minute.
type pace struct {
	since time.Time   // something waits since then
	slow  bool        // and it waits until it is quiet
	sent  []time.Time // within calm
	flood time.Time   // when one told of more than few
}

// wait returns how long the next message must wait, none when it is due.
func (p *pace) wait(now time.Time, c catalog.AlertCount) time.Duration {
	n := c.Opened + c.Resolved
	if n == 0 {
		p.since, p.slow = time.Time{}, false
		return lookEvery
	}
	if p.since.IsZero() {
		p.since = now
	}
	p.forget(now)
	if len(p.sent) > 0 && (n > few || len(p.sent) >= many || !p.flood.IsZero() && now.Sub(p.flood) < calm) {
		p.slow = true
	}
	if p.slow {
		return min(quiet-now.Sub(c.Last), patience-now.Sub(p.since))
	}
	return gather - now.Sub(p.since)
}

// told notes a message about n things.
func (p *pace) told(now time.Time, n int) {
	p.since, p.slow = time.Time{}, false
	p.sent = append(p.sent, now)
	if n > few {
		p.flood = now
	}
}

func (p *pace) forget(now time.Time) {
	for len(p.sent) > 0 && now.Sub(p.sent[0]) >= calm {
		p.sent = p.sent[1:]
	}
}
