// What upstreams think of a key, kept beside it until that changes.

package keyring

import "time"

// rejection is what upstreams said of the newest key since they took one last.
// It is replaced, never changed.
type rejection struct {
	key   *Key
	times int       // in a row
	last  time.Time // of these
	told  bool      // the views know
}

// Rejected tells that the upstream refused k, the newest there is, and that no
// other key helped. With the after-th refusal in a row the key counts as refused:
// that is told to the views once for each key, and returned for this and each
// further one.
func (e *Entry) Rejected(k *Key, after int) bool {
	s := e.live()
	if k == nil {
		return false
	}
	for {
		was := s.rejected.Load()
		now := &rejection{key: k, times: 1, last: time.Now()}
		if was != nil && was.key == k {
			now.times, now.told = was.times+1, was.told
		}
		tell := now.times >= after && !now.told
		now.told = now.told || tell
		if !s.rejected.CompareAndSwap(was, now) {
			continue
		}
		if tell {
			e.view.ring.views.tell(Event{Kind: KeyRejected, Address: s.address(), Version: k.Version})
		}
		return now.told
	}
}

// Accepted tells that the upstream took a key. It costs one atomic load unless
// the key before was rejected; then it is told to the views, if that was.
func (e *Entry) Accepted(k *Key) {
	s := e.slot.Load()
	was := s.rejected.Load()
	if was == nil || k == nil || k.Version < was.key.Version {
		return // a former version that still works does not speak for the newest
	}
	if s.rejected.CompareAndSwap(was, nil) && was.told {
		e.view.ring.views.tell(Event{Kind: KeyAccepted, Address: s.address(), Version: k.Version})
	}
}

// Bridged tells that an upstream refused k, the newest there is, and took the one
// before.
func (e *Entry) Bridged(k *Key) { e.live().bridged.Store(k) }

// IsBridged tells whether an upstream did so. Such an upstream will turn to k, and
// may have done that between the two tries of a request.
func (e *Entry) IsBridged(k *Key) bool { return k != nil && e.live().bridged.Load() == k }

// refused tells whether upstreams refuse what is held, and when one did last. A
// newer key was not refused yet.
func (s *slot) refused(snap *snapshot) (refused bool, last time.Time) {
	r := s.rejected.Load()
	if r == nil {
		return false, time.Time{}
	}
	return r.told && (snap == nil || snap.gives(r.key)), r.last
}

// gives tells whether a content has a key.
func (c *content) gives(k *Key) bool {
	for i := range c.fields {
		if c.fields[i].key == k {
			return true
		}
	}
	return false
}
