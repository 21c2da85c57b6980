package notice_test

import (
	"maps"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/notice"
)

func TestDataHoldsWhatIsSetAndNothingElse(t *testing.T) {
	for name, c := range map[string]struct {
		notice notice.Notice
		want   map[string]any
	}{
		"nothing": {notice.Notice{Kind: notice.StoreUp, At: time.Now()}, map[string]any{}},
		"a key": {
			notice.Notice{Kind: notice.Rotated, Integration: "acme", Connection: "cust-1", Store: "vault", Key: "acme/cust-1", Version: 7, Former: 6},
			map[string]any{"integration": "acme", "connection": "cust-1", "store": "vault", "key": "acme/cust-1", "key_version": 7, "former_version": 6},
		},
		"what ends": {
			notice.Notice{Kind: notice.TokenExpiring, Field: "apiKey", Reason: "denied", Ends: time.Date(2026, 7, 1, 14, 0, 0, 0, time.FixedZone("", 7200))},
			map[string]any{"field": "apiKey", "reason": "denied", "ends_at": "2026-07-01T12:00:00Z"},
		},
	} {
		if got := c.notice.Data(); !maps.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestKindsAreNamesOfEvents(t *testing.T) {
	kinds := notice.Kinds()
	if slices.Sort(kinds); len(slices.Compact(kinds)) != len(notice.Kinds()) {
		t.Error("a kind is listed twice")
	}
	for _, k := range kinds {
		if !regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`).MatchString(string(k)) {
			t.Errorf("%q is no name of an event", k)
		}
	}
}

func TestAQueueKeepsTheOrderAndWhoPutsDoesNotWait(t *testing.T) {
	taken, hold := make(chan int, 4), make(chan struct{})
		q := notice.NewQueue(3, func(n int) {
		taken <- n
			<-hold
		})
		if !q.Put(0) {
			t.Fatal("an empty queue had no room")
		}
	if n := <-taken; n != 0 { // and the function hangs
		t.Errorf("it handed on %d", n)
	}
		for n := 1; n <= 3; n++ {
			if !q.Put(n) {
				t.Errorf("no room for %d of 3", n)
			}
		}
		if q.Put(4) || q.Put(5) {
			t.Error("a full queue took more")
		}
		close(hold)
	for want := 1; want <= 3; want++ {
		if n := <-taken; n != want {
			t.Errorf("it handed on %d, want %d", n, want)
		}
	}
	if !q.Put(6) || <-taken != 6 {
		t.Error("with room again it took nothing, or what it had dropped")
	}
}

func TestTheNewestCountsAndWhoWaitsHearsOfEachChange(t *testing.T) {
	var n notice.Newest[string]
	for _, step := range []struct {
		do   func()
		want string
	}{
		{func() { n.Use("a", "of a") }, "of a"},
		{func() { n.Use("b", "of b") }, "of b"},
		{func() { n.Drop("a") }, "of b"},
		{func() { n.Use("c", "of c") }, "of c"},
		{func() { n.Drop("c") }, "of b"},
		{func() { n.Drop("b") }, ""},
	} {
		changed := n.Changed()
		step.do()
		select {
		case <-changed:
		default:
			t.Errorf("nobody hears that it is %q", step.want)
		}
		if got, ok := n.Get(); got != step.want || ok != (step.want != "") {
			t.Errorf("got %q, %v, want %q", got, ok, step.want)
		}
		}
}
