package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

// desk is sessions over a real catalog, with a clock.
type desk struct {
	t   *testing.T
	now time.Time
	db  *catalog.DB
	*Sessions
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{t: t, now: time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)}
	db, err := catalog.Open(t.Context(), catalog.Config{Path: filepath.Join(t.TempDir(), "c.db"), Now: d.clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	d.db, d.Sessions = db, New(db, d.clock)
	return d
}

func (d *desk) clock() time.Time { return d.now }

// node is another node of the same catalog.
func (d *desk) node() *Sessions { return New(d.db, d.clock) }

func (d *desk) seal(s *Session) string {
	d.t.Helper()
	token, err := d.Seal(d.t.Context(), s)
	if err != nil {
		d.t.Fatal(err)
	}
	return token
}

func (d *desk) opens(s *Sessions, token string, want error) *Session {
	d.t.Helper()
	got, err := s.Open(d.t.Context(), token)
	if !errors.Is(err, want) {
		d.t.Fatalf("opening at %s: %v, want %v", d.now.Format(time.TimeOnly), err, want)
	}
	return got
}

func full() *Session {
	hook := "https://app.example/hook"
	return &Session{
		Integrations: []string{"acme"}, Connection: "c-1", Reconnect: true,
		EndUser:  &catalog.EndUser{ID: "u-1", Organization: &catalog.Organization{ID: "o-1"}},
		UserTags: map[string]string{"a": "1"}, Tags: map[string]string{"b": "2"},
		Defaults: map[string]map[string]string{"acme": {"tenant": "t-1"}}, WebhookURL: &hook,
	}
}

func TestATokenOpensOnEveryNodeToWhatWasSealed(t *testing.T) {
	d := newDesk(t)
	s := full()
	token := d.seal(s)
	if !strings.HasPrefix(token, "nango_connect_session_") || strings.Contains(token, "u-1") {
		t.Errorf("the token is %s", token)
	}
	if !s.Expires.Equal(d.now.Add(30 * time.Minute)) {
		t.Errorf("it expires at %s", s.Expires)
	}
	for _, node := range []*Sessions{d.Sessions, d.node()} {
		if got := d.opens(node, token, nil); !reflect.DeepEqual(got, s) {
			a, _ := json.Marshal(got)
			b, _ := json.Marshal(s)
			t.Errorf("opened %s, want %s", a, b)
		}
	}
	if other := d.seal(full()); d.opens(d.Sessions, other, nil).ID == s.ID {
		t.Error("two sessions have one id")
	}
}

// hangingCatalog is one that answers nobody.
type hangingCatalog struct{ Catalog }

func (hangingCatalog) SessionKeys(ctx context.Context) ([]catalog.SessionKey, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestWhoWaitsBehindACatalogThatHangsMayLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(hangingCatalog{}, time.Now)
		hour, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		go func() { _, _ = s.Seal(hour, full()) }()
		synctest.Wait()
		second, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if _, err := s.Open(second, Prefix+strings.Repeat("A", 100)); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		if _, err := s.Seal(second, full()); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
}

func TestATokenExpires(t *testing.T) {
	d := newDesk(t)
	token := d.seal(full())
	d.now = d.now.Add(Lifetime - time.Millisecond)
	d.opens(d.Sessions, token, nil)
	d.now = d.now.Add(time.Millisecond)
	d.opens(d.Sessions, token, ErrExpired)
}

// Base64 leaves bits of the last letter to choice, and Go's decoder passes over
// line ends.
func TestOfTextsForTheSameBytesOneIsTheToken(t *testing.T) {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	d := newDesk(t)
	for _, id := range []string{"c", "c-", "c-1"} { // of each length, by three
		s := full()
		s.Connection = id
		token := d.seal(s)
		for _, last := range letters {
			other := token[:len(token)-1] + string(last)
			if other == token {
				d.opens(d.Sessions, other, nil)
			} else {
				d.opens(d.Sessions, other, ErrUnknown)
			}
		}
		for _, other := range []string{token + "\n", token[:40] + "\r\n" + token[40:], token + "=", token + " "} {
			d.opens(d.Sessions, other, ErrUnknown)
		}
	}
}

func TestWhatIsNoTokenIsRefused(t *testing.T) {
	d := newDesk(t)
	token := d.seal(full())
	foreign := newDesk(t).seal(full())
	bad := map[string]string{
		"nothing": "", "the prefix": Prefix, "no base64": Prefix + "!!!!", "too short": Prefix + "AAAAAAAAAAA", "no nonce": Prefix + "AAAAAAAAAAEAAAA",
		"another catalog's": foreign, "without prefix": strings.TrimPrefix(token, Prefix), "longer than any": token + strings.Repeat("A", MaxToken),
		"more behind it": token + "AAAA",
	}
	for i := len(Prefix); i < len(token); i++ {
		flipped := []byte(token)
		flipped[i] = "AB"[boolean(token[i] == 'A')]
		if string(flipped) != token {
			bad[fmt.Sprintf("byte %d changed", i)] = string(flipped)
		}
	}
	for name, text := range bad {
		if got, err := d.Open(t.Context(), text); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v %v", name, got, err)
		}
	}
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestASessionThatNoTokenCanHoldIsRefused(t *testing.T) {
	d := newDesk(t)
	s := full()
	s.Tags["long"] = strings.Repeat("x", MaxToken)
	if _, err := d.Seal(t.Context(), s); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}

func TestKeysAreRotated(t *testing.T) {
	d := newDesk(t)
	other := d.node()
	first := d.seal(full())
	d.opens(other, first, nil)
	d.now = d.now.Add(rotation - time.Minute)
	last := d.seal(full()) // of the first key, just before another takes its place
	d.now = d.now.Add(time.Minute)
	next := d.seal(full())
	if keys, err := d.db.SessionKeys(t.Context()); err != nil || len(keys) != 2 {
		t.Fatalf("%d keys: %v", len(keys), err)
	}
	d.opens(other, next, nil) // which has read the keys before
	d.opens(other, last, nil)

	// Who has an old key can seal what they like, but nobody opens it.
	d.now = d.now.Add(Lifetime)
	forged := d.forge(1)
	d.opens(d.Sessions, forged, nil)
	d.now = d.now.Add(time.Millisecond)
	d.opens(d.Sessions, forged, ErrUnknown)
	d.opens(other, forged, ErrUnknown)
}

// forge seals a fresh session with the key of an id.
func (d *desk) forge(id int64) string {
	d.t.Helper()
	s := d.node()
	if err := s.read(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
	for _, k := range s.keys {
		if k.ID == id {
			k.MadeAt = d.now
			s.keys, s.readAt = []key{k}, d.now
		}
	}
	token, err := s.Seal(d.t.Context(), full())
	if err != nil {
		d.t.Fatal(err)
	}
	return token
}

func TestANewKeyOfAnotherNodeIsFoundByItsFirstToken(t *testing.T) {
	d := newDesk(t)
	other := d.node()
	d.opens(other, d.seal(full()), nil)
	if err := d.db.AddSessionKey(t.Context(), 1, Lifetime); err != nil {
		t.Fatal(err)
	}
	fresh, err := d.node().Seal(t.Context(), full())
	if err != nil {
		t.Fatal(err)
	}
	d.now = d.now.Add(hurry)
	d.opens(other, fresh, nil)
}

func TestMadeUpTokensAreNoLoad(t *testing.T) {
	d := newDesk(t)
	counted := &counting{Catalog: d.db}
	s := New(counted, d.clock)
	token, err := s.Seal(t.Context(), full())
	if err != nil {
		t.Fatal(err)
	}
	counted.n = 0
	madeUp := Prefix + encoding.EncodeToString(append([]byte{9}, make([]byte, 80)...))
	for range 100 {
		d.opens(s, madeUp, ErrUnknown)
		d.opens(s, token, nil)
	}
	if counted.n > 0 {
		t.Errorf("the keys were read %d times", counted.n)
	}
}

type counting struct {
	Catalog

	n int
}

func (c *counting) SessionKeys(ctx context.Context) ([]catalog.SessionKey, error) {
	c.n++
	return c.Catalog.SessionKeys(ctx)
}

func TestASessionIsUsedOnce(t *testing.T) {
	d := newDesk(t)
	other := d.node()
	s := d.opens(d.Sessions, d.seal(full()), nil)
	check := func(want error) {
		t.Helper()
		for _, node := range []*Sessions{d.Sessions, other} {
			if err := node.Check(t.Context(), s); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		}
	}
	check(nil)
	if err := d.Use(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	check(ErrUsed)
	if err := other.Use(t.Context(), s); !errors.Is(err, ErrUsed) {
		t.Errorf("the second use: %v", err)
	}
	if err := d.Free(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	check(nil)
	if err := other.Use(t.Context(), s); err != nil {
		t.Errorf("after it was given back: %v", err)
	}
}

// fails makes a try that fails.
func (d *desk) fails(s *Session) {
	d.t.Helper()
	if err := d.Try(s); err != nil {
		d.t.Fatal(err)
	}
	d.Tried(s, true)
}

func TestASessionFailsTwentyTimes(t *testing.T) {
	d := newDesk(t)
	token, well := d.seal(full()), d.seal(full())
	for range 20 {
		d.fails(d.opens(d.Sessions, token, nil))
	}
	d.opens(d.Sessions, token, ErrBlocked)
	d.opens(d.Sessions, well, nil)
}

func TestFailuresAreBounded(t *testing.T) {
	d := newDesk(t)
	for i := range maxFailing + 10 {
		d.fails(&Session{ID: fmt.Sprint(i), Expires: d.now.Add(Lifetime)})
	}
	if n := len(d.failures.of); n != maxFailing {
		t.Errorf("%d sessions are watched", n)
	}
	d.now = d.now.Add(Lifetime)
	d.fails(&Session{ID: "new", Expires: d.now.Add(Lifetime)})
	if n := len(d.failures.of); n != 1 {
		t.Errorf("%d sessions are watched after all have expired", n)
	}
}

func TestTriesUnderWayCountUntilTheyAreWell(t *testing.T) {
	d := newDesk(t)
	s := d.opens(d.Sessions, d.seal(full()), nil)
	for range MaxFailures {
		if err := d.Try(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Try(s); !errors.Is(err, ErrBlocked) {
		t.Errorf("one more than may fail: %v", err)
	}
	for range MaxFailures {
		d.Tried(s, false)
	}
	if err := d.Try(s); err != nil {
		t.Errorf("after all were well: %v", err)
	}
	d.Tried(s, false)
	if n := len(d.failures.of); n != 0 {
		t.Errorf("%d sessions are watched of which nothing failed", n)
	}
}
