package catalog

import (
	"encoding/json"
	"testing"
	"time"
)

// vault is the little of a store that a key write needs.
type vault map[string]int

func (v vault) put(p *PendingKey) (version int, ok bool) {
	if v[p.ID] != p.Version {
		return 0, false
	}
	v[p.ID]++
	return v[p.ID], true
}

// sweep is what the process does that finds what another left.
func sweep(t *testing.T, db *DB, v vault, olderThan time.Duration) {
	t.Helper()
	pending, err := db.PendingKeys(t.Context(), olderThan)
	must(t, err)
	for _, p := range pending {
		if p.Deletion {
			delete(v, p.ID)
			must(t, db.FinishKeyDelete(t.Context(), p.Integration, p.ID))
			continue
		}
		must(t, db.ResolveKeyWrite(t.Context(), p, v[p.ID]))
	}
}

func TestAKeyWriteThatIsKilledIsEndedByTheSweep(t *testing.T) {
	// after tells how far the writer got: 0 nothing, 1 entered, 2 in the store.
	for _, c := range []struct {
		name   string
		first  bool
		after  int
		landed bool
	}{
		{"a first key, before the store", true, 1, false},
		{"a first key, after the store", true, 2, true},
		{"a further key, before the store", false, 1, false},
		{"a further key, after the store", false, 2, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			both(t, func(t *testing.T, s *site) {
				db, v := s.open(), vault{}
				row := aFullConnection("acme", "cust-1")
				row.Fingerprint, row.KeyVersion, row.KeyUpdatedAt = "old", 5, s.now
				if c.first {
					row.KeyVersion = 0
				} else {
					v["cust-1"] = 5
					mustCreate(t, db, row)
				}
				old := *row
				row.Fingerprint, row.Metadata = "new", json.RawMessage("{ \"z\" : 1,\"a\":\"<>\" }")
				p := &PendingKey{Integration: "acme", ID: "cust-1", Version: v["cust-1"], Row: row}
				must(t, db.BeginKeyWrite(t.Context(), p))
				if c.after == 2 {
					v.put(p)
				}
				must(t, db.Close()) // killed here

				db = s.open()
				s.pass(time.Minute)
				sweep(t, db, v, time.Hour)
				if pending, err := db.PendingKeys(t.Context(), 0); len(pending) != 1 || err != nil {
					t.Fatalf("a sweep took what is not old: %+v, %v", pending, err)
				}
				before := last(t, db)
				sweep(t, db, v, time.Minute)
				got, err := db.Connection(t.Context(), "acme", "cust-1")
				switch {
				case c.landed:
					must(t, err)
					if got.Fingerprint != "new" || got.KeyVersion != v["cust-1"] || string(got.Metadata) != string(row.Metadata) ||
						!got.KeyUpdatedAt.Equal(s.now) || got.Revision != old.Revision+1 {
						t.Errorf("the row is %+v", got)
					}
					same(t, "changes", since(t, db, before), []Change{{Seq: before + 1, Integration: "acme", Connection: "cust-1"}})
				case c.first:
					want(t, "the connection", err, ErrNotFound)
				default:
					must(t, err)
					same(t, "row", got, &old)
				}
				if pending, err := db.PendingKeys(t.Context(), 0); len(pending) != 0 || err != nil {
					t.Errorf("still pending: %+v, %v", pending, err)
				}
			})
		})
	}
}

func TestADeletionThatIsKilledIsEndedByTheSweep(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db, v := s.open(), vault{"one": 2, "two": 1}
		mustCreate(t, db, aConnection("acme", "one"))
		mustCreate(t, db, aConnection("acme", "two"))
		for id := range v {
			_, err := db.DeleteConnection(t.Context(), "acme", id)
			must(t, err)
		}
		delete(v, "two") // this one got as far as the store
		must(t, db.Close())
		db = s.open()
		sweep(t, db, v, 0)
		if len(v) != 0 {
			t.Errorf("the store still has %v", v)
		}
		mustCreate(t, db, aConnection("acme", "one")) // nothing stands in its way
	})
}

func TestAKeyWriteIsFinishedOnce(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		p := &PendingKey{Integration: "acme", ID: "cust-1", Row: aConnection("acme", "cust-1")}
		must(t, db.BeginKeyWrite(t.Context(), p))
		if p.BeganAt.IsZero() || last(t, db) != 0 {
			t.Errorf("beginning set %+v and made %d changes", p, last(t, db))
		}
		again := *p
		row := *p.Row
		again.Row = &row
		must(t, db.FinishKeyWrite(t.Context(), p, 1))
		same(t, "what finishing set", p.Row, mustRead(t, db, "acme", "cust-1"))
		if p.Row.Revision != 1 || p.Row.KeyVersion != 1 || !p.Row.KeyUpdatedAt.Equal(s.now) {
			t.Errorf("finishing set %+v", p.Row)
		}
		must(t, db.FinishKeyWrite(t.Context(), &again, 1)) // its answer was lost
		same(t, "what finishing again set", again.Row, p.Row)
		must(t, db.AbandonKeyWrite(t.Context(), p))
		if n := last(t, db); n != 1 {
			t.Errorf("it made %d changes", n)
		}
	})
}

