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
	expires time.Time
}

func (f *failures) add(s *Session, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, ok := f.of[s.ID]
	if !ok && len(f.of) >= maxFailing {
		f.drop(now)
	}
	c.n++
	c.expires = s.Expires
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
