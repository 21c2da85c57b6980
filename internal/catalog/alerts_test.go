package catalog

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"
)

// told takes what is to be told, and says that it was.
func told(t *testing.T, db *DB) (opened, resolved []string) {
	t.Helper()
	all := taken(t, db)
	must(t, db.AlertsTold(t.Context(), true))
	return subjects(all.Opened), subjects(all.Resolved)
}

func taken(t *testing.T, db *DB) *Telling {
	t.Helper()
	all, err := db.TellAlerts(t.Context(), 1000)
	must(t, err)
	return all
}

func subjects(all []*Alert) (list []string) {
	for _, a := range all {
		list = append(list, a.Subject)
	}
	return list
}

func wantTold(t *testing.T, db *DB, what string, opened, resolved []string) {
	t.Helper()
	if c, err := db.CountAlerts(t.Context()); err != nil || c.Opened != len(opened) || c.Resolved != len(resolved) {
		t.Errorf("%s: counted %+v, %v", what, c, err)
	}
	if o, r := told(t, db); !slices.Equal(o, opened) || !slices.Equal(r, resolved) {
		t.Errorf("%s: told %q and the end of %q, want %q and %q", what, o, r, opened, resolved)
	}
}

func TestAnAlertIsToldOnceAndItsEnd(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := heardSite(t, s)
		open := func() { must(t, db.OpenAlert(t.Context(), Alert{Subject: "a", Kind: "store_down", Store: "vault"})) }
		resolve := func() { must(t, db.ResolveAlert(t.Context(), "a")) }
		a := []string{"a"}
		open()
		open()
		if c, err := db.CountAlerts(t.Context()); err != nil || c.Opened != 1 || c.Resolved != 0 || !c.Last.Equal(s.now.Truncate(time.Millisecond)) {
			t.Errorf("counted %+v, %v", c, err)
		}
		wantTold(t, db, "opened", a, nil)
		open()
		wantTold(t, db, "opened again", nil, nil)
		resolve()
		resolve()
		wantTold(t, db, "resolved", nil, a)
		wantTold(t, db, "after that", nil, nil)

		open()
		resolve()
		wantTold(t, db, "over before it was told", nil, nil)

		open()
		wantTold(t, db, "anew", a, nil)
		resolve()
		open()
		wantTold(t, db, "an end that was none", nil, nil)
		for range 2 {
			s.pass(alertAge - time.Minute)
			open()
			wantTold(t, db, "one that is seen again and again", nil, nil)
		}
		s.pass(alertAge + time.Minute)
		open()
		if all := taken(t, db); len(all.Opened) != 1 || !all.Opened[0].OpenedAt.Equal(s.now.Truncate(time.Millisecond)) {
			t.Errorf("of one that nobody ended it is told %+v", all)
		}
		must(t, db.AlertsTold(t.Context(), true))
	})
}

func TestWhatHappensWhileItIsToldIsNotLost(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := heardSite(t, s)
		open := func() { must(t, db.OpenAlert(t.Context(), Alert{Subject: "a", Kind: "store_down"})) }
		resolve := func() { must(t, db.ResolveAlert(t.Context(), "a")) }
		a := []string{"a"}
		open()
		taken(t, db)
		resolve()
		must(t, db.AlertsTold(t.Context(), true))
		taken(t, db)
		open()
		must(t, db.AlertsTold(t.Context(), true))
		wantTold(t, db, "opened while its end was told", a, nil)
		resolve()
		taken(t, db)
		must(t, db.AlertsTold(t.Context(), false))
		wantTold(t, db, "an end that could not be told", nil, a)
		open()
		taken(t, db)
		must(t, db.AlertsTold(t.Context(), false))
		wantTold(t, db, "one that could not be told", a, nil)
		must(t, db.OpenAlert(t.Context(), Alert{Subject: "b", Kind: "store_down"}))
		wantTold(t, db, "another", []string{"b"}, nil)
		resolve()
		taken(t, db)
		must(t, db.ResolveAlert(t.Context(), "b"))
		must(t, db.AlertsTold(t.Context(), true))
		wantTold(t, db, "one that ended while another's end was told", nil, []string{"b"})
	})
}

func TestWhoTellsHearsOfAnAlert(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := heardSite(t, s)
		for what, do := range map[string]func() error{
			"an alert": func() error { return db.OpenAlert(t.Context(), Alert{Subject: "a", Kind: "store_down"}) },
			"its end":  func() error { return db.ResolveAlert(t.Context(), "a") },
		} {
			rung := db.Rung()
			must(t, do())
			select {
			case <-rung:
			default:
				t.Errorf("nobody hears of %s", what)
			}
		}
	})
}

