package notice

// This file holds how notices get from where they come up, which must not wait,
// to who takes his time with them.

import "sync"

// Queue hands what is put into it to one function, in order and in the
// background, for as long as the process runs. What comes while it is full is
// dropped, as who puts it in is told: a function that hangs must not become the
// memory of the process.
type Queue[T any] struct {
	handle func(T)
	items  chan T
	start  sync.Once
}

// NewQueue returns a queue that holds up to size. Its goroutine starts with the
// first item.
func NewQueue[T any](size int, handle func(T)) *Queue[T] {
	return &Queue[T]{handle: handle, items: make(chan T, size)}
}

// Put never waits. It reports whether there was room.
func (q *Queue[T]) Put(item T) bool {
	q.start.Do(func() { go q.run() })
	select {
	case q.items <- item:
		return true
	default:
		return false
	}
}

func (q *Queue[T]) run() {
	for item := range q.items {
		q.handle(item)
	}
}
