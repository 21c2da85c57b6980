package keyring

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

func TestThePreviousKeyIsGivenForTheTimeOfARotation(t *testing.T) {
	t.Run("the version held before", func(t *testing.T) {
		inTime(t, RingOptions{}, func(r *rig) {
			r.set(func() { r.docs[one] = doc(1, "k1") })
			e := r.view(Options{TTL: time.Minute}).Pin(one)
			k := r.want(e, "k1")
			if _, ok := e.Previous(context.Background(), ""); ok {
				t.Error("there is one before any rotation")
			}
			r.set(func() { r.docs[one] = doc(2, "k2") })
			r.pass(time.Minute)
			r.want(e, "k2")
			r.pass(8 * time.Minute) // refreshes keep it
			if p, ok := e.Previous(context.Background(), ""); !ok || p != k {
				t.Errorf("got %v, %v, want the first key", p, ok)
			}
			r.pass(3 * time.Minute)
			if _, ok := e.Previous(context.Background(), ""); ok {
				t.Error("it is kept for ever")
			}
			if r.ring.table.get(one).snap.Load().former != nil {
				t.Error("its memory is")
			}
		})
	})
	t.Run("the document's own", func(t *testing.T) {
		inTime(t, RingOptions{}, func(r *rig) {
			d := doc(2, "k2")
			d.Fields["previous"] = store.Field{Kind: "string", Value: secret.New("k1")}
			r.docs[one] = d
			e := r.view(Options{}).Pin(one)
			r.want(e, "k2")
			if p, ok := e.Previous(context.Background(), ""); !ok || p.Value.Reveal() != "k1" {
				t.Errorf("got %v, %v", p, ok)
			}
			r.pass(11 * time.Minute)
			if _, ok := e.Previous(context.Background(), ""); ok {
				t.Error("it is given for ever")
			}
		})
	})
}

// writtenAgo is a document whose version is that old by the store's clock.
func writtenAgo(age time.Duration, version int, value string) *store.Document {
	d := doc(version, value)
	d.CreatedAt = time.Now().Add(-age)
	return d
}

func (r *rig) previous(e *Entry) string {
	r.Helper()
	k, ok := e.Previous(context.Background(), "")
	if ok != (k != nil) {
		r.Fatalf("got %v and %v", k, ok)
	}
	if k == nil {
		return ""
	}
	return k.Value.Reveal()
}

func TestTheVersionBeforeTheFirstOneReadIsFetchedWhenItIsWanted(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.set(func() {
			r.docs[one] = writtenAgo(3*time.Minute, 7, "k7")
			r.former[one] = writtenAgo(time.Hour, 6, "k6")
		})
		e := r.view(Options{TTL: time.Minute}).Pin(one)
		newest := r.want(e, "k7")
		if n := len(r.askedFor()); n != 0 {
			t.Fatalf("read %d times before anybody wanted it", n)
		}
		r.set(func() { r.delay = 100 * time.Millisecond })
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				if k, ok := e.Previous(context.Background(), ""); !ok || k.Value.Reveal() != "k6" || k.Version != 6 {
					t.Errorf("got %v, %v", k, ok)
				}
			})
		}
		wg.Wait()
		r.pass(3 * time.Minute) // refreshes keep it
		if got := r.previous(e); got != "k6" || !slices.Equal(r.askedFor(), []int{7}) {
			t.Errorf("got %q after reads of the versions before %v", got, r.askedFor())
		}
		if k := r.want(e, "k7"); k != newest {
			t.Error("the newest key became another one")
		}
		r.pass(4*time.Minute + time.Second) // ten minutes after it was written
		if got := r.previous(e); got != "" {
			t.Errorf("got %q after the rotation", got)
		}
		r.pass(time.Minute)
		if r.ring.table.get(one).snap.Load().former != nil {
			t.Error("its memory is kept")
		}
	})
}

