// The order in which slots are read in the background.

package keyring

import (
	"container/heap"
	"sync"
	"time"
)

// queue holds the slots that are to be read in the background: urgent ones
// (pinned, or a deletion to be confirmed) and those that requests found stale.
// Urgent ones go first, so that a hundred thousand customers who come back after
// an outage do not delay the keys of the configuration. A slot is in it once at
// most, so its length is bounded by the table's.
type queue struct {
	mu     sync.Mutex
	urgent slotHeap
	casual slotHeap
	busy   int   // reads under way
	next   int64 // when the rate allows the next one
	rate   int   // reads per second
}

// set puts s into the urgent lane, due at the given time and no other.
func (q *queue) set(s *slot, due int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.removeLocked(s)
	s.urgent, s.due = true, due
	heap.Push(&q.urgent, s)
}

// push asks for s to be read at the given time, or earlier if it is so already.
func (q *queue) push(s *slot, due int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if s.index > 0 {
		if due < s.due {
			s.due = due
			heap.Fix(q.lane(s), int(s.index)-1)
		}
		return
	}
	s.urgent, s.due = s.kept.Load() > 0, due
	heap.Push(q.lane(s), s)
}

// remove takes s out. It is no longer queued, if it was.
func (q *queue) remove(s *slot) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.removeLocked(s)
	s.queued.Store(false)
}

func (q *queue) removeLocked(s *slot) {
	if s.index > 0 {
		heap.Remove(q.lane(s), int(s.index)-1)
	}
}

func (q *queue) lane(s *slot) *slotHeap {
	if s.urgent {
		return &q.urgent
	}
	return &q.casual
}

// take returns the next slot that is due, and when it became so. Without one, at
// is when to look again, 0 for not before something changes.
func (q *queue) take(now int64, workers int) (s *slot, at int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.busy >= workers {
		return nil, 0 // done looks again
	}
	for _, h := range []*slotHeap{&q.urgent, &q.casual} {
		if len(*h) == 0 {
			continue
		}
		if due := (*h)[0].due; due > now {
			if at == 0 || due < at {
				at = due
			}
			continue
		}
		if now < q.next {
			return nil, q.next
		}
		s = heap.Pop(h).(*slot)
		q.busy++
		q.next = now + int64(time.Second)/int64(q.rate)
		return s, s.due
	}
	return nil, at
}

// done notes that a read has ended, or was not needed.
func (q *queue) done(needed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.busy--
	if !needed {
		q.next = 0
	}
}

// slower halves the rate: the store asked for fewer reads.
func (q *queue) slower() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.rate = max(q.rate/2, 1)
}

// faster takes half of that back, to the given rate at most.
func (q *queue) faster(limit int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.rate = min(q.rate*2, limit)
}

// slotHeap is a min-heap by due time.
type slotHeap []*slot

func (h slotHeap) Len() int           { return len(h) }
func (h slotHeap) Less(i, j int) bool { return h[i].due < h[j].due }
func (h slotHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = int32(i)+1, int32(j)+1
}

func (h *slotHeap) Push(x any) {
	s := x.(*slot)
	*h = append(*h, s)
	s.index = int32(len(*h))
}

func (h *slotHeap) Pop() any {
	old := *h
	s := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	s.index = 0
	return s
}
