package notice

// This file holds what configurations give to that which outlives them.

import (
	"slices"
	"sync"
)

// Newest holds what configurations give, of which the last one counts. A
// configuration that did not come about, or was replaced, takes back its own.
// The zero value holds nothing.
type Newest[T any] struct {
	mu      sync.Mutex
	given   []given[T]
	changed chan struct{}
}

type given[T any] struct {
	owner any
	value T
}

// Use gives a value.
func (n *Newest[T]) Use(owner any, value T) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.given = append(n.given, given[T]{owner, value})
	n.ring()
}

// Drop takes back what owner gave.
func (n *Newest[T]) Drop(owner any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.given = slices.DeleteFunc(n.given, func(g given[T]) bool { return g.owner == owner })
	n.ring()
}

// Get returns the newest value, and whether there is one.
func (n *Newest[T]) Get() (value T, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.given) == 0 {
		return value, false
	}
	return n.given[len(n.given)-1].value, true
}

// Changed returns a channel that is closed at the next change.
func (n *Newest[T]) Changed() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.changed == nil {
		n.changed = make(chan struct{})
	}
	return n.changed
}

func (n *Newest[T]) ring() {
	if n.changed != nil {
		close(n.changed)
		n.changed = nil
	}
}
