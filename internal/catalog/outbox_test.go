package catalog

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"
)

// heardSite is a site where somebody sends webhooks and tells of alerts.
func heardSite(t *testing.T, s *site) *DB {
	t.Helper()
	db := s.open()
	must(t, db.SendsWebhooks(t.Context()))
	if leads, err := db.LeadAlerts(t.Context(), "node-1"); err != nil || !leads {
		t.Fatal(leads, err)
	}
	return db
}

// mustEnter enters a key as the next version.
func mustEnter(t *testing.T, db *DB, integration, id string) *Connection {
	t.Helper()
	c, err := db.Connection(t.Context(), integration, id)
	if err != nil {
		c = aConnection(integration, id)
	}
	version := c.KeyVersion + 1
	p := &PendingKey{Integration: integration, ID: id, Version: c.KeyVersion, Row: c}
	must(t, db.BeginKeyWrite(t.Context(), p))
	lost, row := *p, *c // whose answer is lost
	lost.Row = &row
	must(t, db.FinishKeyWrite(t.Context(), &lost, version))
	must(t, db.FinishKeyWrite(t.Context(), p, version))
	return p.Row
}

func mustClaim(t *testing.T, db *DB) []*Message {
	t.Helper()
	all, err := db.ClaimMessages(t.Context(), 1000, time.Minute)
	must(t, err)
	return all
}

// said is what messages say, in order.
func said(all []*Message) (list []string) {
	for _, m := range all {
		list = append(list, fmt.Sprintf("%s/%s %s %t%s v%d", m.Integration, m.Connection, m.Operation, m.Success, m.Reason, m.KeyVersion))
	}
	return list
}

func TestEachChangeThatMakesADifferenceIsAMessage(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := heardSite(t, s)
		mustIntegrate(t, db, "acme")
		i := mustReadIntegration(t, db, "acme")
		i.ForwardWebhooks = true
		must(t, db.UpdateIntegration(t.Context(), "acme", i))
		mustEnter(t, db, "acme", "cust-1")
		mustEnter(t, db, "acme", "cust-1")
		mustEnter(t, db, "configured", "cust-2") // of the Caddy config
		s.pass(time.Second)
		at := func(version int) []Sighting {
			return []Sighting{{Integration: "acme", ID: "cust-1", Version: version, At: s.clock()}, {Integration: "acme", ID: "gone", Version: 1, At: s.clock()}}
		}
		for range 3 { // the first makes a difference
			_, err := db.NoteAuthFailure(t.Context(), at(2))
			must(t, err)
		}
		for range 3 {
			_, err := db.NoteAuthSuccess(t.Context(), at(2))
			must(t, err)
		}
		_, err := db.DeleteConnection(t.Context(), "acme", "cust-1")
		must(t, err)
		same(t, "the messages", said(mustClaim(t, db)), []string{
			"acme/cust-1 creation true v1", "acme/cust-1 override true v2", "configured/cust-2 creation true v1",
			"acme/cust-1 refresh falseauth_failed v2", "acme/cust-1 refresh true v2", "acme/cust-1 deletion true v2",
		})
	})
}

func mustReadIntegration(t *testing.T, db *DB, key string) *Integration {
	t.Helper()
	i, err := db.Integration(t.Context(), key)
	must(t, err)
	return i
}

func TestAMessageHoldsWhatWasThereThen(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := heardSite(t, s)
		c := aConnection("configured", "cust-1")
		c.Tags, c.EndUser, c.WebhookURLOverride = map[string]string{"plan": "free"}, &EndUser{ID: "u", Organization: &Organization{ID: "o"}}, "https://own.example"
		p := &PendingKey{Integration: c.Integration, ID: c.ID, Row: c}
		must(t, db.BeginKeyWrite(t.Context(), p))
		must(t, db.FinishKeyWrite(t.Context(), p, 1))
		later := mustRead(t, db, "configured", "cust-1")
		later.Tags, later.EndUser, later.WebhookURLOverride = nil, nil, ""
		must(t, db.UpdateConnection(t.Context(), later))
		m := mustClaim(t, db)[0]
		same(t, "the message", *m, Message{
			ID: m.ID, Integration: "configured", Connection: "cust-1", Operation: OperationCreation, Success: true, KeyVersion: 1, Provider: "private-api-generic",
			Tags: map[string]string{"plan": "free"}, EndUser: &EndUser{ID: "u", Organization: &Organization{ID: "o"}}, URL: "https://own.example",
			MadeAt: s.now.Truncate(time.Millisecond), Tries: 1,
		})
	})
}

func TestWhatNobodySendsOrWantsIsNotWritten(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		mustEnter(t, db, "configured", "before")
		must(t, db.SendsWebhooks(t.Context()))
		mustIntegrate(t, db, "silent")
		mustEnter(t, db, "silent", "unwanted")
		mustEnter(t, db, "configured", "wanted")
		s.pass(heardFor - time.Minute) // a restart may take a while
		mustEnter(t, db, "configured", "late")
		s.pass(2 * time.Minute)
		mustEnter(t, db, "configured", "too late")
		same(t, "the messages", said(mustClaim(t, db)), []string{"configured/wanted creation true v1", "configured/late creation true v1"})
	})
}

