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

func TestAnOutageTakesNothingAway(t *testing.T) {
	started(t, Options{MaxConnections: 1}, func(r *rig) {
		r.put(aRow(other, "https://a"))
		held := r.want(one, "https://a")
		r.away()
		for range 24 {
			r.pass(time.Hour)
			began := time.Now()
			if r.want(one, "https://a") != held {
				t.Error("got another row")
			}
			r.wantIntegration("https://a")
			r.fails(other, catalog.ErrUnavailable)
			if d := time.Since(began); d != 0 {
				t.Fatalf("waited %s for a catalog known to be away", d)
			}
		}
		r.wantReads(other, 0)
		r.wantKinds(CatalogAway)
		if e := r.events[0]; !errors.Is(e.Err, catalog.ErrUnavailable) {
			t.Errorf("told %v", e.Err)
		}
		if o := r.dir.Status().Outage; o == nil || time.Since(o.Since) < 24*time.Hour || o.Err == nil {
			t.Errorf("got the outage %+v", o)
		}
		r.set(func() { r.err = nil })
		r.pass(awayBeat)
		r.want(other, "https://a")
		r.wantKinds(CatalogAway, CatalogBack)
		if o := r.dir.Status().Outage; o != nil {
			t.Errorf("got the outage %+v", o)
		}
	})
}

func TestAReadThatFailsMakesSureWhetherTheCatalogIsAway(t *testing.T) {
	started(t, Options{}, func(r *rig) {
		r.pass(beat - time.Second)
		r.set(func() { r.err = errDown })
		r.fails(one, catalog.ErrUnavailable)
		synctest.Wait() // no time passes
		r.wantKinds(CatalogAway)
	})
	started(t, Options{}, func(r *rig) {
		r.set(func() { r.bad[one] = errors.New("one row is broken") })
		for range 10 {
			r.fails(one, catalog.ErrUnavailable)
			r.pass(time.Second)
		}
		r.wantKinds()
		r.put(aRow(other, "https://a"))
		r.want(other, "https://a")
	})
}

