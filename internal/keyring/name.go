// The address of a slot as a look-up compares it.

package keyring

import (
	"strings"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// What of an address fits in a slot, and in the same piece of memory behind it, in
// bytes. Most have room in the slot; the second is enough for a mount and a path
// with a UUID in it.
const (
	nameSize = 21
	moreSize = 64
)

// name is an address whose text lies beside what a look-up reads. A string lies
// elsewhere, and comparing it is one more wait for memory. It is set once.
type name struct {
	namespace, mount, path uint8 // lengths of the parts, in this order; all 0: see rest.long
	text                   [nameSize]byte
	more                   *[moreSize]byte // has the text when it is longer, else nil
}

// newSlot is a slot that holds nothing. It keeps no string of a: that may be a
// piece of a whole request.
func newSlot(a store.Address) *slot {
	size := len(a.Namespace) + len(a.Mount) + len(a.Path)
	if size == 0 || size > moreSize {
		return &slot{rest: &rest{long: &store.Address{
			Namespace: strings.Clone(a.Namespace), Mount: strings.Clone(a.Mount), Path: strings.Clone(a.Path),
		}}}
	}
	var s *slot
	var text []byte
	if size <= nameSize {
		s = new(slot)
		text = s.name.text[:0]
	} else {
		both := new(struct {
			slot
			more [moreSize]byte
		})
		s = &both.slot
		s.name.more = &both.more
		text = both.more[:0]
	}
	s.rest = new(rest)
	s.name.namespace, s.name.mount, s.name.path = uint8(len(a.Namespace)), uint8(len(a.Mount)), uint8(len(a.Path)) //nolint:gosec // moreSize at most
	_ = append(append(append(text, a.Namespace...), a.Mount...), a.Path...)
	return s
}

// ends are where the parts of a name end.
func (n *name) ends() (namespace, mount, path int) {
	namespace = int(n.namespace)
	mount = namespace + int(n.mount)
	return namespace, mount, mount + int(n.path)
}

// bytes are the text of a name, and what is behind it.
func (n *name) bytes() []byte {
	if n.more != nil {
		return n.more[:]
	}
	return n.text[:]
}

// named reports whether a is the address of s.
func (s *slot) named(a *store.Address) bool {
	i, j, k := s.name.ends()
	if k == 0 {
		return *s.long == *a
	}
	t := s.name.bytes()
	return string(t[j:k]) == a.Path && string(t[i:j]) == a.Mount && string(t[:i]) == a.Namespace
}

// address is made anew each time.
func (s *slot) address() store.Address {
	if s.long != nil {
		return *s.long
	}
	i, j, k := s.name.ends()
	text := string(s.name.bytes()[:k])
	return store.Address{Namespace: text[:i], Mount: text[i:j], Path: text[j:]}
}
