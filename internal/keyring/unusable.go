// A document that a request finds to hold no usable key.

package keyring

import (
	"sync"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// told remembers the fields of one content that were asked for in vain. Their
// names come from the configuration, so they are few.
type told struct {
	mu    sync.Mutex
	names map[string]bool
}

// first reports whether name is new, and notes it.
func (t *told) first(name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.names[name] {
		return false
	}
	if t.names == nil {
		t.names = make(map[string]bool)
	}
	t.names[name] = true
	return true
}

// unusable returns err, and tells about it once for each version and field:
// only a request shows which field is wanted, and many may come.
func (e *Entry) unusable(snap *snapshot, name string, err *store.InvalidError) error {
	t := snap.told.Load()
	if t == nil {
		snap.told.CompareAndSwap(nil, new(told))
		t = snap.told.Load()
	}
	if t.first(name) {
		e.view.ring.views.tell(Event{
			Kind: KeyUnusable, Address: e.slot.Load().address(), Version: snap.version,
			Field: err.Field, Class: ClassInvalid, Err: err,
		})
	}
	return err
}