func TestACatalogThatDoesNotAnswerIsAway(t *testing.T) {
	started(t, Options{}, func(r *rig) {
		r.set(func() { r.mute, r.delay = true, time.Hour })
		r.fails(one, catalog.ErrUnavailable)
		r.pass(readTimeout)
		r.wantKinds(CatalogAway)
		if err := r.dir.Status().Outage.Err; !errors.Is(err, catalog.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
	})
}

func TestADirectoryStartsWithoutItsCatalog(t *testing.T) {
	inTime(t, Options{}, func(r *rig) {
		r.set(func() { r.err = errDown })
		r.dir.Start(r.Context())
		synctest.Wait() // no time passes
		r.wantKinds(CatalogAway)
		ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
		defer cancel()
		err := r.dir.Ready(ctx)
		if !errors.Is(err, catalog.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "dialling") {
			t.Errorf("got %v", err)
		}
		r.fails(one, catalog.ErrUnavailable)
		if s := r.dir.Status(); s.Loaded {
			t.Error("it says that it has loaded")
		}
		r.set(func() { r.err = nil })
		began := time.Now()
		if err := r.dir.Ready(r.Context()); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d > awayBeat {
			t.Errorf("loaded %s after the catalog's return", d)
		}
		r.wantIntegration("https://a")
		r.wantKinds(CatalogAway, CatalogBack)
		if s := r.dir.Status(); !s.Loaded || s.Integrations != 1 {
			t.Errorf("got %+v", s)
		}
	})
}

func TestALoadThatFailsOnceIsTriedAgainSoon(t *testing.T) {
	inTime(t, Options{}, func(r *rig) {
		r.set(func() { r.err = errDown })
		began := time.Now()
		go func() {
			time.Sleep(firstPause / 2) // fake
			r.set(func() { r.err = nil })
		}()
		r.dir.Start(r.Context())
		if err := r.dir.Ready(r.Context()); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d > firstPause {
			t.Errorf("loaded after %s", d)
		}
	})
}

func TestIntegrationsThatCannotBeListedAreTriedAgain(t *testing.T) {
	inTime(t, Options{}, func(r *rig) {
		r.set(func() { r.bad[key{}] = errDown }) // and all else works
		r.dir.Start(r.Context())
		r.pass(time.Hour)
		r.wantKinds()
		r.set(func() { delete(r.bad, key{}) })
		began := time.Now()
		if err := r.dir.Ready(r.Context()); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d > lastPause {
			t.Errorf("loaded after %s", d)
		}
	})
}

func TestAfterAnOutageChangesAreSeenWithinTwoSeconds(t *testing.T) {
	started(t, Options{}, func(r *rig) {
		r.want(one, "https://a")
		r.put(aRow(other, "https://a"))
		synctest.Wait()
		r.want(other, "https://a")
		r.put(aRow(other, "https://b"))
		r.away()
		r.put(aRow(one, "https://b"))
		r.putIntegration(catalog.Integration{UniqueKey: "acme", BaseURL: "https://b"})
		r.pass(4500 * time.Millisecond) // the watcher has just gone to sleep for 5 s
		r.want(one, "https://a")
		r.set(func() { r.err = nil })
		r.pass(2 * awayBeat)
		r.wantReads(other, 2) // its change was heard before
		r.want(one, "https://b")
		r.wantIntegration("https://b")
	})
}

func TestAChangedRowThatCannotBeReadStaysInUse(t *testing.T) {
	started(t, Options{}, func(r *rig) {
		r.want(one, "https://a")
		r.set(func() { r.bad[one], r.bad[acme] = errDown, errDown })
		r.put(aRow(one, "https://b"))
		r.putIntegration(catalog.Integration{UniqueKey: "acme", BaseURL: "https://b"})
		synctest.Wait() // heard of
		r.away()        // and away before it was read
		r.want(one, "https://a")
		r.wantIntegration("https://a")
		r.set(func() { r.err, r.bad = nil, map[key]error{} })
		r.pass(awayBeat)
		r.wantIntegration("https://b")
		r.want(one, "https://b")
	})
}

func TestAConnectionThatComesBesideAnOutagePushesNoneOut(t *testing.T) {
	started(t, Options{MaxConnections: 2}, func(r *rig) {
		keys := make([]key, 4)
		for i := range keys {
			keys[i] = key{"acme", fmt.Sprint("c", i)}
			r.put(aRow(keys[i], "https://a"))
		}
		synctest.Wait()
		r.want(keys[0], "https://a")
		r.want(keys[1], "https://a")
		r.set(func() { r.delay = time.Second })
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.want(keys[2], "https://a") // read already, on its way
		}()
		synctest.Wait()
		r.set(func() { r.err, r.delay = errDown, 0 })
		r.dir.suspect()
		<-done
		for _, k := range keys[:3] {
			r.want(k, "https://a")
		}
		r.set(func() { r.err = nil })
		r.pass(awayBeat)
		r.want(keys[3], "https://a")
		if n := r.dir.Status().Connections; n != 2 {
			t.Errorf("%d connections are held", n)
		}
	})
}

func TestAClosedDirectoryServesWhatItHolds(t *testing.T) {
	started(t, Options{}, func(r *rig) {
		held := r.want(one, "https://a")
		if err := r.dir.Close(r.Context()); err != nil {
			t.Fatal(err)
		}
		if r.want(one, "https://a") != held {
			t.Error("got another row")
		}
		r.wantIntegration("https://a")
		r.fails(other, catalog.ErrUnavailable)
		if err := r.dir.Refresh(r.Context(), one.integration, one.id); !errors.Is(err, catalog.ErrUnavailable) {
			t.Errorf("a refresh got %v", err)
		}
		r.want(one, "https://a")
		r.wantReads(one, 1)
		r.dir.Used(held)
		r.dir.AuthFailed(held, 1)
	})
}

func TestADirectoryClosedBeforeItLoadedIsNotReady(t *testing.T) {
	inTime(t, Options{}, func(r *rig) {
		go func() { _ = r.dir.Close(r.Context()) }()
		if err := r.dir.Ready(r.Context()); !errors.Is(err, catalog.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
		r.dir.Start(r.Context()) // begins nothing
		r.dir.Start(r.Context())
		synctest.Wait()
		if r.asked != 0 {
			t.Error("a closed directory asks the catalog")
		}
	})
}

func TestTheEndOfItsContextEndsTheBackgroundWork(t *testing.T) {
	inTime(t, Options{}, func(r *rig) {
		ctx, cancel := context.WithCancel(r.Context())
		r.dir.Start(ctx)
		r.dir.Start(r.Context()) // once
		if err := r.dir.Ready(ctx); err != nil {
			t.Fatal(err)
		}
		cancel()
		synctest.Wait()
		n := r.asked
		r.pass(time.Hour)
		if r.asked != n {
			t.Error("it still asks the catalog")
		}
	})
}