func TestWhenNoFormerVersionIsRead(t *testing.T) {
	for name, tc := range map[string]struct {
		newest *store.Document
		before func(r *rig)
	}{
		"long after the change":         {newest: &store.Document{Version: 2, CreatedAt: time.Unix(0, 0)}},
		"the first version":             {newest: &store.Document{Version: 1}},
		"a store without versions":      {newest: &store.Document{}},
		"while the store throttles":     {newest: &store.Document{Version: 2}, before: func(r *rig) { r.ring.breaker.pause(0, r.ring.now()+int64(time.Minute)) }},
		"a document with its own":       {newest: &store.Document{Version: 2, Fields: map[string]store.Field{"previous": {Kind: "string", Value: secret.New("own")}}}},
		"a store that is being closed":  {newest: &store.Document{Version: 2}, before: func(r *rig) { r.ring.Close(context.Background()) }},
		"a store that has none of them": {newest: &store.Document{Version: 2}, before: func(r *rig) { r.ring.store = struct{ store.Store }{r.fake} }},
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, RingOptions{}, func(r *rig) {
				fields := doc(0, "newest").Fields
				maps.Copy(fields, tc.newest.Fields)
				tc.newest.Fields = fields
				want := ""
				if _, ok := fields["previous"]; ok {
					want = "own"
				}
				r.set(func() { r.docs[one], r.former[one] = tc.newest, doc(1, "former") })
				e := r.view(Options{}).Pin(one)
				r.want(e, "newest")
				if tc.before != nil {
					tc.before(r)
				}
				began := time.Now()
				if got := r.previous(e); got != want || len(r.askedFor()) != 0 || time.Since(began) != 0 {
					t.Errorf("got %q after %d reads and %s", got, len(r.askedFor()), time.Since(began))
				}
			})
		})
	}
}

func TestAnAnswerAboutTheFormerVersionStandsAndAFailureDoesNot(t *testing.T) {
	for name, tc := range map[string]struct {
		former *store.Document
		err    error
		reads  int // in 25 seconds
	}{
		"none":               {reads: 1},
		"denied":             {err: store.ErrDenied, reads: 1},
		"of the same value":  {former: doc(1, "k2"), reads: 1},
		"with a bad value":   {former: doc(1, "line\nbreak"), reads: 1},
		"not a former one":   {former: doc(2, "nonsense"), reads: 1},
		"a pause":            {err: &store.ThrottledError{After: time.Second}, reads: 3},
		"an outage":          {err: store.ErrUnavailable, reads: 3},
		"a reader's mistake": {err: errPanic, reads: 3},
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, RingOptions{}, func(r *rig) {
				r.set(func() { r.docs[one] = doc(2, "k2") })
				e := r.view(Options{}).Pin(one)
				r.want(e, "k2")
				r.set(func() { r.former[one], r.err = tc.former, tc.err })
				for range 25 {
					if got := r.previous(e); got != "" {
						t.Fatalf("got %q", got)
					}
					r.pass(time.Second)
				}
				if n := len(r.askedFor()); n != tc.reads {
					t.Errorf("got %d reads in 25 s, want %d", n, tc.reads)
				}
				r.set(func() { r.former[one], r.err = doc(1, "k1"), nil })
				r.pass(5 * time.Second)
				if got := r.previous(e); (got == "k1") != (tc.reads > 1) {
					t.Errorf("got %q later", got)
				}
			})
		})
	}
}

func TestEachVersionHasItsOwnFormer(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.set(func() { r.docs[one] = doc(4, "k4"); r.delay = time.Second })
		v := r.view(Options{})
		e := v.Entry(one)
		r.want(e, "k4")
		late := make(chan string)
		r.set(func() { r.former[one] = doc(3, "k3") })
		go func() { late <- r.previous(e) }()
		r.pass(time.Millisecond)
		r.ring.Learn(one, doc(5, "k5")) // while the version before 4 is read
		if got := <-late; got != "k4" {
			t.Errorf("got %q, want the version that the newest replaced", got)
		}
		r.ring.Invalidate(one)
		r.want(e, "k4") // as a store that was restored has it
		if got := r.previous(e); got != "k3" || !slices.Equal(r.askedFor(), []int{4, 4}) {
			t.Errorf("got %q after reads of the versions before %v", got, r.askedFor())
		}
	})
}

func TestALateFormerVersionIsNotTakenForThatOfAnother(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.set(func() { r.docs[one] = doc(4, "k4") })
		e := r.view(Options{}).Entry(one)
		r.want(e, "k4")
		r.set(func() { r.former[one], r.delay = doc(3, "k3"), time.Second })
		go func() { _ = r.previous(e) }()
		r.pass(time.Millisecond)
		r.set(func() { r.docs[one], r.former[one], r.delay = doc(9, "k9"), doc(8, "k8"), 0 })
		r.ring.Invalidate(one)
		r.want(e, "k9")
		r.pass(time.Second)
		if got := r.previous(e); got != "k8" || !slices.Equal(r.askedFor(), []int{4, 9}) {
			t.Errorf("got %q after reads of the versions before %v", got, r.askedFor())
		}
		r.ring.Invalidate(one)
		r.want(e, "k9")
		r.set(func() { r.delay = time.Second })
		go func() { _ = r.previous(e) }()
		r.pass(time.Millisecond)
		r.ring.Invalidate(one)
		r.pass(time.Second) // it comes when nothing is held
		if st := e.Status(); st.State != "missing" {
			t.Errorf("got %s", st.State)
		}
	})
}

