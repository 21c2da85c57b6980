package catalog

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestAKeyIsDueOnceAnInterval(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		const n = 2*batch + 1
		for i := range n {
			c := aConnection("acme", fmt.Sprintf("c%04d", i))
			c.VerifyAt = s.now
			mustCreate(t, db, c)
		}
		off := aConnection("acme", "off")
		off.Disabled = true
		mustCreate(t, db, off)
		later := aConnection("acme", "later")
		later.VerifyAt = s.now.Add(time.Minute)
		mustCreate(t, db, later)
		mustCreate(t, db, aConnection("other", "c0000"))
		longest := aConnection("acme", "z")
		longest.VerifyAt = s.now.Add(-time.Minute)
		mustCreate(t, db, longest)
		claim := func(limit int) []string {
			t.Helper()
			ids, err := db.ClaimVerifications(t.Context(), "acme", limit, time.Hour)
			must(t, err)
			return ids
		}
		if got := claim(1); len(got) != 1 || got[0] != "z" {
			t.Errorf("claimed %v before what is due longest", got)
		}
		_, err := db.DeleteConnection(t.Context(), "acme", "z")
		must(t, err)
		before := last(t, db)
		if got := append(claim(n-1), claim(n)...); len(got) != n || got[0] != "c0000" || got[n-1] != "c0100" {
			t.Errorf("claimed %d: %v", len(got), got)
		}
		if got := claim(n); len(got) != 0 {
			t.Errorf("claimed again: %v", got)
		}
		if c := mustRead(t, db, "acme", "c0000"); c.Revision != 1 || c.VerifyAt.Before(s.now.Add(54*time.Minute)) || c.VerifyAt.After(s.now.Add(time.Hour)) || last(t, db) != before {
			t.Errorf("made of it: %+v", c)
		}
		if got, err := db.ClaimVerifications(t.Context(), "other", n, time.Hour); err != nil || len(got) != 1 {
			t.Errorf("of another integration %v are due, %v", got, err)
		}
		s.pass(time.Minute)
		if got := claim(n); len(got) != 1 || got[0] != "later" {
			t.Errorf("claimed %v", got)
		}
		s.pass(59 * time.Minute)
		if got := slices.DeleteFunc(claim(2*n), func(id string) bool { return id == "later" }); len(got) != n {
			t.Errorf("after an interval %d are due", len(got))
		}
	})
}

func TestOfAllNodesOneIsGivenAKeyToTry(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		const nodes, n = 4, 200
		db := s.open()
		for i := range n {
			mustCreate(t, db, aConnection("acme", fmt.Sprintf("c%04d", i)))
		}
		var (
			wg   sync.WaitGroup
			mu   sync.Mutex
			seen = map[string]int{}
		)
		for range nodes {
			node := s.open()
			wg.Go(func() {
				for {
					ids, err := node.ClaimVerifications(t.Context(), "acme", 7, time.Hour)
					if err != nil || len(ids) == 0 {
						if err != nil {
							t.Error(err)
						}
						return
					}
					mu.Lock()
					for _, id := range ids {
						seen[id]++
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		for id, times := range seen {
			if times != 1 {
				t.Errorf("%s was given %d times", id, times)
			}
		}
		if len(seen) != n {
			t.Errorf("%d were given", len(seen))
		}
	})
}

func TestAnUnverifiedKeyIsSoUntilItIsTaken(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		c := aConnection("acme", "c")
		c.Unverified, c.VerifyAt = true, s.now.Add(time.Hour)
		mustCreate(t, db, c)
		stale := *c
		note := func(version, changes, news int) {
			t.Helper()
			before := last(t, db)
			got, err := db.NoteAuthSuccess(t.Context(), []Sighting{{Integration: "acme", ID: "c", Version: version, At: s.now}})
			must(t, err)
			if n := len(since(t, db, before)); n != changes || len(got) != news {
				t.Errorf("%d changes and the news %v", n, got)
			}
		}
		note(c.KeyVersion-1, 0, 0) // the key before
		if got := mustRead(t, db, "acme", "c"); !got.Unverified || !got.VerifyAt.Equal(c.VerifyAt) {
			t.Errorf("kept as %+v", got)
		}
		note(c.KeyVersion, 1, 0)
		note(c.KeyVersion, 0, 0)
		must(t, db.UpdateConnection(t.Context(), &stale)) // by somebody who read it before
		if got := mustRead(t, db, "acme", "c"); got.Unverified {
			t.Error("is unverified again")
		}
	})
}
