package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"
)

// strangeIDs are ids that some collation, driver or trimming would mix up.
var strangeIDs = []string{"Cust-1", "cust-1", "a b", "a_b", "a..b", "ab", "ab ", " ab", "a%b", "\u00e9", "e\u0301", "\u00df", "ss", "\u212a", "K", "k"}

func aFullConnection(integration, id string) *Connection {
	c := aConnection(integration, id)
	c.Config = map[string]string{"tenant": "a\"c<me>", "region": "eu"}
	c.Metadata = json.RawMessage("{ \"b\":1.0, \"a\" : [\"<&>\"],\n \"a\":2 }")
	c.Tags = map[string]string{"env": "prod", "team": "billing & co"}
	c.EndUser = &EndUser{ID: "u-1", Email: "Ann@Example.com", DisplayName: "Änn", Organization: &Organization{ID: "o-1", DisplayName: "Org"}}
	c.WebhookURLOverride, c.Fingerprint, c.KeyVersion, c.Disabled = "https://hooks.example/x", "f1", 3, true
	c.KeyUpdatedAt = time.Date(2026, 6, 1, 1, 2, 3, 4e6, time.UTC)
	c.KeyExpiresAt = time.Date(2027, 6, 1, 1, 2, 3, 0, time.UTC)
	return c
}

func TestAConnectionIsReadAsItWasWritten(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		for _, c := range []*Connection{aFullConnection("acme", "full"), aConnection("of-the-caddy-config", "plain")} {
			mustCreate(t, db, c)
			if !c.CreatedAt.Equal(s.now) || !c.UpdatedAt.Equal(s.now) || c.Revision != 1 {
				t.Errorf("creating set %v, %v, revision %d", c.CreatedAt, c.UpdatedAt, c.Revision)
			}
			same(t, c.ID, mustRead(t, db, c.Integration, c.ID), c)
		}
	})
}

func TestIDsAreComparedByteByByte(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		for _, id := range strangeIDs {
			c := aConnection("acme", id)
			c.Fingerprint = "of " + id
			c.Tags = map[string]string{"id": id}
			c.EndUser = &EndUser{ID: id, Organization: &Organization{ID: id}}
			mustCreate(t, db, c)
			mustIntegrate(t, db, id)
			want(t, id+" again", db.CreateConnection(t.Context(), aConnection("acme", id)), ErrExists)
		}
		for _, id := range strangeIDs {
			if got := mustRead(t, db, "acme", id); got.Fingerprint != "of "+id {
				t.Errorf("%q: got the connection %q", id, got.Fingerprint)
			}
			for name, f := range map[string]ConnectionFilter{
				"id": {ID: id}, "end user": {EndUserID: id}, "organization": {OrganizationID: id}, "tag": {Tags: map[string]string{"id": id}},
			} {
				same(t, name+" "+id, ids(t, db, f), []string{id})
			}
		}
		if n, err := db.CountConnections(t.Context(), "acme"); n != len(strangeIDs) || err != nil {
			t.Errorf("there are %d connections, %v", n, err)
		}
		_, err := db.DeleteConnection(t.Context(), "acme", "cust-1")
		must(t, err)
		mustRead(t, db, "acme", "Cust-1")
	})
}

func TestAConnectionIsUpdatedFromWhatWasRead(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		c := mustCreate(t, db, aFullConnection("acme", "cust-1"))
		stale := *c
		s.pass(time.Minute)
		c.Tags = map[string]string{"env": "test"}
		c.EndUser, c.Config, c.Metadata, c.CreatedAt = &EndUser{ID: "u-2"}, nil, nil, time.Time{}
		must(t, db.UpdateConnection(t.Context(), c))
		if c.Revision != 2 || !c.UpdatedAt.Equal(s.now) || !c.CreatedAt.Equal(s.now.Add(-time.Minute)) {
			t.Errorf("updating set %+v", c)
		}
		same(t, "row", mustRead(t, db, "acme", "cust-1"), c)
		for what, n := range map[string]int{"prod": 0, "test": 1} {
			if got := ids(t, db, ConnectionFilter{Tags: map[string]string{"env": what}}); len(got) != n {
				t.Errorf("env=%s finds %v", what, got)
			}
		}
		same(t, "the former end user's", ids(t, db, ConnectionFilter{EndUserID: "u-1"}), []string{})

		want(t, "from an older row", db.UpdateConnection(t.Context(), &stale), ErrConflict)
		want(t, "from no row", db.UpdateConnection(t.Context(), aConnection("acme", "cust-1")), ErrConflict)
		want(t, "of none", db.UpdateConnection(t.Context(), aConnection("acme", "zzz")), ErrNotFound)
		if stale.Revision != 1 {
			t.Errorf("a refused update set revision %d", stale.Revision)
		}
		same(t, "changes", since(t, db, 1), []Change{{Seq: 2, Integration: "acme", Connection: "cust-1"}})
	})
}

func TestOlderVersionsOfAKeyAreNotForAnotherPlace(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		c := mustCreate(t, db, aFullConnection("acme", "cust-1"))
		for _, step := range []struct {
			name   string
			change func()
			since  int
		}{
			{"made", func() {}, 3},
			{"another key", func() { c.KeyVersion = 4 }, 3},
			{"a key for another origin", func() { c.KeyVersion, c.Origin = 5, "https://b.example" }, 5},
			{"a further key", func() { c.KeyVersion = 6 }, 5},
			{"another config", func() { c.Config = map[string]string{"tenant": "b"} }, 6},
			{"something else", func() { c.Disabled, c.BoundSince = false, 1 }, 6},
		} {
			step.change()
			must(t, db.UpdateConnection(t.Context(), c))
			if got := mustRead(t, db, "acme", "cust-1"); got.BoundSince != step.since || c.BoundSince != step.since {
				t.Errorf("%s: bound since version %d, and %d is told, want %d", step.name, got.BoundSince, c.BoundSince, step.since)
			}
		}
	})
}

