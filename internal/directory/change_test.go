package directory

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

func TestAChangeIsUsedAtOnceAndDropsTheMemo(t *testing.T) {
	started(t, Options{}, func(r *rig) {
		c, i := r.want(one, "https://a"), r.wantIntegration("https://a")
		c.Memo.Store("made of the row")
		i.Memo.Store("made of the integration")
		if r.want(one, "https://a").Memo.Load() != "made of the row" || r.wantIntegration("https://a").Memo.Load() != "made of the integration" {
			t.Error("the memo was not kept")
		}
		r.put(aRow(one, "https://b"))
		r.putIntegration(catalog.Integration{UniqueKey: "acme", BaseURL: "https://b"})
		synctest.Wait() // no time passes
		if r.want(one, "https://b").Memo.Load() != nil || r.wantIntegration("https://b").Memo.Load() != nil {
			t.Error("the memo outlived the row")
		}
		if c.Origin != "https://a" || i.BaseURL != "https://a" {
			t.Error("a published row was changed")
		}
		r.wantReads(one, 2) // in the background
	})
}

func TestAMemoOutlivesAChangeOfNothing(t *testing.T) {
	started(t, Options{}, func(r *rig) {
		c, i := r.want(one, "https://a"), r.wantIntegration("https://a")
		r.set(func() {
			row := r.connections[one]
			row.LastUsedAt = time.Now()
			r.connections[one] = row
			r.announce(one)
			r.announce(acme)
		})
		synctest.Wait()
		r.wantReads(one, 2)
		r.wantReads(acme, 1)
		if r.want(one, "https://a") != c || r.wantIntegration("https://a") != i {
			t.Error("got another row, nothing of it was changed")
		}
	})
}

func TestWhatIsDeletedIsGoneAtOnce(t *testing.T) {
	started(t, Options{}, func(r *rig) {
		r.put(aRow(other, "https://a"))
		r.want(one, "https://a")
		r.want(other, "https://a")
		r.remove(one)
		r.removeIntegration("acme")
		synctest.Wait()
		if _, ok := r.dir.Integration("acme"); ok {
			t.Error("the integration is still found")
		}
		r.fails(one, catalog.ErrNotFound)
		r.want(other, "https://a") // took the place of the first
		for c := range r.dir.All {
			if c.ID != other.id {
				t.Errorf("%s is still held", c.ID)
			}
		}
	})
}

func TestARequestReadsAChangedRowBeforeItsTurn(t *testing.T) {
	started(t, Options{}, func(r *rig) {
		const n = 100
		keys := make([]key, n)
		for i := range keys {
			keys[i] = key{"acme", fmt.Sprint("c", i)}
			r.put(aRow(keys[i], "https://a"))
			synctest.Wait()
			r.want(keys[i], "https://a")
		}
		r.set(func() { r.delay = 100 * time.Millisecond })
		for _, k := range keys {
			r.put(aRow(k, "https://b"))
		}
		r.putIntegration(catalog.Integration{UniqueKey: "acme", BaseURL: "https://b"})
		synctest.Wait()
		if r.flying > background {
			t.Errorf("%d reads in the background at once", r.flying)
		}
		began := time.Now()
		r.want(keys[n-1], "https://b")
		if d := time.Since(began); d != 100*time.Millisecond {
			t.Errorf("waited %s", d)
		}
		r.pass(100 * time.Millisecond)
		r.wantIntegration("https://b") // before the other connections
		r.pass(n / background * 100 * time.Millisecond)
		for _, k := range keys {
			r.wantReads(k, 2)
		}
		if s := r.dir.Status(); s.Changed != 0 {
			t.Errorf("%d rows are still to be read", s.Changed)
		}
	})
}

func TestAReadOvertakenByAChangePublishesNothingOld(t *testing.T) {
	for name, change := range map[string]func(r *rig) error{
		"heard of": func(r *rig) error { r.put(aRow(one, "https://b")); return nil },
		"our own": func(r *rig) error {
			r.set(func() { r.deaf = true })
			r.put(aRow(one, "https://b"))
			return r.dir.Refresh(context.Background(), one.integration, one.id)
		},
	} {
		t.Run(name, func(t *testing.T) {
			started(t, Options{}, func(r *rig) {
				r.set(func() { r.delay = time.Second })
				done := make(chan struct{})
				go func() {
					defer close(done)
					r.want(one, "https://b") // not what the first read found
				}()
				r.pass(500 * time.Millisecond) // the old row is read, and on its way
				if err := change(r); err != nil {
					t.Error(err)
				}
				<-done
				r.want(one, "https://b")
				r.wantReads(one, 2)
			})
		})
	}
}