func TestAMessageIsOneNodesAtATime(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		a := heardSite(t, s)
		b := s.open()
		const n = 60
		for i := range n {
			mustEnter(t, a, "configured", fmt.Sprint("cust-", i))
		}
		var (
			mu      sync.Mutex
			claimed = map[string]int{}
			wg      sync.WaitGroup
		)
		for _, db := range []*DB{a, b, a, b} {
			wg.Go(func() {
				for {
					all, err := db.ClaimMessages(t.Context(), 7, time.Minute)
					if err != nil {
						t.Error(err)
						return
					}
					if len(all) == 0 {
						return
					}
					mu.Lock()
					for _, m := range all {
						claimed[m.ID]++
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		for id, times := range claimed {
			if times != 1 {
				t.Errorf("%s was claimed %d times", id, times)
			}
		}
		if len(claimed) != n {
			t.Errorf("%d were claimed, want %d", len(claimed), n)
		}
	})
}

func TestWhatIsDueLongestIsClaimedFirst(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := heardSite(t, s)
		for _, id := range []string{"cust-2", "cust-1", "cust-3"} {
			mustEnter(t, db, "configured", id)
			s.pass(time.Second)
		}
		for _, want := range []string{"cust-2", "cust-1", "cust-3"} {
			all, err := db.ClaimMessages(t.Context(), 1, time.Minute)
			if must(t, err); len(all) != 1 || all[0].Connection != want {
				t.Errorf("claimed %+v, want that of %s", all, want)
			}
		}
	})
}

// Who waited for another's claim would be given the same, or claim after him.
func TestAClaimPassesOverWhatAnotherNodeIsClaiming(t *testing.T) {
	s := newSite(t, "postgres")
	a := heardSite(t, s)
	mustEnter(t, a, "configured", "cust-1")
	s.pass(time.Second)
	mustEnter(t, a, "configured", "cust-2")
	tx, err := a.shared.sql.BeginTx(t.Context(), nil)
	must(t, err)
	defer tx.Rollback() //nolint:errcheck // nothing to keep
	_, err = tx.ExecContext(t.Context(), "UPDATE outbox SET tries = tries + 1 WHERE connection = 'cust-1'")
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	all, err := s.open().ClaimMessages(ctx, 1, time.Minute)
	if err != nil || len(all) != 1 || all[0].Connection != "cust-2" {
		t.Errorf("claimed %v, %v", all, err)
	}
}

func TestAClaimEndsWithItsLease(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		a := heardSite(t, s)
		b := s.open()
		mustEnter(t, a, "configured", "cust-1")
		slow := mustClaim(t, a)[0]
		s.pass(59 * time.Second)
		if len(mustClaim(t, b)) != 0 {
			t.Fatal("it was claimed twice at once")
		}
		waiting, due, err := b.NextMessage(t.Context())
		if must(t, err); waiting != 1 || due.Before(s.now) {
			t.Errorf("%d wait, until %s", waiting, due)
		}
		s.pass(2 * time.Second)
		again := mustClaim(t, b)[0]
		if again.ID != slow.ID || again.Tries != 2 {
			t.Errorf("claimed %+v after %+v", again, slow)
		}
		// Who was too slow has no say any longer.
		must(t, a.DropMessage(t.Context(), slow))
		must(t, a.PostponeMessage(t.Context(), slow, s.now))
		if len(mustClaim(t, a)) != 0 {
			t.Error("who was too slow gave it away")
		}
		must(t, b.PostponeMessage(t.Context(), again, s.now.Add(time.Hour)))
		s.pass(59 * time.Minute)
		if len(mustClaim(t, a)) != 0 {
			t.Error("it was claimed before it was due")
		}
		s.pass(2 * time.Minute)
		last := mustClaim(t, a)
		must(t, a.DropMessage(t.Context(), last[0]))
		if waiting, _, err = a.NextMessage(t.Context()); err != nil || waiting != 0 {
			t.Errorf("%d wait, %v", waiting, err)
		}
	})
}

func TestTheOutboxIsBounded(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := heardSite(t, s)
		bulk(t, db, outboxLimit-1, `
			INSERT INTO outbox (id, integration, connection, operation, success, reason, key_version, provider, tags, end_user, url, made_at, due_at, tries)
			SELECT 'msg_' || i, 'x', 'x', 'creation', true, '', 1, '', '', '', '', 0, 0, 0 FROM n`)
		mustEnter(t, db, "configured", "fits")
		if db.Crowded() != 0 {
			t.Error("what fitted was counted")
		}
		mustEnter(t, db, "configured", "does not")
		waiting, _, err := db.NextMessage(t.Context())
		if must(t, err); waiting != outboxLimit || db.Crowded() != 1 {
			t.Errorf("%d wait, %d were left out", waiting, db.Crowded())
		}
	})
}
