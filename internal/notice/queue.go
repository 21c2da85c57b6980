package notice

// This file holds how notices get from where they come up, which must not wait,
// to who takes his time with them.

import (
	"sync"
)

// Queue hands what is put into it to one function, in order and in the
// background. What comes while it is full is dropped, as who puts it in is told: a
// function that hangs must not become the memory of the process.
type Queue[T any] struct {
	handle  func(T)
	items   chan T
	start   sync.Once
	closing sync.Once
	closed  chan struct{}
}

// NewQueue returns a queue that holds up to size. Its goroutine starts with the
// first item.
func NewQueue[T any](size int, handle func(T)) *Queue[T] {
	return &Queue[T]{handle: handle, items: make(chan T, size), closed: make(chan struct{})}
}

// Put never waits. It reports whether there was room.
func (q *Queue[T]) Put(item T) bool {
	q.start.Do(func() { go q.run() })
	select {
	case <-q.closed:
		return false
	default:
	}
	select {
	case q.items <- item:
		return true
	default:
		return false
	}
}

// Close ends the queue after the item that is being handled. What waits is lost.
func (q *Queue[T]) Close() { q.closing.Do(func() { close(q.closed) }) }

func (q *Queue[T]) run() {
	for {
		select {
		case item := <-q.items:
			q.handle(item)
		case <-q.closed:
			return
		}
	}
}