func TestDeletingAConnectionReturnsItAndLeavesItsKeyToBeDestroyed(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		c := mustCreate(t, db, aFullConnection("acme", "cust-1"))
		before := last(t, db)
		got, err := db.DeleteConnection(t.Context(), "acme", "cust-1")
		must(t, err)
		same(t, "deleted", got, c)
		same(t, "changes", since(t, db, before), []Change{{Seq: before + 1, Integration: "acme", Connection: "cust-1"}})
		_, err = db.DeleteConnection(t.Context(), "acme", "cust-1")
		want(t, "again", err, ErrNotFound)
		same(t, "by tag", ids(t, db, ConnectionFilter{Tags: c.Tags}), []string{})

		want(t, "a new one before its key is gone", db.CreateConnection(t.Context(), aConnection("acme", "cust-1")), ErrConflict)
		p := &PendingKey{Integration: "acme", ID: "cust-1", Row: aConnection("acme", "cust-1")}
		want(t, "a new key before the old is gone", db.BeginKeyWrite(t.Context(), p), ErrConflict)
		for range 2 { // the answer to the first may have been lost
			must(t, db.FinishKeyDelete(t.Context(), "acme", "cust-1"))
		}
		if pending, err := db.PendingKeys(t.Context(), 0); len(pending) != 0 || err != nil {
			t.Errorf("pending is %+v, %v", pending, err)
		}
		mustCreate(t, db, aConnection("acme", "cust-1"))
	})
}

func TestNothingIsWrittenAfterAnEndedContextOrToAClosedDatabase(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		c := mustCreate(t, db, aConnection("acme", "cust-1"))
		i := mustIntegrate(t, db, "acme")
		p := &PendingKey{Integration: "acme", ID: "cust-1", Row: c}
		seen := []Sighting{{Integration: "acme", ID: "cust-1", Version: 1, At: s.now}}
		ctx := ended(t)
		calls := map[string]func() error{
			"CreateIntegration": func() error { return db.CreateIntegration(ctx, anIntegration("b")) },
			"Integration":       func() error { _, err := db.Integration(ctx, "acme"); return err },
			"Integrations":      func() error { _, err := db.Integrations(ctx); return err },
			"UpdateIntegration": func() error { return db.UpdateIntegration(ctx, "acme", i) },
			"DeleteIntegration": func() error { _, err := db.DeleteIntegration(ctx, "acme", 0, true); return err },
			"Connection":        func() error { _, err := db.Connection(ctx, "acme", "cust-1"); return err },
			"Connections":       func() error { _, err := db.Connections(ctx, ConnectionFilter{}); return err },
			"Groups":            func() error { _, err := db.Groups(ctx, nil); return err },
			"ConnectionsIn":     func() error { _, err := db.ConnectionsIn(ctx, Group{}, 1, 0); return err },
			"CountConnections":  func() error { _, err := db.CountConnections(ctx, "acme"); return err },
			"CreateConnection":  func() error { return db.CreateConnection(ctx, aConnection("acme", "b")) },
			"UpdateConnection":  func() error { return db.UpdateConnection(ctx, c) },
			"DeleteConnection":  func() error { _, err := db.DeleteConnection(ctx, "acme", "cust-1"); return err },
			"BeginKeyWrite":     func() error { return db.BeginKeyWrite(ctx, p) },
			"FinishKeyWrite":    func() error { return db.FinishKeyWrite(ctx, p, 1) },
			"AbandonKeyWrite":   func() error { return db.AbandonKeyWrite(ctx, p) },
			"PendingKeys":       func() error { _, err := db.PendingKeys(ctx, 0); return err },
			"FinishKeyDelete":   func() error { return db.FinishKeyDelete(ctx, "acme", "cust-1") },
			"NoteUse":           func() error { return db.NoteUse(ctx, seen) },
			"NoteAuthFailure":   func() error { _, err := db.NoteAuthFailure(ctx, seen); return err },
			"NoteAuthSuccess":   func() error { _, err := db.NoteAuthSuccess(ctx, seen); return err },
			"UseSession":        func() error { return db.UseSession(ctx, "s", s.now) },
			"SessionUsed":       func() error { _, err := db.SessionUsed(ctx, "s"); return err },
			"FreeSession":       func() error { return db.FreeSession(ctx, "s") },
			"SessionKeys":       func() error { _, err := db.SessionKeys(ctx); return err },
			"AddSessionKey":     func() error { return db.AddSessionKey(ctx, 0, time.Hour) },
			"PruneSessions":     func() error { return db.PruneSessions(ctx) },
			"LastChange":        func() error { _, err := db.LastChange(ctx); return err },
			"Changes":           func() error { _, err := db.Changes(ctx, 0, 1); return err },
		}
		for name, call := range calls {
			err := call()
			want(t, name, err, ErrUnavailable)
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s does not tell that its context ended: %v", name, err)
			}
		}
		same(t, "the connection", mustRead(t, db, "acme", "cust-1"), c)
		if n := last(t, db); n != 2 {
			t.Errorf("the last change is %d", n)
		}
		must(t, db.Close())
		ctx = t.Context()
		for name, call := range calls {
			want(t, name+" when closed", call(), ErrUnavailable)
		}
	})
}
