package keyring

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// A reader takes no lock, and must never put together the key of one snapshot and
// the age of another: a key long dead would be taken for a fresh one.
func TestAKeyAndItsAgeBelongTogether(t *testing.T) {
	s := newSlot(one)
	var done atomic.Bool
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for !done.Load() {
				k, checked, terms := s.held()
				if checked != 0 && (k == nil || int64(k.Version) != checked || int64(terms>>8) != checked) {
					t.Errorf("got the key of %v, read at %d on the terms of %d", k, checked, terms)
					return
				}
			}
		})
	}
	for n := 1; n < 500_000; n++ {
		if n%10 == 0 {
			s.hold(nil, nil)
			continue
		}
		s.hold(&snapshot{content: new(content), key: &Key{Version: n}, checked: int64(n), terms: terms(n << 8)}, nil)
	}
	done.Store(true)
	wg.Wait()
	if k, checked, _ := s.held(); checked != 499_999 || k.Version != 499_999 {
		t.Errorf("in the end %d is held", checked)
	}
	s.hold(nil, nil)
	if k, checked, _ := s.held(); checked != 0 || k != nil || s.snap.Load() != nil {
		t.Errorf("%v is held since %d after it was let go", k, checked)
	}
}

// What is held anew, because another of its fields is asked for, is as old as it
// was. A reader that comes in between must still notice: with the key of one field
// and the name of the other it would send the wrong one.
func TestAKeyAndItsFieldBelongTogether(t *testing.T) {
	var names fieldNames
	c, _ := build(fieldsOf(1, map[string]string{"a": "ka", "b": "kb"}), nil, 1, time.Time{})
	a, b := c.find("a"), c.find("b")
	n := newSnapshot(c, 1, 0)
	s := newSlot(one)
	var done atomic.Bool
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for !done.Load() {
				k, checked, terms := s.held()
				if checked == 0 {
					continue
				}
				if number := uint8(terms) &^ onlyByName; names.is(number, "a") != (k == a.key) || names.is(number, "b") != (k == b.key) {
					t.Errorf("got the key of version %d with field %d, want its own", k.Version, number)
					return
				}
			}
		})
	}
	for i := range 200_000 {
		a.asked.Store(i%2 == 0)
		b.asked.Store(i%2 == 1)
		s.hold(n, &names)
	}
	done.Store(true)
	wg.Wait()
	_, was, _ := s.held()
	s.again(n, &names)
	if _, is, _ := s.held(); is == was {
		t.Error("who reads one half before and the other after takes them for one")
	}
}

func TestNothingHeldIsNeverFresh(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		e := r.view(Options{}).Entry(one)
		if e.fresh(0, termsOf(0), r.ring.now()) { // a ring is young then, and 0 not long ago
			t.Error("it is")
		}
	})
}

func TestATTLThatManyCustomersStretchDoesNotOutlastMaxStale(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.set(func() { r.docs[one] = doc(1, "k1") })
		e := r.view(Options{TTL: time.Minute, MaxStale: 10 * time.Minute}).Entry(one)
		r.want(e, "k1")
		r.ring.stretch.Store(int64(time.Hour))
		r.set(func() { r.err = store.ErrUnavailable })
		r.pass(10*time.Minute - time.Second)
		r.ring.stretch.Store(int64(time.Hour)) // the sweep counted one customer
		r.want(e, "k1")
		r.pass(time.Second)
		r.ring.stretch.Store(int64(time.Hour))
		r.unavailable(r.fails(e))
	})
}

// fieldsOf is a document with values for its fields.
func fieldsOf(version int, fields map[string]string) *store.Document {
	d := &store.Document{Version: version, Fields: map[string]store.Field{}}
	for name, v := range fields {
		d.Fields[name] = store.Field{Kind: "string", Value: secret.New(v)}
	}
	return d
}

