// The ring's side of one document.

package keyring

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// slot is what a ring knows of one document. A hundred thousand of them are held
// at once, and then each look at another piece of memory costs more than all that
// is done with it. So what a request reads that finds its key fresh fills one line
// of the processor's cache, 64 bytes, and all else hangs on a pointer.
type slot struct {
	// Of what is held: see slot.held. Checked is 0 when nothing is, and while
	// the others change.
	checked atomic.Int64
	key     atomic.Pointer[Key]
	terms   atomic.Uint32

	used atomic.Uint32 // the ring's time in seconds
	name name
	*rest
}

// rest is what of a slot a request with a fresh key does not look at.
type rest struct {
	long *store.Address           // nil: the name has it
	snap atomic.Pointer[snapshot] // what is held; changed by slot.hold

	trouble atomic.Pointer[trouble] // nil: the last read was good
	pins    atomic.Int32            // views that pin it; changed under the table's locks
	kept    atomic.Int32            // of these, started ones: it is refreshed by schedule
	queued  atomic.Bool             // a request asked for a refresh that has not begun
	had     atomic.Bool             // something was held once
	gone    atomic.Bool             // no longer in the table: entries look it up anew

	// Of the queue, under its lock.
	urgent bool
	index  int32 // in its heap, plus one; 0: not queued
	due    int64

	rejected atomic.Pointer[rejection] // nil: upstreams take the newest key, or nobody asked them
	bridged  atomic.Pointer[Key]       // the newest key for which the former one was taken

	mu      sync.Mutex
	flight  *flight     // the read under way
	refusal *refusal    // nil: no upstream refused this key
	former  *formerRead // nil: nobody wanted the version before
}

// hold makes n what is held; nil holds nothing. s.mu is held.
//
// Checked is another one each time, by a nanosecond where n was held already: a
// reader that comes in between notices by it that key and terms may be halves of
// two.
func (s *slot) hold(n *snapshot, names *fieldNames) {
	was := s.checked.Swap(0)
	s.snap.Store(n)
	if n == nil {
		s.key.Store(nil)
		return
	}
	s.had.Store(true)
	key, field := n.wanted(names)
	s.key.Store(key)
	s.terms.Store(uint32(n.terms.with(field)))
	s.checked.Store(max(n.checked, was+1))
}

// again holds n anew if it is still held: a field of it is asked for by name for
// the first time.
func (s *slot) again(n *snapshot, names *fieldNames) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.snap.Load() == n {
		s.hold(n, names)
	}
}

// held returns of what is held the key that is wanted most, and when and on what
// terms it was read. Checked is 0 when nothing is held, or while that changes:
// then the snapshot tells.
func (s *slot) held() (key *Key, checked int64, t terms) {
	checked = s.checked.Load()
	key, t = s.key.Load(), terms(s.terms.Load())
	if s.checked.Load() != checked {
		return nil, 0, 0
	}
	return key, checked, t
}

// touch notes a use. A slot that is used by all cores at once is written once a
// second, not once a request.
func (s *slot) touch(now int64) {
	if at := uint32(now / int64(time.Second)); s.used.Load() != at { //nolint:gosec // 136 years
		s.used.Store(at)
	}
}

// unused is for how long s was not used, to the second.
func (s *slot) unused(now int64) time.Duration {
	return time.Duration(now - int64(s.used.Load())*int64(time.Second))
}
