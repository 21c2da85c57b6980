// This file holds the ids that are remembered as unknown.

package directory

import "time"

const (
	// unknownFor is how long nobody asks again for what was not there. Made on
	// this node or another, a row is found at once: its change removes it here.
	unknownFor = 5 * time.Second

	// maxUnknown bounds them. They live apart, so that made-up ids cannot push
	// real connections out.
	maxUnknown = 10_000
)

// unknown is a bounded set of keys, each with its end. The zero value is ready.
type unknown struct {
	ends  map[key]time.Time
	order []ending // as they came, which is as they end; also such as were removed
}

type ending struct {
	key key
	at  time.Time
}

func (u *unknown) has(k key, now time.Time) bool {
	at, ok := u.ends[k]
	return ok && now.Before(at)
}

// add takes k in. Those that have ended go, and beyond the bound the oldest.
func (u *unknown) add(k key, now time.Time) {
	if u.ends == nil {
		u.ends = map[key]time.Time{}
	}
	for len(u.order) > 0 && (len(u.order) >= maxUnknown || !now.Before(u.order[0].at)) {
		if first := u.order[0]; u.ends[first.key].Equal(first.at) {
			delete(u.ends, first.key)
		}
		u.order[0] = ending{}
		u.order = u.order[1:]
	}
	at := now.Add(unknownFor)
	u.ends[k] = at
	u.order = append(u.order, ending{k, at})
}

func (u *unknown) remove(k key) { delete(u.ends, k) }

func (u *unknown) clear() { *u = unknown{} }
