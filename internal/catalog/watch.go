// This file holds how others hear of a change.

package catalog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// pollEvery is how often changes are looked for when nothing is heard.
	pollEvery = 5 * time.Second

	// watchBatch is how many changes are given to a watcher at once.
	watchBatch = 1000
)

// Watch calls f with the changes after number after, and then with each further
// one soon after it was made: those of this process at once, those of other
// nodes within a second where the database announces them, and otherwise, or
// when a connection was lost unnoticed, within five seconds. Changes come in
// order and once. A database that is away is waited for.
//
// It returns when ctx ends, with f's error, or with an [ErrChangesLost]. End it
// before the handle is closed.
func (db *DB) Watch(ctx context.Context, after int64, f func([]Change) error) error {
	ctx, cancel := context.WithCancel(ctx)
	var listener sync.WaitGroup
	defer listener.Wait()
	defer cancel()
	if l := db.shared.dialect.listen; l != nil {
		listener.Go(func() { l(ctx, db) })
	}
	for {
		rung := db.shared.bell.next() // before looking, so that none is missed
		changes, err := db.Changes(ctx, after, watchBatch)
		if ctx.Err() != nil {
			return fmt.Errorf("watching the catalog: %w", ctx.Err())
		}
		if errors.Is(err, ErrChangesLost) {
			return fmt.Errorf("watching the catalog: %w", err)
		}
		if len(changes) > 0 {
			if err := f(changes); err != nil {
				return fmt.Errorf("watching the catalog: %w", err)
			}
			after = changes[len(changes)-1].Seq
			continue
		}
		poll := db.after(pollEvery)
		if err != nil {
			rung = nil // only the passing of time helps
		}
		select {
		case <-rung:
		case <-poll:
		case <-ctx.Done():
		}
	}
}

// bell tells all who wait that something happened. The zero value is ready.
type bell struct {
	mu   sync.Mutex
	rung chan struct{}
}

// next returns a channel that is closed at the next ring.
func (b *bell) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rung == nil {
		b.rung = make(chan struct{})
	}
	return b.rung
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rung != nil {
		close(b.rung)
		b.rung = nil
	}
}
