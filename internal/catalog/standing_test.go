package catalog

import (
	"testing"
	"time"
)

func TestConnectionsAreCountedByHowTheyAreDoing(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		for _, c := range []*Connection{
			{Integration: "acme", ID: "one", Origin: "https://a", KeyVersion: 1},
			{Integration: "acme", ID: "two", Origin: "https://a", KeyVersion: 2},
			{Integration: "acme", ID: "moved", Origin: "https://b", KeyVersion: 1},
			{Integration: "acme", ID: "off", Origin: "https://a", KeyVersion: 1, Disabled: true},
			{Integration: "crm", ID: "one", Origin: "https://c", KeyVersion: 3, Unverified: true},
		} {
			mustCreate(t, db, c)
			s.pass(time.Second)
		}
		groups := func(keys ...string) []Group {
			t.Helper()
			all, err := db.Groups(t.Context(), keys)
			must(t, err)
			return all
		}
		same(t, "at first", groups(), []Group{
			{"acme", "https://a", StandingDisabled, 1}, {"acme", "https://a", StandingOK, 2}, {"acme", "https://b", StandingOK, 1}, {"crm", "https://c", StandingUnknown, 1},
		})
		fail := func(id string, version int) {
			_, err := db.NoteAuthFailure(t.Context(), []Sighting{{Integration: "acme", ID: id, Version: version, At: s.now}})
			must(t, err)
		}
		fail("two", 1) // a version before: it says nothing
		fail("one", 1)
		fail("off", 1)
		same(t, "after refusals", groups("acme", "none"), []Group{
			{"acme", "https://a", StandingAuthFailed, 1}, {"acme", "https://a", StandingDisabled, 1}, {"acme", "https://a", StandingOK, 1}, {"acme", "https://b", StandingOK, 1},
		})
		for _, g := range groups() {
			rows, err := db.ConnectionsIn(t.Context(), g, 10, 0)
			must(t, err)
			if len(rows) != g.Count {
				t.Errorf("%v has %d rows", g, len(rows))
			}
			for _, c := range rows {
				if c.Integration != g.Integration || c.Origin != g.Origin || c.Standing() != g.Standing {
					t.Errorf("%v has %+v", g, c)
				}
			}
		}
		_, err := db.NoteAuthSuccess(t.Context(), []Sighting{{Integration: "acme", ID: "one", Version: 1, At: s.now}, {Integration: "crm", ID: "one", Version: 3, At: s.now}})
		must(t, err)
		same(t, "after a verdict", groups("crm"), []Group{{"crm", "https://c", StandingOK, 1}})
		page, err := db.ConnectionsIn(t.Context(), Group{"acme", "https://a", StandingOK, 2}, 1, 1)
		must(t, err)
		if len(page) != 1 || page[0].ID != "one" { // the newest comes first
			t.Errorf("the second page is %+v", page)
		}
	})
}
