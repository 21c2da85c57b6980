package directory

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

func TestUsesAreWrittenOnceAMinute(t *testing.T) {
	started(t, Options{FlushEvery: 10 * time.Second}, func(r *rig) {
		r.put(aRow(other, "https://a"))
		synctest.Wait()
		c, o := r.want(one, "https://a"), r.want(other, "https://a")
		if !c.LastUsed().IsZero() {
			t.Errorf("used at %s", c.LastUsed())
		}
		began := time.Now()
		r.dir.Used(o)
		for range 90 {
			r.dir.Used(c)
			r.dir.Used(c)
			r.pass(time.Second)
		}
		if len(r.uses) != 2 || len(r.uses[0]) != 2 || len(r.uses[1]) != 1 {
			t.Fatalf("wrote %v", r.uses)
		}
		for _, s := range append(r.uses[0], r.uses[1]...) {
			if s.Integration != "acme" || s.ID != one.id && s.ID != other.id {
				t.Errorf("wrote %+v", s)
			}
		}
		if s := r.uses[1][0]; s.ID != one.id || !s.At.Equal(began.Add(time.Minute)) {
			t.Errorf("wrote %+v, want the use of a minute later", s)
		}
		if got := c.LastUsed(); !got.Equal(began.Add(time.Minute)) {
			t.Errorf("used at %s", got)
		}
		if r.want(one, "https://a") != c {
			t.Error("a use made another row")
		}
		r.wantReads(one, 1)
	})
}

func TestWhatAnotherNodeHasNotedIsNotNotedAgain(t *testing.T) {
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		ago  time.Duration
		want int
	}{
		"a moment ago":         {10 * time.Second, 0},
		"long ago":             {time.Minute, 1},
		"by a clock before us": {-time.Hour, 1},
	} {
		t.Run(name, func(t *testing.T) {
			started(t, Options{Now: func() time.Time { return now }}, func(r *rig) {
				row := aRow(one, "https://a")
				row.LastUsedAt = now.Add(-c.ago)
				r.put(row)
				synctest.Wait()
				held := r.want(one, "https://a")
				if !held.LastUsed().Equal(row.LastUsedAt) {
					t.Errorf("used at %s", held.LastUsed())
				}
				r.dir.Used(held)
				r.pass(defaultFlush)
				if len(r.uses) != c.want {
					t.Errorf("wrote %v", r.uses)
				}
			})
		})
	}
}

func TestOnlyWhatAnUpstreamSaysAnewIsWritten(t *testing.T) {
	started(t, Options{}, func(r *rig) {
		c := r.want(one, "https://a")
		r.dir.AuthAccepted(c, 1)
		r.pass(time.Minute)
		for range 100 {
			r.dir.AuthFailed(c, 1)
		}
		r.pass(time.Second)
		r.wantVerdicts(1, 0)
		r.wantKinds(ConnectionRefused)
		if s := r.events[0].Sighting; s.ID != one.id || s.Integration != "acme" || s.Version != 1 {
			t.Errorf("told %+v", s)
		}
		c = r.want(one, "https://a")
		if c.AuthFailedVersion != 1 {
			t.Errorf("got %+v, the refusal is not in the row", c.Connection)
		}
		r.dir.AuthFailed(c, 1)
		r.pass(time.Minute)
		r.wantVerdicts(1, 0)
		for range 100 {
			r.dir.AuthAccepted(c, 2)
		}
		r.pass(time.Second)
		r.wantVerdicts(1, 1)
		r.wantKinds(ConnectionRefused, ConnectionAccepted)
		if c = r.want(one, "https://a"); c.AuthFailedVersion != 0 {
			t.Errorf("got %+v, the refusal is still in the row", c.Connection)
		}
		r.dir.AuthFailed(c, 1) // late
		r.pass(time.Minute)
		r.wantVerdicts(1, 1)
		r.dir.AuthFailed(c, 2) // no longer
		r.pass(time.Second)
		r.wantVerdicts(2, 1)
		r.dir.AuthAccepted(r.want(one, "https://a"), 1) // late
		r.pass(time.Minute)
		r.wantVerdicts(2, 1)
	})
}

func (r *rig) wantVerdicts(refused, accepted int) {
	r.Helper()
	if len(r.refused) != refused || len(r.taken) != accepted {
		r.Fatalf("wrote the refusals %v and %v", r.refused, r.taken)
	}
}

func TestWhatAnotherNodeSawIsKnownHere(t *testing.T) {
	started(t, Options{}, func(r *rig) {
		c := r.want(one, "https://a")
		row := aRow(one, "https://a")
		row.AuthFailedVersion = 1
		r.put(row)
		synctest.Wait()
		r.dir.AuthFailed(c, 1) // of a request that found the row before
		r.pass(time.Minute)
		r.wantVerdicts(0, 0)
		r.dir.AuthAccepted(c, 1)
		r.pass(time.Second)
		r.wantVerdicts(0, 1)
	})
}

func TestThatAnUnverifiedKeyIsTakenIsWrittenOnce(t *testing.T) {
	started(t, Options{}, func(r *rig) {
		row := aRow(one, "https://a")
		row.KeyVersion, row.Unverified = 2, true
		r.put(row)
		synctest.Wait()
		c := r.want(one, "https://a")
		r.dir.AuthAccepted(c, 1) // the key before
		r.pass(time.Minute)
		r.wantVerdicts(0, 0)
		for range 100 {
			r.dir.AuthAccepted(c, 2)
		}
		r.pass(time.Second)
		r.wantVerdicts(0, 1)
		if c = r.want(one, "https://a"); c.Unverified {
			t.Error("it is unverified in the row")
		}
		r.dir.AuthAccepted(c, 2)
		r.pass(time.Minute)
		r.wantVerdicts(0, 1)
	})
}

