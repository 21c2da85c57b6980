// What upstreams think of a key, kept beside it until that changes.

package keyring

// Rejected tells that the upstream refused k, the newest there is, and that no
// other key helped. It is told to the views once for each key.
func (e *Entry) Rejected(k *Key) {
	s := e.live()
	if k == nil || s.rejected.Swap(k) == k {
		return
	}
	e.view.ring.views.tell(Event{Kind: KeyRejected, Address: s.address(), Version: k.Version})
}

// Accepted tells that the upstream took a key. It costs one atomic load unless
// the key before was rejected; then it is told to the views.
func (e *Entry) Accepted(k *Key) {
	s := e.slot.Load()
	was := s.rejected.Load()
	if was == nil || k == nil || k.Version < was.Version {
		return // a former version that still works does not speak for the newest
	}
	if s.rejected.CompareAndSwap(was, nil) {
		e.view.ring.views.tell(Event{Kind: KeyAccepted, Address: s.address(), Version: k.Version})
	}
}