func TestAnAbsenceOvertakenByAChangeIsNotRemembered(t *testing.T) {
	started(t, Options{}, func(r *rig) {
		r.set(func() { r.delay = time.Second })
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.want(other, "https://a")
		}()
		r.pass(500 * time.Millisecond)
		r.put(aRow(other, "https://a"))
		<-done
	})
}

func TestAnIntegrationReadOvertakenByAChangePublishesNothingOld(t *testing.T) {
	started(t, Options{}, func(r *rig) {
		r.set(func() { r.delay = time.Second })
		r.putIntegration(catalog.Integration{UniqueKey: "acme", BaseURL: "https://b"})
		r.pass(500 * time.Millisecond)
		r.putIntegration(catalog.Integration{UniqueKey: "acme", BaseURL: "https://c"})
		r.pass(500 * time.Millisecond)
		r.wantIntegration("https://a") // https://b was overtaken
		r.pass(time.Second)
		r.wantIntegration("https://c")
	})
}

func TestReadsForRequestsDoNotStallThoseOfTheQueue(t *testing.T) {
	started(t, Options{}, func(r *rig) {
		r.want(one, "https://a")
		r.put(aRow(other, "https://a"))
		synctest.Wait()
		r.want(other, "https://a")
		for range 2 * background { // a change meets a read under way
			r.set(func() { r.delay = 0 })
			r.set(func() { r.deaf = true })
			r.put(aRow(one, "https://a"))
			r.set(func() { r.delay, r.deaf = time.Second, false })
			go func() { _ = r.dir.Refresh(r.Context(), one.integration, one.id) }()
			synctest.Wait()
			r.set(r.ring)
			r.pass(3 * time.Second)
		}
		r.put(aRow(other, "https://b"))
		r.pass(time.Second)
		n := r.readsOf(other)
		r.want(other, "https://b")
		r.wantReads(other, n) // nobody had to ask
	})
}

func TestALoadPublishesNothingOlderThanAChange(t *testing.T) {
	inTime(t, Options{}, func(r *rig) {
		r.set(func() { r.delay = time.Second })
		r.putIntegration(catalog.Integration{UniqueKey: "gone", BaseURL: "https://a"})
		r.dir.Start(r.Context())
		r.pass(500 * time.Millisecond) // the old rows are read, and on their way
		r.set(func() { r.delay, r.deaf = 0, true })
		r.putIntegration(catalog.Integration{UniqueKey: "acme", BaseURL: "https://b"})
		r.putIntegration(catalog.Integration{UniqueKey: "new", BaseURL: "https://b"})
		r.removeIntegration("gone")
		for _, k := range []string{"acme", "new", "gone"} {
			if err := r.dir.Refresh(r.Context(), k, ""); err != nil {
				t.Fatal(err)
			}
		}
		r.wantIntegration("https://b")
		if err := r.dir.Ready(r.Context()); err != nil {
			t.Fatal(err)
		}
		r.wantIntegration("https://b")
		if _, ok := r.dir.Integration("new"); !ok {
			t.Error("the load took a new integration out")
		}
		if _, ok := r.dir.Integration("gone"); ok {
			t.Error("the load brought a deleted integration back")
		}
	})
}

func TestWhatWasReadBeforeTheLoadIsReadAgain(t *testing.T) {
	inTime(t, Options{}, func(r *rig) {
		r.want(one, "https://a")
		r.fails(other, catalog.ErrNotFound)
		r.put(aRow(one, "https://b")) // nobody watches yet
		r.want(one, "https://b")
		r.put(aRow(one, "https://c"))
		r.put(aRow(other, "https://c"))
		r.dir.Start(r.Context())
		if err := r.dir.Ready(r.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		n := r.readsOf(one)
		r.want(one, "https://c")
		r.want(other, "https://c")
		r.wantReads(one, n)
	})
}

func TestAReadUnderWayWhenTheLoadBeginsPublishesNothingOld(t *testing.T) {
	inTime(t, Options{}, func(r *rig) {
		r.set(func() { r.delay = time.Second })
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.want(one, "https://b")
		}()
		r.pass(500 * time.Millisecond)
		r.put(aRow(one, "https://b")) // nobody watches yet
		r.dir.Start(r.Context())
		<-done
		r.want(one, "https://b")
	})
}