func TestWhatEndsAndBeginsAnewWhileItIsToldIsToldAgainUnlessThatArrived(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := heardSite(t, s)
		for _, arrived := range []bool{true, false} {
			subject := fmt.Sprintf("arrived: %t", arrived)
			must(t, db.OpenAlert(t.Context(), Alert{Subject: subject, Kind: "store_down"}))
			taken(t, db)
			must(t, db.ResolveAlert(t.Context(), subject))
			must(t, db.OpenAlert(t.Context(), Alert{Subject: subject, Kind: "store_down"}))
			must(t, db.AlertsTold(t.Context(), arrived))
			var again []string
			if !arrived {
				again = []string{subject}
			}
			wantTold(t, db, subject, again, nil)
			must(t, db.ResolveAlert(t.Context(), subject))
			wantTold(t, db, subject, nil, []string{subject})
		}
	})
}

func TestOneNodeLeads(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		a := heardSite(t, s) // node-1 leads
		b := s.open()
		lead := func(db *DB, owner string) bool {
			t.Helper()
			leads, err := db.LeadAlerts(t.Context(), owner)
			must(t, err)
			return leads
		}
		must(t, a.OpenAlert(t.Context(), Alert{Subject: "a", Kind: "store_down"}))
		taken(t, a)
		if lead(b, "node-2") {
			t.Fatal("two lead")
		}
		s.pass(20 * time.Second)
		if !lead(a, "node-1") {
			t.Error("who leads no longer does")
		}
		s.pass(20 * time.Second)
		if lead(b, "node-2") {
			t.Error("somebody else leads though the first renewed")
		}
		s.pass(15 * time.Second)
		if !lead(b, "node-2") || lead(a, "node-1") {
			t.Error("nobody follows who says nothing")
		}
		wantTold(t, b, "what the first had begun to tell", []string{"a"}, nil)
		must(t, b.CedeAlerts(t.Context(), "node-1")) // not his
		if lead(a, "node-1") {
			t.Error("it was ceded by who has not led")
		}
		must(t, b.CedeAlerts(t.Context(), "node-2"))
		if !lead(a, "node-1") {
			t.Error("what was ceded is not taken")
		}
	})
}

func TestARefusedKeyIsAnAlertAndANewOneItsEnd(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := heardSite(t, s)
		end := map[string]func(id string){
			"accepted": func(id string) {
				_, err := db.NoteAuthSuccess(t.Context(), []Sighting{{Integration: "acme", ID: id, Version: 1, At: s.clock()}})
				must(t, err)
			},
			"entered": func(id string) { mustEnter(t, db, "acme", id) },
			"deleted": func(id string) {
				_, err := db.DeleteConnection(t.Context(), "acme", id)
				must(t, err)
			},
		}
		for _, id := range slices.Sorted(maps.Keys(end)) {
			mustEnter(t, db, "acme", id)
			for range 2 {
				_, err := db.NoteAuthFailure(t.Context(), []Sighting{{Integration: "acme", ID: id, Version: 1, At: s.clock()}})
				must(t, err)
			}
			all := taken(t, db)
			must(t, db.AlertsTold(t.Context(), true))
			if len(all.Opened) != 1 || all.Opened[0].Kind != "auth_failed" || all.Opened[0].Integration != "acme" || all.Opened[0].Connection != id || all.Opened[0].KeyVersion != 1 {
				t.Errorf("%s: told %+v", id, all)
			}
			end[id](id)
			wantTold(t, db, id, nil, []string{ConnectionSubject("acme", id)})
		}
	})
}

func TestNobodyIsAlertedWhenNobodyTells(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		must(t, db.OpenAlert(t.Context(), Alert{Subject: "a", Kind: "store_down"}))
		if c, err := db.CountAlerts(t.Context()); err != nil || c.Opened != 0 {
			t.Errorf("counted %+v, %v", c, err)
		}
	})
}

func TestATellingHasTheFirstFewAndTheNumberOfAll(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := heardSite(t, s)
		for i := range 9 {
			must(t, db.OpenAlert(t.Context(), Alert{Subject: fmt.Sprint(9 - i), Kind: []string{"auth_failed", "deleted"}[i%2]}))
			s.pass(time.Second)
		}
		all, err := db.TellAlerts(t.Context(), 3)
		must(t, err)
		if got := subjects(all.Opened); !slices.Equal(got, []string{"9", "8", "7"}) || all.Count.Opened != 9 || !maps.Equal(all.ByKind, map[string]int{"auth_failed": 5, "deleted": 4}) {
			t.Errorf("told %q of %+v, %v", got, all.Count, all.ByKind)
		}
	})
}

func TestAKeyThatRunsOutIsAnAlertUntilThereIsAnotherOrNone(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := heardSite(t, s)
		for id, end := range map[string]func(){
			"entered": func() { mustEnter(t, db, "acme", "entered") },
			"deleted": func() {
				_, err := db.DeleteConnection(t.Context(), "acme", "deleted")
				must(t, err)
			},
		} {
			mustEnter(t, db, "acme", id)
			subject := EndSubject("acme", id)
			must(t, db.OpenAlert(t.Context(), Alert{Subject: subject, Kind: "expired", Integration: "acme", Connection: id}))
			wantTold(t, db, id, []string{subject}, nil)
			end()
			wantTold(t, db, id, nil, []string{subject})
		}
	})
}
