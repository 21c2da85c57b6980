package catalog

import (
	"testing"
	"time"
)

func TestAnUnfinishedKeyIsClaimedOnce(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db, other := s.open(), s.open()
		writer := &PendingKey{Integration: "acme", ID: "cust-1", Row: aConnection("acme", "cust-1")}
		must(t, db.BeginKeyWrite(t.Context(), writer))
		mustCreate(t, db, aConnection("acme", "cust-2"))
		_, err := db.DeleteConnection(t.Context(), "acme", "cust-2")
		must(t, err)
		s.pass(time.Hour)
		first, err := db.PendingKeys(t.Context(), time.Minute)
		must(t, err)
		second, err := other.PendingKeys(t.Context(), time.Minute)
		must(t, err)
		if len(first) != 2 || len(second) != 2 {
			t.Fatalf("pending are %+v and %+v", first, second)
		}
		for i, p := range first {
			must(t, db.ClaimPending(t.Context(), p))
			if !p.BeganAt.Equal(s.now) {
				t.Errorf("claiming set %+v", p)
			}
			want(t, "a second claim", other.ClaimPending(t.Context(), second[i]), ErrConflict)
		}
		if old, err := other.PendingKeys(t.Context(), time.Minute); len(old) != 0 || err != nil {
			t.Errorf("what was claimed is still old: %+v, %v", old, err)
		}
		must(t, db.AbandonKeyWrite(t.Context(), writer)) // it is no longer the writer's
		if all, err := db.PendingKeys(t.Context(), 0); len(all) != 2 || err != nil {
			t.Errorf("pending are %+v, %v", all, err)
		}
		must(t, db.ResolveKeyWrite(t.Context(), first[0], 1))
		must(t, db.FinishKeyWrite(t.Context(), writer, 1)) // finished already
		want(t, "claiming what is closed", db.ClaimPending(t.Context(), second[0]), ErrConflict)
	})
}

func TestAKeyWithoutDescriptionIsDestroyed(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		begin := func(id string, want bool) {
			t.Helper()
			if before, err := db.BeginKeyDelete(t.Context(), "acme", id); before != want || err != nil {
				t.Errorf("%s: entered before: %t, %v; want %t", id, before, err, want)
			}
		}
		mustCreate(t, db, aConnection("acme", "described"))
		_, err := db.BeginKeyDelete(t.Context(), "acme", "described")
		want(t, "with a description", err, ErrExists)

		p := &PendingKey{Integration: "acme", ID: "written", Row: aConnection("acme", "written")}
		must(t, db.BeginKeyWrite(t.Context(), p))
		before, err := db.BeginKeyDelete(t.Context(), "acme", "written")
		want(t, "under a write", err, ErrConflict)
		if before {
			t.Error("a refused deletion was entered before")
		}
		must(t, db.FinishKeyWrite(t.Context(), p, 1))

		begin("orphan", false)
		want(t, "writing it meanwhile", db.BeginKeyWrite(t.Context(), &PendingKey{Integration: "acme", ID: "orphan", Row: aConnection("acme", "orphan")}), ErrConflict)
		s.pass(time.Hour)
		begin("orphan", true)
		if old, err := db.PendingKeys(t.Context(), time.Minute); len(old) != 0 || err != nil {
			t.Errorf("it did not begin anew: %+v, %v", old, err)
		}
		all, err := db.PendingKeys(t.Context(), 0)
		if must(t, err); len(all) != 1 || !all[0].Deletion || all[0].Row != nil {
			t.Errorf("pending are %+v", all)
		}
		must(t, db.FinishKeyDelete(t.Context(), "acme", "orphan"))
		begin("orphan", false)
	})
}