// Whichever field's key lies in the slot itself, each request gets its own.
func TestEachFieldsKeyIsGivenByItsName(t *testing.T) {
	for name, tc := range map[string]struct {
		fields map[string]string
		want   map[string]string // of a name, empty: an error
	}{
		"a default and another": {map[string]string{"apiKey": "k", "other": "o"}, map[string]string{"": "k", "apiKey": "k", "other": "o", "neither": ""}},
		"an only one":           {map[string]string{"token": "t"}, map[string]string{"": "t", "token": "t", "apiKey": ""}},
		"no default":            {map[string]string{"token": "t", "user": "u"}, map[string]string{"": "", "token": "t", "user": "u", "apiKey": ""}},
		"a bad default":         {map[string]string{"apiKey": "line\nbreak", "user": "u"}, map[string]string{"": "", "apiKey": "", "user": "u"}},
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, RingOptions{}, func(r *rig) {
				e := r.view(Options{TTL: time.Minute}).Pin(one)
				for version := 1; version <= 3; version++ {
					r.set(func() { r.docs[one] = fieldsOf(version, tc.fields) })
					if err := r.ring.Refresh(context.Background(), one); err != nil {
						t.Fatal(err)
					}
					for range 3 {
						for field, want := range tc.want {
							k, err := e.Key(context.Background(), field)
							if (err == nil) != (want != "") || err == nil && (k.Value.Reveal() != want || k.Version != version) {
								t.Errorf("field %q: got %v, %v, want %q", field, k, err, want)
							}
						}
					}
				}
			})
		})
	}
}

func TestMoreFieldsThanNumbers(t *testing.T) {
	var names fieldNames
	for round := range 2 {
		for i := range maxFields + 10 {
			name := fmt.Sprint("field", i)
			n := names.number(name)
			if want := uint8(i + 1); i < maxFields && (n != want || !names.is(n, name) || names.is(n, "another")) || i >= maxFields && n != 0 {
				t.Fatalf("round %d: %s has number %d", round, name, n)
			}
		}
	}
	if names.is(0, "field0") {
		t.Error("no number is that of a name")
	}
}

// A field that is asked for by name is found at once from the second time on.
func TestAFieldAskedForByNameLiesInTheSlot(t *testing.T) {
	for _, tc := range []struct {
		fields map[string]string
		ask    string
	}{
		{map[string]string{"apiKey": "k", "user": "u"}, "apiKey"},
		{map[string]string{"token": "t"}, "token"},
		{map[string]string{"token": "t", "user": "u"}, "token"},
	} {
		inTime(t, RingOptions{}, func(r *rig) {
			r.set(func() { r.docs[one] = fieldsOf(1, tc.fields) })
			e := r.view(Options{}).Entry(one)
			k, err := e.Key(context.Background(), tc.ask)
			if err != nil {
				t.Fatal(err)
			}
			if key, _, terms := e.slot.Load().held(); key != k || !e.wants(tc.ask, terms) {
				t.Errorf("%v: the slot has %v, want that of %s", tc.fields, key, tc.ask)
			}
		})
	}
}

// Who asks for a field by name is served its former value when it leaves; so that
// it is asked for has to be noted.
func TestAFieldAskedForByNameIsKeptWhenItLeaves(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.set(func() { r.docs[one] = doc(1, "k1") })
		e := r.view(Options{TTL: time.Minute}).Pin(one)
		r.want(e, "k1")
		if _, err := e.Key(context.Background(), "apiKey"); err != nil {
			t.Fatal(err)
		}
		r.set(func() {
			r.docs[one] = &store.Document{Version: 2, Fields: map[string]store.Field{"token": {Kind: "string", Value: secret.New("t2")}}}
		})
		r.pass(time.Minute)
		r.want(e, "t2")
		if k, err := e.Key(context.Background(), "apiKey"); err != nil || k.Value.Reveal() != "k1" {
			t.Errorf("got %v, %v", k, err)
		}
	})
}

func TestALateAskerDoesNotBringBackWhatWasReplaced(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.set(func() { r.docs[one] = doc(1, "k1") })
		e := r.view(Options{}).Entry(one)
		r.want(e, "k1")
		s := e.slot.Load()
		old := s.snap.Load()
		r.ring.Learn(one, doc(2, "k2"))
		s.again(old, &r.ring.names)
		r.want(e, "k2")
	})
}

func TestAFieldThatLeftIsServedToMaxStaleOnly(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.set(func() { r.docs[one] = fieldsOf(1, map[string]string{"token": "t", "user": "u"}) })
		e := r.view(Options{TTL: time.Minute, MaxStale: 10 * time.Minute}).Pin(one)
		token := func() bool {
			k, err := e.Key(context.Background(), "token")
			return err == nil && k.Value.Reveal() == "t"
		}
		if !token() {
			t.Fatal("no key")
		}
		r.set(func() { r.docs[one] = fieldsOf(2, map[string]string{"secret": "s", "user": "u"}) })
		r.pass(9 * time.Minute)
		if !token() {
			t.Error("it is not served")
		}
		r.pass(2 * time.Minute)
		if token() {
			t.Error("it is served for ever")
		}
	})
}
