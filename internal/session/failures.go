package session

// This file holds how often sessions have failed.

import (
	"sync"
	"time"
)

// maxFailing bounds how many sessions are watched. Only an API token makes
// sessions, so that nobody else can fill this to be forgotten.
const maxFailing = 10000

// failures counts on this node, and for as long as its catalog is open: it
// bounds what a token can be tried for, of which some nodes more than one makes
// no difference.
type failures struct {
	mu sync.Mutex
	of map[string]count // by id
}

type count struct {
	n       int
	trying  int // under way; each may yet fail
	expires time.Time
}

// begin tells whether a session may be tried once more.
func (f *failures) begin(s *Session, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, ok := f.of[s.ID]
	if c.n+c.trying >= MaxFailures {
		return false
	}
	if !ok && len(f.of) >= maxFailing {
		f.drop(now)
	}
	c.trying++
	c.expires = s.Expires
	f.of[s.ID] = c
	return true
}

// end ends what begin began.
func (f *failures) end(s *Session, failed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.of[s.ID]
	c.trying = max(0, c.trying-1) // it may have been dropped meanwhile
	c.expires = s.Expires
	if failed {
		c.n++
	}
	if c.n+c.trying == 0 {
		delete(f.of, s.ID)
		return
	}
	f.of[s.ID] = c
}

// drop forgets what has expired or, when nothing has, any one.
func (f *failures) drop(now time.Time) {
	for id, c := range f.of {
		if !now.Before(c.expires) {
			delete(f.of, id)
		}
	}
	for id := range f.of {
		if len(f.of) < maxFailing {
			return
		}
		delete(f.of, id)
	}
}

func (f *failures) blocked(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.of[id].n >= MaxFailures
}