func TestADocumentsOwnPreviousKeyThatIsTheNewestIsPassedOver(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		d := doc(2, "k2")
		d.Fields["previous"] = d.Fields["apiKey"]
		r.set(func() { r.docs[one], r.former[one] = d, doc(1, "k1") })
		e := r.view(Options{}).Entry(one)
		r.want(e, "k2")
		if got := r.previous(e); got != "k1" {
			t.Errorf("got %q", got)
		}
	})
}

func TestAStoreWhoseClockIsAheadDoesNotLengthenARotation(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.set(func() { r.docs[one], r.former[one] = writtenAgo(-time.Hour, 2, "k2"), doc(1, "k1") })
		e := r.view(Options{}).Entry(one)
		r.want(e, "k2")
		if got := r.previous(e); got != "k1" {
			t.Errorf("got %q", got)
		}
		r.pass(10*time.Minute + time.Second)
		r.want(e, "k2")
		if got := r.previous(e); got != "" {
			t.Errorf("got %q after ten minutes", got)
		}
	})
}

func TestAFormerVersionIsReadAmongTheForegroundReads(t *testing.T) {
	inTime(t, RingOptions{Foreground: 1, ReadTimeout: 5 * time.Second}, func(r *rig) {
		r.set(func() { r.docs[one], r.former[one] = doc(2, "k2"), doc(1, "k1") })
		v := r.view(Options{})
		e := v.Entry(one)
		r.want(e, "k2")
		r.set(func() { r.delay = 3 * time.Second })
		go func() { _, _ = v.Entry(addr(1)).Key(context.Background(), "") }()
		r.pass(time.Millisecond)
		if got := r.previous(e); got != "" || len(r.askedFor()) != 0 {
			t.Errorf("got %q, %d reads beside the only one allowed", got, len(r.askedFor()))
		}
	})
}

func TestWhoLeavesDoesNotEndTheReadOfTheFormerVersion(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.set(func() { r.docs[one], r.former[one] = doc(2, "k2"), doc(1, "k1") })
		e := r.view(Options{}).Entry(one)
		r.want(e, "k2")
		r.set(func() { r.delay = time.Second })
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		if k, ok := e.Previous(ctx, ""); ok {
			t.Errorf("got %v", k)
		}
		r.pass(time.Second)
		if got := r.previous(e); got != "k1" || len(r.askedFor()) != 1 {
			t.Errorf("got %q after %d reads", got, len(r.askedFor()))
		}
	})
}

func TestFailuresToReadFormerVersionsOpenTheBreaker(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		v := r.view(Options{})
		es := make([]*Entry, 0, breakerLimit)
		for i := range breakerLimit {
			r.set(func() { r.docs[addr(i)] = doc(2, fmt.Sprint(i)) })
			es = append(es, v.Entry(addr(i)))
			r.want(es[i], fmt.Sprint(i))
		}
		r.set(func() { r.err = store.ErrUnavailable })
		for _, e := range es {
			_ = r.previous(e)
		}
		if !v.Health().Down {
			t.Error("the breaker is not open")
		}
	})
}

// What was learned has no time, and the store's own reading of it has. Both are
// one version: the former key is still known after it, and nothing changed.
func TestWhatWasLearnedIsNotAnotherVersionWhenItIsRead(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		e := r.view(Options{}).Entry(one)
		read := writtenAgo(0, 2, "k2")
		r.ring.Learn(one, doc(1, "k1"))
		r.ring.Learn(one, doc(2, "k2"))
		r.want(e, "k2")
		r.docs[one] = read
		for range 2 {
			if k, ok := e.Refused(context.Background(), "", mustKey(r, e)); ok {
				t.Errorf("version %d is newer than itself", k.Version)
			}
			if got := r.previous(e); got != "k1" {
				t.Errorf("the former key is %q, want k1", got)
			}
			r.pass(time.Minute)
		}
		if got := e.Status().CreatedAt; !got.Equal(read.CreatedAt) {
			t.Errorf("written at %v, want %v as the store says", got, read.CreatedAt)
		}
		r.ring.Learn(one, doc(2, "k2")) // a read was faster
		if got := r.previous(e); got != "k1" {
			t.Errorf("learned again: the former key is %q, want k1", got)
		}
		if got := e.Status().CreatedAt; !got.Equal(read.CreatedAt) {
			t.Errorf("learned again: written at %v", got)
		}
		if n := r.count(KeyChanged); n != 1 {
			t.Errorf("told %d changes, want 1", n)
		}
	})
}

func mustKey(r *rig, e *Entry) *Key {
	r.Helper()
	k, err := e.Key(context.Background(), "")
	if err != nil {
		r.Fatal(err)
	}
	return k
}
