package keyring

import (
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

const day = 24 * time.Hour

// ending is a document that ends at a time and was written some days before now.
func ending(version, days int, at string) *store.Document {
	d := fieldsOf(version, map[string]string{"apiKey": "k", store.ExpiresField: at})
	d.CreatedAt = time.Now().Add(-time.Duration(days) * day)
	return d
}

func in(d time.Duration) string { return time.Now().Add(d).Format(time.RFC3339) }

func TestLifetimes(t *testing.T) {
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		life, left time.Duration // life 0: not known
		want       Lifetime
	}{
		"far from its end":      {90 * day, 14*day + 1, Unlimited},
		"14 days":               {90 * day, 14 * day, ExpiringSoon},
		"a day":                 {90 * day, day, ExpiringNow},
		"over":                  {90 * day, 0, Expired},
		"a week's, in its half": {7 * day, 4 * day, Unlimited},
		"a week's, at the end":  {7 * day, 7 * day / 4, ExpiringSoon},
		"an hour's":             {time.Hour, 7 * time.Minute, ExpiringNow},
		"unknown, 14 days":      {0, 14 * day, ExpiringSoon},
		"unknown, far from it":  {0, 15 * day, Unlimited},
	} {
		var created time.Time
		if c.life > 0 {
			created = now.Add(c.left - c.life)
		}
		if got := LifetimeOf(created, now.Add(c.left), now); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	if got := LifetimeOf(now, time.Time{}, now); got != Unlimited {
		t.Errorf("without an end: %d", got)
	}
}

func TestAKeyThatRunsOutIsToldOnceAStep(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		end := time.Now().Add(15 * day).Truncate(time.Second)
		r.docs[one] = ending(1, 60, end.Format(time.RFC3339))
		e := r.view(Options{}).Pin(one)
		r.want(e, "k")
		if st := e.Status(); !st.Expires.Equal(end) {
			t.Errorf("ends at %v, want %v", st.Expires, end)
		}
		for _, c := range []struct {
			after             time.Duration
			expiring, expired int
		}{{0, 0, 0}, {day - 2*time.Minute, 0, 0}, {4 * time.Minute, 1, 0}, {12 * day, 1, 0}, {day, 2, 0}, {day, 2, 1}, {30 * day, 2, 1}} {
			r.pass(c.after)
			if r.count(KeyExpiring) != c.expiring || r.count(KeyExpired) != c.expired {
				t.Errorf("%v before its end: told %v", time.Until(end), r.events)
			}
		}
		r.want(e, "k") // it stays in use
		if k := r.events[len(r.events)-1]; k.Version != 1 || !k.Expires.Equal(end) || k.Address != one {
			t.Errorf("told %+v", k)
		}
		r.set(func() { r.docs[one] = ending(2, 0, in(10*day)) })
		r.pass(10 * time.Minute)
		if r.count(KeyExpiring) != 2 {
			t.Error("a new key far from its end is told")
		}
		r.set(func() { r.docs[one] = ending(3, 200, in(-day)) })
		r.pass(10 * time.Minute)
		if r.count(KeyExpiring) != 2 || r.count(KeyExpired) != 2 {
			t.Errorf("a new key that has run out: %v", r.events)
		}
	})
}

func TestAnEndThatNobodyCanReadIsToldAndKeepsTheKey(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.docs[one] = ending(1, 0, "next summer")
		e := r.view(Options{}).Pin(one)
		r.want(e, "k")
		r.pass(time.Hour)
		if r.count(KeyInvalid) != 1 || r.events[0].Field != store.ExpiresField || !e.Status().Expires.IsZero() {
			t.Errorf("told %v", r.events)
		}
	})
}

func TestAnEndBesideTheOnlyFieldIsNoKey(t *testing.T) {
	inTime(t, RingOptions{}, func(r *rig) {
		r.docs[one] = fieldsOf(1, map[string]string{"token": "k", store.ExpiresField: in(day)})
		r.want(r.view(Options{}).Pin(one), "k")
	})
}
