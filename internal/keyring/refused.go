// What an upstream's refusal of a key sets off: the document is read anew.

package keyring

import (
	"context"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/span"
)

const (
	// refusedHold is how long a refused key is not read again after a read
	// that brought nothing newer: an upstream that refuses everything must not
	// become a storm of reads.
	refusedHold = 10 * time.Second

	// refusedSpace parts two reads of a document after different keys of it
	// were refused.
	refusedSpace = 250 * time.Millisecond
)

// refusal is the last read of a document that a refused key set off.
type refusal struct {
	key  *Key
	at   int64         // when it begins
	done chan struct{} // closed when it has ended
}

// Refused tells that the upstream refused k, which this entry gave for field.
// It returns the newer key when one is held, or when the store, read anew, has
// one; ok is false when there is none, or none could be found out before ctx
// ended. A late refusal of a key that was replaced meanwhile reads nothing.
//
// However many requests are refused at once, the document is read once; and a
// key for which that brought nothing newer is not read again within 10 seconds.
func (e *Entry) Refused(ctx context.Context, field string, k *Key) (newer *Key, ok bool) {
	if k == nil {
		return nil, false
	}
	s := e.live()
	if newer, ok = e.newer(s, field, k); ok {
		return newer, true
	}
	done := e.view.ring.rereadRefused(ctx, s, k)
	if done == nil { // also when the read ended since we looked
		return e.newer(s, field, k)
	}
	_, waiting := span.Wait(ctx)
	defer waiting.End()
	select {
	case <-done:
	case <-ctx.Done():
		return nil, false
	}
	return e.newer(s, field, k)
}

// newer returns the key held now when it is not k.
func (e *Entry) newer(s *slot, field string, k *Key) (*Key, bool) {
	now := e.view.ring.now()
	snap := s.snap.Load()
	if e.zone(snap, now) == dead {
		return nil, false
	}
	cur, err := e.pick(snap, field, now)
	if err != nil || cur == k || cur.Version < k.Version && !cur.CreatedAt.After(k.CreatedAt) {
		return nil, false
	}
	return cur, true
}

// rereadRefused returns the end of the read that k's refusal set off, nil when
// there is none to wait for.
func (r *Ring) rereadRefused(ctx context.Context, s *slot, k *Key) <-chan struct{} {
	now := r.now()
	if r.away(now) != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.refusal
	if last != nil && last.key == k {
		select {
		case <-last.done:
			if now-last.at < int64(refusedHold) {
				return nil
			}
		default:
			return last.done
		}
	}
	if !r.life.enter() {
		return nil
	}
	next := &refusal{key: k, at: now, done: make(chan struct{})}
	if last != nil {
		next.at = max(now, last.at+int64(refusedSpace))
	}
	s.refusal = next
	go func() {
		defer r.life.leave()
		defer close(next.done)
		t := time.NewTimer(time.Duration(next.at - now))
		defer t.Stop()
		select {
		case <-t.C:
			_, _ = r.reread(span.Carry(r.ctx, ctx), s) // what it brought is in the slot
		case <-r.ctx.Done():
		}
	}()
	return next.done
}
