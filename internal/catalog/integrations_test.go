package catalog

import (
	"testing"
	"time"
)

func TestAnIntegrationIsReadAsItWasWritten(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		full := anIntegration("acme ~:.@ _-prod")
		full.ForwardWebhooks, full.Disabled, full.MaxAge = true, true, 90*24*time.Hour+time.Nanosecond
		full.DisplayName, full.KeyLabel, full.ValueTemplate = "Acmé \"Internal\" <API>", "Clé", "Api-Key ${apiKey}\\"
		full.Connect = &ConnectTexts{HelpText: "see <b>", HelpURL: "https://x.example/?a=1&b=2", LogoURL: "https://x.example/l.png"}
		full.Verification = &Verification{Method: "HEAD", Path: "me", Headers: map[string]string{"Accept": "*/*"}, Success: []int{200, 404}}
		full.RefusedStatuses, full.RefusedAfter = []int{401, 403}, 3
		off := anIntegration("off")
		off.RefusedStatuses = []int{}
		for _, i := range []*Integration{full, off, anIntegration("plain")} {
			must(t, db.CreateIntegration(t.Context(), i))
			if !i.CreatedAt.Equal(s.now) || !i.UpdatedAt.Equal(s.now) || i.Revision != 1 {
				t.Errorf("creating set %v, %v, revision %d", i.CreatedAt, i.UpdatedAt, i.Revision)
			}
			got, err := db.Integration(t.Context(), i.UniqueKey)
			must(t, err)
			same(t, i.UniqueKey, got, i)
		}
	})
}

func TestIntegrationsComeInTheOrderOfTheirBytes(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		for _, key := range []string{"b", "a", "B", "a b", "_", "a-b", "é"} {
			mustIntegrate(t, db, key)
		}
		all, err := db.Integrations(t.Context())
		must(t, err)
		keys := make([]string, len(all))
		for n, i := range all {
			keys[n] = i.UniqueKey
		}
		same(t, "keys", keys, []string{"B", "_", "a", "a b", "a-b", "b", "é"})
	})
}

func TestAUniqueKeyIsTakenOnce(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		mustIntegrate(t, db, "acme")
		second := anIntegration("acme")
		second.DisplayName = "Other"
		want(t, "a second one", db.CreateIntegration(t.Context(), second), ErrExists)
		if second.Revision != 0 || !second.CreatedAt.IsZero() {
			t.Errorf("a refused integration was changed: %+v", second)
		}
		if got, err := db.Integration(t.Context(), "acme"); err != nil || got.DisplayName != "Acme" {
			t.Errorf("got %+v, %v", got, err)
		}
		same(t, "changes", since(t, db, 0), []Change{{Seq: 1, Integration: "acme"}})
		_, err := db.Integration(t.Context(), "ACME")
		want(t, "another case", err, ErrNotFound)
	})
}

func TestAnIntegrationIsUpdatedFromWhatWasRead(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		i := mustIntegrate(t, db, "acme")
		stale := *i
		s.pass(time.Minute)
		i.BaseURL = "https://other.example"
		i.CreatedAt = time.Time{} // is not the caller's to say
		must(t, db.UpdateIntegration(t.Context(), "acme", i))
		if i.Revision != 2 || !i.UpdatedAt.Equal(s.now) || !i.CreatedAt.Equal(s.now.Add(-time.Minute)) {
			t.Errorf("updating set %+v", i)
		}
		got, err := db.Integration(t.Context(), "acme")
		must(t, err)
		same(t, "row", got, i)

		want(t, "from an older row", db.UpdateIntegration(t.Context(), "acme", &stale), ErrConflict)
		want(t, "from no row", db.UpdateIntegration(t.Context(), "acme", anIntegration("acme")), ErrConflict)
		want(t, "of none", db.UpdateIntegration(t.Context(), "zzz", &stale), ErrNotFound)
		if stale.Revision != 1 {
			t.Errorf("a refused update set revision %d", stale.Revision)
		}
		same(t, "changes", since(t, db, 1), []Change{{Seq: 2, Integration: "acme"}})
	})
}