func TestVersionsThatBeginAnewAreJudgedAnew(t *testing.T) {
	started(t, Options{}, func(r *rig) {
		c := r.want(one, "https://a")
		r.dir.AuthAccepted(c, 7)
		row := aRow(one, "https://a")
		row.KeyVersion = 2
		r.put(row)
		synctest.Wait()
		r.dir.AuthFailed(c, 2)
		r.pass(time.Second)
		r.wantVerdicts(1, 0)
	})
}

func TestTheLastVerdictCounts(t *testing.T) {
	started(t, Options{}, func(r *rig) {
		c := r.want(one, "https://a")
		r.dir.AuthFailed(c, 1)
		r.dir.AuthAccepted(c, 1)
		r.pass(time.Second)
		r.wantKinds() // the catalog never knew
		if c := r.want(one, "https://a"); c.AuthFailedVersion != 0 {
			t.Errorf("got %+v", c.Connection)
		}
	})
}

func TestARowReadMeanwhileDoesNotUndoAVerdict(t *testing.T) {
	started(t, Options{}, func(r *rig) {
		c := r.want(one, "https://a")
		r.dir.AuthFailed(c, 1)
		r.put(aRow(one, "https://b")) // says nothing of a refusal
		synctest.Wait()
		r.dir.AuthAccepted(c, 1) // ends the refusal that is still to be written
		r.pass(time.Second)
		r.wantVerdicts(0, 1)
	})
}

func TestManyVerdictsAreFewWrites(t *testing.T) {
	started(t, Options{}, func(r *rig) {
		const n = 2*chunk + 1
		for i := range n {
			k := key{"acme", fmt.Sprint("c", i)}
			r.put(aRow(k, "https://a"))
			synctest.Wait()
			c := r.want(k, "https://a")
			r.dir.AuthFailed(c, 1)
			r.dir.Used(c)
		}
		r.pass(defaultFlush)
		for name, writes := range map[string][][]catalog.Sighting{"refusals": r.refused, "uses": r.uses} {
			sum := 0
			for _, w := range writes {
				sum += len(w)
				if len(w) > chunk {
					t.Errorf("%d %s in one write", len(w), name)
				}
			}
			if sum != n || len(writes) != 3 {
				t.Errorf("%d writes with %d %s", len(writes), sum, name)
			}
		}
		if s := r.dir.Status(); s.Unwritten != 0 || s.Dropped != 0 {
			t.Errorf("got %+v", s)
		}
	})
}

func TestNotesOutliveAnOutage(t *testing.T) {
	started(t, Options{MaxConnections: 3}, func(r *rig) {
		held := make([]*Connection, 4)
		for i := range held {
			k := key{"acme", fmt.Sprint("c", i)}
			r.put(aRow(k, "https://a"))
			synctest.Wait()
			held[i] = r.want(k, "https://a")
		}
		r.set(func() { r.err = errDown })
		r.dir.Used(held[0])
		r.dir.AuthFailed(held[0], 1)
		r.pass(time.Hour) // tried, and kept
		for _, c := range held[1:] {
			r.dir.Used(c)
			r.dir.AuthFailed(c, 1)
		}
		used := time.Now()
		r.pass(time.Hour)
		r.wantKinds(CatalogAway)
		if s := r.dir.Status(); s.Unwritten != 6 || s.Dropped != 2 {
			t.Errorf("got %+v", s)
		}
		r.set(func() { r.err = nil })
		r.pass(2 * time.Second)
		r.wantVerdicts(1, 0)
		r.wantKinds(CatalogAway, CatalogBack, ConnectionRefused, ConnectionRefused, ConnectionRefused)
		r.pass(defaultFlush)
		if len(r.uses) != 1 || len(r.uses[0]) != 3 {
			t.Fatalf("wrote %v", r.uses)
		}
		for _, s := range r.uses[0] {
			if s.ID != held[0].ID && !s.At.Equal(used) {
				t.Errorf("%s was used at %s", s.ID, s.At)
			}
		}
		r.dir.AuthFailed(held[3], 1) // the one that was dropped
		r.pass(time.Second)
		r.wantVerdicts(2, 0)
	})
}

func TestAFailedWriteGivesWayToWhatIsNewer(t *testing.T) {
	started(t, Options{}, func(r *rig) {
		c := r.want(one, "https://a")
		r.dir.AuthFailed(c, 1)
		_, verdicts := r.dir.notes.take(true)
		r.dir.AuthAccepted(c, 1)
		r.dir.notes.giveBack(nil, verdicts)
		r.pass(time.Second)
		r.wantVerdicts(0, 1)
	})
}

func TestCloseWritesWhatIsNoted(t *testing.T) {
	started(t, Options{}, func(r *rig) {
		c := r.want(one, "https://a")
		r.dir.Used(c)
		r.dir.AuthFailed(c, 1)
		if err := r.dir.Close(r.Context()); err != nil {
			t.Fatal(err)
		}
		r.wantVerdicts(1, 0)
		if len(r.uses) != 1 {
			t.Errorf("wrote %v", r.uses)
		}
		r.dir.AuthAccepted(c, 1)
		if err := r.dir.Close(r.Context()); err != nil { // again
			t.Error(err)
		}
		r.wantVerdicts(1, 0)
	})
}

func TestCloseSaysWhatItCouldNotWrite(t *testing.T) {
	started(t, Options{}, func(r *rig) {
		r.dir.Used(r.want(one, "https://a"))
		if err := r.dir.Close(ended(r.T)); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if s := r.dir.Status(); s.Unwritten != 1 {
			t.Errorf("got %+v", s)
		}
	})
}
