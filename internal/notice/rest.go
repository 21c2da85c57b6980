package notice

// This file holds how who tells of things waits for the next.

import (
	"context"
	"time"
)

// Rest waits for d, or without end when it is negative, or until one of the
// channels or ctx is ready. A nil channel never is.
func Rest(ctx context.Context, d time.Duration, rung, changed, wake <-chan struct{}) {
	if d == 0 {
		return
	}
	var due <-chan time.Time
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		due = t.C
	}
	select {
	case <-due:
	case <-rung:
	case <-changed:
	case <-wake:
	case <-ctx.Done():
	}
}