func TestAKeyWriteKeepsOthersOut(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		c := mustCreate(t, db, aConnection("acme", "cust-1"))
		begin := func(id string, version int, row *Connection) (*PendingKey, error) {
			r := *row
			p := &PendingKey{Integration: "acme", ID: id, Version: version, Row: &r}
			return p, db.BeginKeyWrite(t.Context(), p)
		}
		_, err := begin("cust-1", 0, aConnection("acme", "cust-1"))
		want(t, "a first key of what is there", err, ErrExists)
		gone := *c
		gone.ID = "gone"
		_, err = begin("gone", 1, &gone)
		want(t, "a further key of what is not there", err, ErrNotFound)
		stale := *c
		stale.Revision = 9
		_, err = begin("cust-1", 1, &stale)
		want(t, "a key from another revision", err, ErrConflict)

		first, err := begin("new", 0, aConnection("acme", "new"))
		must(t, err)
		_, err = begin("new", 0, aConnection("acme", "new"))
		want(t, "two first keys", err, ErrConflict)
		want(t, "a description under a first key", db.CreateConnection(t.Context(), aConnection("acme", "new")), ErrConflict)
		_, err = db.DeleteConnection(t.Context(), "acme", "new")
		want(t, "deleting what is not there yet", err, ErrNotFound)
		must(t, db.FinishKeyDelete(t.Context(), "acme", "new")) // ends no write
		_, err = begin("new", 0, aConnection("acme", "new"))
		want(t, "a first key after the end of no deletion", err, ErrConflict)
		must(t, db.FinishKeyWrite(t.Context(), first, 1))

		second, err := begin("cust-1", 1, c)
		must(t, err)
		_, err = begin("cust-1", 1, c)
		want(t, "two further keys", err, ErrConflict)
		want(t, "a description under a further key", db.UpdateConnection(t.Context(), c), ErrConflict)
		must(t, db.AbandonKeyWrite(t.Context(), first)) // not the one that stands
		want(t, "a description after another's end", db.UpdateConnection(t.Context(), c), ErrConflict)
		must(t, db.AbandonKeyWrite(t.Context(), second))
		must(t, db.UpdateConnection(t.Context(), c))
	})
}

func TestAConnectionIsDeletedUnderAKeyWriteThatCanNoLongerLand(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db, v := s.open(), vault{"cust-1": 4}
		c := mustCreate(t, db, aConnection("acme", "cust-1"))
		p := &PendingKey{Integration: "acme", ID: "cust-1", Version: 4, Row: c}
		must(t, db.BeginKeyWrite(t.Context(), p))
		_, err := db.DeleteConnection(t.Context(), "acme", "cust-1")
		must(t, err)
		must(t, db.AbandonKeyWrite(t.Context(), p)) // must not end the deletion
		sweep(t, db, v, 0)
		if _, ok := v.put(p); ok || len(v) != 0 {
			t.Errorf("the write landed: %v", v)
		}
		want(t, "finishing it", db.FinishKeyWrite(t.Context(), p, 5), ErrConflict)

		keyless := mustCreate(t, db, aConnection("acme", "keyless"))
		p = &PendingKey{Integration: "acme", ID: "keyless", Row: keyless}
		must(t, db.BeginKeyWrite(t.Context(), p))
		_, err = db.DeleteConnection(t.Context(), "acme", "keyless")
		want(t, "deleting under one that could", err, ErrConflict)
		mustRead(t, db, "acme", "keyless")
	})
}

func TestAWriterThatASweepOvertookStillFinishes(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db, v := s.open(), vault{}
		begin := func(id string) *PendingKey {
			p := &PendingKey{Integration: "acme", ID: id, Row: aConnection("acme", id)}
			must(t, db.BeginKeyWrite(t.Context(), p))
			return p
		}
		slow := begin("slow")
		sweep(t, db, v, 0) // gives it up
		version, _ := v.put(slow)
		must(t, db.FinishKeyWrite(t.Context(), slow, version))
		if got := mustRead(t, db, "acme", "slow"); got.KeyVersion != 1 {
			t.Errorf("the row is %+v", got)
		}

		late := begin("late")
		v.put(late)
		sweep(t, db, v, 0) // finishes it
		must(t, db.FinishKeyWrite(t.Context(), late, 1))

		lost := begin("lost")
		sweep(t, db, v, 0)
		mustCreate(t, db, aConnection("acme", "lost")) // somebody else was faster
		want(t, "finishing what somebody else made", db.FinishKeyWrite(t.Context(), lost, 1), ErrConflict)

		passed := begin("passed")
		sweep(t, db, v, 0)
		begin("passed")
		want(t, "finishing under somebody else's write", db.FinishKeyWrite(t.Context(), passed, 1), ErrConflict)
	})
}

func TestAKeyThatSomebodyElseWroteHasNoFingerprint(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		c := mustCreate(t, db, aFullConnection("acme", "cust-1"))
		c.Fingerprint, c.KeyExpiresAt = "mine", s.now.Add(time.Hour)
		p := &PendingKey{Integration: "acme", ID: "cust-1", Version: 3, Row: c}
		must(t, db.BeginKeyWrite(t.Context(), p))
		must(t, db.ResolveKeyWrite(t.Context(), p, 5))
		if got := mustRead(t, db, "acme", "cust-1"); got.Fingerprint != "" || !got.KeyExpiresAt.IsZero() || got.KeyVersion != 5 {
			t.Errorf("the row is %+v", got)
		}
	})
}
