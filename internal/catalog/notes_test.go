package catalog

import (
	"fmt"
	"testing"
	"time"
)

func TestUsesAreNotedWithoutAChange(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		const n = 2*batch + 1 // more than one statement
		uses := make([]Sighting, 0, n+3)
		for i := range n {
			id := fmt.Sprintf("c%04d", i)
			mustCreate(t, db, aConnection("acme", id))
			uses = append(uses, Sighting{Integration: "acme", ID: id, At: s.now.Add(time.Duration(i) * time.Millisecond)})
		}
		uses = append(uses,
			Sighting{Integration: "acme", ID: "c0007", At: s.now.Add(time.Hour)},
			Sighting{Integration: "acme", ID: "c0007", At: s.now}, // the same, earlier
			Sighting{Integration: "acme", ID: "gone", At: s.now})
		before := last(t, db)
		s.pass(time.Hour)
		must(t, db.NoteUse(t.Context(), uses))
		must(t, db.NoteUse(t.Context(), []Sighting{{Integration: "acme", ID: "c0008", At: s.now.Add(-24 * time.Hour)}})) // late
		must(t, db.NoteUse(t.Context(), nil))
		for i := range n {
			c := mustRead(t, db, "acme", fmt.Sprintf("c%04d", i))
			want := uses[i].At
			if i == 7 {
				want = want.Add(time.Hour - 7*time.Millisecond)
			}
			if !c.LastUsedAt.Equal(want) || c.Revision != 1 || !c.UpdatedAt.Equal(c.CreatedAt) {
				t.Fatalf("%s: used %v, want %v, in %+v", c.ID, c.LastUsedAt, want, c)
			}
		}
		if got := last(t, db); got != before {
			t.Errorf("noting uses made %d changes", got-before)
		}
	})
}

func TestARefusedKeyIsAChangeOnce(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		mustCreate(t, db, aConnection("acme", "cust-1"))
		start := s.now
		note := func(f func(at time.Time, seen []Sighting) ([]Sighting, error), version int) bool {
			t.Helper()
			s.pass(time.Minute)
			before := last(t, db)
			seen := Sighting{Integration: "acme", ID: "cust-1", Version: version, At: s.now}
			news, err := f(s.now, []Sighting{seen, {Integration: "acme", ID: "gone", Version: version, At: s.now}})
			must(t, err)
			changes := since(t, db, before)
			if len(changes) != len(news) {
				t.Errorf("%d news and the changes %+v", len(news), changes)
			}
			if len(news) > 0 {
				same(t, "news", news, []Sighting{seen})
				same(t, "changes", changes, []Change{{Seq: before + 1, Integration: "acme", Connection: "cust-1"}})
			}
			return len(news) > 0
		}
		fails := func(_ time.Time, seen []Sighting) ([]Sighting, error) { return db.NoteAuthFailure(t.Context(), seen) }
		works := func(_ time.Time, seen []Sighting) ([]Sighting, error) { return db.NoteAuthSuccess(t.Context(), seen) }
		for i, step := range []struct {
			f       func(time.Time, []Sighting) ([]Sighting, error)
			version int
			news    bool
			failed  int
			at      int // minutes: the last failure
		}{
			{works, 1, false, 0, 0},
			{fails, 1, true, 1, 2},
			{fails, 1, false, 1, 3},
			{fails, 2, true, 2, 4},
			{fails, 1, false, 2, 5}, // late
			{works, 1, false, 2, 5}, // late
			{works, 2, true, 0, 5},
			{works, 2, false, 0, 5},
			{fails, 3, true, 3, 9},
			{works, 4, true, 0, 9},
		} {
			if got := note(step.f, step.version); got != step.news {
				t.Errorf("step %d: news %v", i, got)
			}
			c := mustRead(t, db, "acme", "cust-1")
			at := time.Time{}
			if step.at > 0 {
				at = start.Add(time.Duration(step.at) * time.Minute)
			}
			if c.AuthFailedVersion != step.failed || !c.LastAuthFailureAt.Equal(at) || c.Revision != 1 {
				t.Errorf("step %d: %+v", i, c)
			}
		}
		_, err := db.NoteAuthFailure(t.Context(), []Sighting{{Integration: "acme", ID: "cust-1", Version: 3, At: start}}) // comes late
		must(t, err)
		if c := mustRead(t, db, "acme", "cust-1"); !c.LastAuthFailureAt.Equal(start.Add(9 * time.Minute)) {
			t.Errorf("the last failure was at %s", c.LastAuthFailureAt)
		}
	})
}

func TestWhatTrafficNotesOutlivesAWriteFromAnOlderRead(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		c := mustCreate(t, db, aConnection("acme", "cust-1"))
		seen := []Sighting{{Integration: "acme", ID: "cust-1", Version: 1, At: s.now}}
		must(t, db.NoteUse(t.Context(), seen))
		_, err := db.NoteAuthFailure(t.Context(), seen)
		must(t, err)
		must(t, db.UpdateConnection(t.Context(), c))
		if !c.LastUsedAt.Equal(s.now) || !c.LastAuthFailureAt.Equal(s.now) || c.AuthFailedVersion != 1 {
			t.Errorf("the written row came back as %+v", c)
		}
		same(t, "row", mustRead(t, db, "acme", "cust-1"), c)
	})
}

func TestASessionIsUsedOnce(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		one, other := s.open(), s.open()
		soon, later := s.now.Add(time.Minute), s.now.Add(time.Hour)
		must(t, one.UseSession(t.Context(), "s-1", soon))
		must(t, one.UseSession(t.Context(), "S-1", later))
		err := other.UseSession(t.Context(), "s-1", soon)
		want(t, "again", err, ErrExists)
		s.pass(time.Minute)
		must(t, other.PruneSessions(t.Context()))
		want(t, "when the token just expires", one.UseSession(t.Context(), "s-1", soon), ErrExists)
		s.pass(time.Millisecond)
		must(t, other.PruneSessions(t.Context()))
		want(t, "one that is valid", one.UseSession(t.Context(), "S-1", later), ErrExists)
		must(t, one.UseSession(t.Context(), "s-1", soon)) // forgotten
		if n := last(t, one); n != 0 {
			t.Errorf("sessions made %d changes", n)
		}
	})
}
