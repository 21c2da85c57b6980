// The names of fields that requests ask for, as numbers.

package keyring

import (
	"slices"
	"sync"
	"sync/atomic"
)

// maxFields bounds the numbers. The names come from the configuration, so they
// are few; a field without a number is found as well, only later.
const maxFields = 127

// fieldNames gives each name a number from 1, which fits in a slot's line.
type fieldNames struct {
	mu   sync.Mutex
	list atomic.Pointer[[]string] // replaced, never changed
}

// number returns that of name, 0 when there are too many.
func (f *fieldNames) number(name string) uint8 {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []string
	if p := f.list.Load(); p != nil {
		list = *p
	}
	i := slices.Index(list, name)
	if i < 0 {
		if i = len(list); i == maxFields {
			return 0
		}
		list = append(slices.Clone(list), name)
		f.list.Store(&list)
	}
	return uint8(i + 1) //nolint:gosec // maxFields at most
}

// is reports whether name has that number, which number returned or is 0.
func (f *fieldNames) is(number uint8, name string) bool {
	return number > 0 && (*f.list.Load())[number-1] == name
}