func TestARefreshReturnsWhenTheRowIsPublished(t *testing.T) {
	started(t, Options{}, func(r *rig) {
		r.want(one, "https://a")
		r.fails(other, catalog.ErrNotFound)
		r.set(func() { r.deaf = true })
		refresh := func(k key) {
			t.Helper()
			if err := r.dir.Refresh(r.Context(), k.integration, k.id); err != nil {
				t.Fatal(err)
			}
		}
		r.put(aRow(one, "https://b"))
		refresh(one)
		r.want(one, "https://b")
		r.put(aRow(other, "https://b"))
		refresh(other)
		r.want(other, "https://b")
		r.putIntegration(catalog.Integration{UniqueKey: "acme", BaseURL: "https://b"})
		refresh(acme)
		r.wantIntegration("https://b")
		r.remove(one)
		refresh(one)
		r.fails(one, catalog.ErrNotFound)
		r.wantReads(one, 3)
		r.removeIntegration("acme")
		refresh(acme)
		if _, ok := r.dir.Integration("acme"); ok {
			t.Error("the integration is still found")
		}
	})
}

func TestARefreshThatFailsIsMadeUpFor(t *testing.T) {
	started(t, Options{}, func(r *rig) {
		r.want(one, "https://a")
		r.set(func() { r.deaf = true })
		r.put(aRow(one, "https://b"))
		r.set(func() { r.bad[one], r.bad[acme] = errDown, errDown })
		r.putIntegration(catalog.Integration{UniqueKey: "acme", BaseURL: "https://b"})
		for _, k := range []key{one, acme} {
			err := r.dir.Refresh(r.Context(), k.integration, k.id)
			if !errors.Is(err, catalog.ErrUnavailable) || !strings.Contains(err.Error(), "refreshing") {
				t.Errorf("%v: got %v", k, err)
			}
		}
		if err := r.dir.Refresh(ended(r.T), one.integration, one.id); !errors.Is(err, context.Canceled) {
			t.Errorf("without time: got %v", err)
		}
		r.want(one, "https://a") // better than nothing
		r.pass(10 * time.Second)
		if n := r.readsOf(acme); n > 15 { // once a second
			t.Errorf("a row that cannot be read was tried %d times in ten seconds", n)
		}
		r.set(func() { r.bad = map[key]error{} })
		r.pass(awayBeat)
		n := r.readsOf(one)
		r.want(one, "https://b")
		r.wantReads(one, n) // nobody had to ask
		r.wantIntegration("https://b")
	})
}

func TestAfterLostChangesEverythingIsReadAnew(t *testing.T) {
	started(t, Options{}, func(r *rig) {
		r.putIntegration(catalog.Integration{UniqueKey: "same"})
		synctest.Wait()
		same, _ := r.dir.Integration("same")
		r.want(one, "https://a")
		r.fails(other, catalog.ErrNotFound)
		r.set(func() { r.deaf = true })
		r.put(aRow(one, "https://b"))
		r.put(aRow(other, "https://b"))
		r.putIntegration(catalog.Integration{UniqueKey: "acme", BaseURL: "https://b"})
		r.putIntegration(catalog.Integration{UniqueKey: "new"})
		r.set(func() {
			r.deaf, r.lost, r.delay = false, int64(len(r.changes)), time.Second
			r.ring()
		})
		r.pass(500 * time.Millisecond) // it is being loaded
		r.wantIntegration("https://a")
		r.pass(time.Second)
		r.wantIntegration("https://b")
		if _, ok := r.dir.Integration("new"); !ok {
			t.Error("a new integration is not found")
		}
		if i, _ := r.dir.Integration("same"); i != same {
			t.Error("an integration that is as it was lost its memo")
		}
		r.want(one, "https://b")
		r.want(other, "https://b")
		r.set(func() { r.delay = 0 })
		r.put(aRow(one, "https://c")) // watched again
		synctest.Wait()
		r.want(one, "https://c")
	})
}