func TestAnIntegrationIsRenamedOnlyWithoutConnections(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		i := mustIntegrate(t, db, "acme")
		mustIntegrate(t, db, "taken")
		c := mustCreate(t, db, aConnection("acme", "cust-1"))
		rename := func(to string) error {
			renamed := *i
			renamed.UniqueKey = to
			err := db.UpdateIntegration(t.Context(), "acme", &renamed)
			if err == nil {
				*i = renamed
			}
			return err
		}
		want(t, "to a taken key", rename("taken"), ErrExists)
		want(t, "with a connection", rename("new"), ErrHasConnections)
		_, err := db.DeleteConnection(t.Context(), "acme", "cust-1")
		must(t, err)
		want(t, "while a key is destroyed", rename("new"), ErrConflict)
		must(t, db.FinishKeyDelete(t.Context(), "acme", "cust-1"))
		c.Revision = 0
		p := &PendingKey{Integration: "acme", ID: "cust-1", Row: c}
		must(t, db.BeginKeyWrite(t.Context(), p))
		want(t, "while a key is written", rename("new"), ErrConflict)
		must(t, db.AbandonKeyWrite(t.Context(), p))

		before := last(t, db)
		must(t, rename("new"))
		same(t, "changes", since(t, db, before), []Change{
			{Seq: before + 1, Integration: "acme"}, {Seq: before + 2, Integration: "new"},
		})
		_, err = db.Integration(t.Context(), "acme")
		want(t, "the old key", err, ErrNotFound)
		if got, err := db.Integration(t.Context(), "new"); err != nil || got.Revision != 2 {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

func TestAnIntegrationWithConnectionsIsDeletedOnlyWithThem(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		mustIntegrate(t, db, "acme")
		one := aConnection("acme", "cust-1")
		one.Tags = map[string]string{"env": "prod"}
		one.KeyVersion = 3
		mustCreate(t, db, one)
		mustCreate(t, db, aConnection("acme", "cust-2"))
		other := mustCreate(t, db, aConnection("other", "cust-1"))
		_, err := db.DeleteIntegration(t.Context(), "acme", 0, false)
		want(t, "with connections", err, ErrHasConnections)
		_, err = db.DeleteIntegration(t.Context(), "acme", 7, true)
		want(t, "of another revision", err, ErrConflict)
		_, err = db.DeleteIntegration(t.Context(), "zzz", 0, true)
		want(t, "of none", err, ErrNotFound)

		before := last(t, db)
		deleted, err := db.DeleteIntegration(t.Context(), "acme", 1, true)
		must(t, err)
		if len(deleted) != 2 {
			t.Errorf("deleted %+v", deleted)
		}
		same(t, "changes", withoutSeq(since(t, db, before)), map[Change]int{
			{Integration: "acme"}:                       1,
			{Integration: "acme", Connection: "cust-1"}: 1,
			{Integration: "acme", Connection: "cust-2"}: 1,
		})
		_, err = db.Integration(t.Context(), "acme")
		want(t, "the integration", err, ErrNotFound)
		_, err = db.Connection(t.Context(), "acme", "cust-1")
		want(t, "its connection", err, ErrNotFound)
		if n, err := db.CountConnections(t.Context(), "acme"); n != 0 || err != nil {
			t.Errorf("%d connections are left, %v", n, err)
		}
		same(t, "another's connection", mustRead(t, db, "other", "cust-1"), other)
		pending, err := db.PendingKeys(t.Context(), 0)
		must(t, err)
		if len(pending) != 2 || !pending[0].Deletion || pending[0].ID != "cust-1" || pending[0].Version != 3 || pending[0].Row != nil {
			t.Errorf("the keys to destroy are %+v", pending)
		}
	})
}

func TestAnIntegrationIsNotDeletedUnderAKeyWrite(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		mustIntegrate(t, db, "acme")
		p := &PendingKey{Integration: "acme", ID: "new", Row: aConnection("acme", "new"), OfCatalog: true}
		must(t, db.BeginKeyWrite(t.Context(), p))
		for _, with := range []bool{false, true} {
			_, err := db.DeleteIntegration(t.Context(), "acme", 0, with)
			want(t, "while a first key is written", err, ErrConflict)
		}
		must(t, db.FinishKeyWrite(t.Context(), p, 1))
		_, err := db.DeleteIntegration(t.Context(), "acme", 0, true)
		must(t, err)
		p = &PendingKey{Integration: "acme", ID: "late", Row: aConnection("acme", "late"), OfCatalog: true}
		want(t, "a key for what is gone", db.BeginKeyWrite(t.Context(), p), ErrNotFound)
	})
}

// withoutSeq counts changes, whatever their order.
func withoutSeq(changes []Change) map[Change]int {
	n := make(map[Change]int)
	for _, c := range changes {
		c.Seq = 0
		n[c]++
	}
	return n
}
