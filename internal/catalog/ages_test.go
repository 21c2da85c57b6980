package catalog

import (
	"fmt"
	"testing"
	"time"
)

const day = 24 * time.Hour

func TestAStepOfAKeysLifeIsToldOnce(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		aged := func(id string, days int) *Connection {
			c := aConnection("acme", id)
			c.KeyVersion, c.KeyUpdatedAt = 7, s.now.Add(-time.Duration(days)*day)
			mustCreate(t, db, c)
			return c
		}
		c := aged("old", 80)
		aged("older", 95)
		aged("young", 10)
		other := aConnection("other", "old")
		other.KeyVersion, other.KeyUpdatedAt = 7, s.now.Add(-80*day)
		mustCreate(t, db, other)
		none := aConnection("acme", "none") // has no key, so far
		none.KeyVersion, none.KeyUpdatedAt = 0, s.now.Add(-99*day)
		mustCreate(t, db, none)
		claim := func(step, days int, want ...string) {
			t.Helper()
			before := last(t, db)
			got, err := db.ClaimAged(t.Context(), Aging{Integration: "acme", Step: step, Age: time.Duration(days) * day, Limit: 10})
			must(t, err)
			ids := make([]string, len(got))
			for i, g := range got {
				ids[i] = g.ID
				if g.Version != 7 || g.Integration != "acme" || g.At.After(s.now.Add(-time.Duration(days)*day)) {
					t.Errorf("claimed %+v", g)
				}
			}
			if fmt.Sprint(ids) != fmt.Sprint(want) || last(t, db) != before {
				t.Errorf("step %d: claimed %v, want %v, with %d changes", step, ids, want, last(t, db)-before)
			}
		}
		claim(3, 90, "older")
		claim(2, 89)
		claim(1, 76, "old") // the older one is beyond that
		claim(1, 76)
		if got, err := db.ClaimAged(t.Context(), Aging{Integration: "other", Step: 1, Age: 76 * day, Limit: 10}); err != nil || len(got) != 1 {
			t.Errorf("of another integration %+v are told, %v", got, err)
		}
		s.pass(11 * day)
		claim(3, 90, "old")
		claim(2, 89)
		s.pass(200 * day)
		claim(3, 90, "young")
		c.KeyVersion, c.KeyUpdatedAt = 8, s.now
		must(t, db.UpdateConnection(t.Context(), c))
		claim(1, 76)
		s.pass(80 * day)
		got, err := db.ClaimAged(t.Context(), Aging{Integration: "acme", Step: 1, Age: 76 * day, Limit: 10})
		must(t, err)
		if len(got) != 1 || got[0].ID != "old" || got[0].Version != 8 {
			t.Errorf("another key begins with %+v", got)
		}
	})
}

func TestNoMoreAreToldThanTheLimit(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		for i := range 7 {
			c := aConnection("acme", fmt.Sprintf("c%d", i))
			c.KeyVersion, c.KeyUpdatedAt = 1, s.now.Add(-day-time.Duration(i)*time.Minute)
			mustCreate(t, db, c)
		}
		oldest := 6
		for _, want := range []int{3, 3, 1, 0} {
			got, err := db.ClaimAged(t.Context(), Aging{Integration: "acme", Step: 2, Age: time.Hour, Limit: 3})
			must(t, err)
			if len(got) != want {
				t.Errorf("claimed %d, want %d", len(got), want)
			}
			for _, g := range got {
				if g.ID != fmt.Sprintf("c%d", oldest) {
					t.Errorf("claimed %s before c%d, which is older", g.ID, oldest)
				}
				oldest--
			}
		}
	})
}

func TestConnectionsAreListedByTheAgeOfTheirKey(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		for i := range 4 {
			c := aConnection("acme", fmt.Sprintf("c%d", i))
			c.KeyUpdatedAt = s.now.Add(-time.Duration(i) * day)
			mustCreate(t, db, c)
		}
		list, err := db.Connections(t.Context(), ConnectionFilter{KeyBefore: s.now.Add(-day)})
		must(t, err)
		if len(list) != 2 || list[0].ID != "c2" || list[1].ID != "c3" {
			t.Errorf("listed %v", list)
		}
	})
}
