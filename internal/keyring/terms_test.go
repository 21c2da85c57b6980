package keyring

import (
	"math"
	"testing"
	"time"
)

func TestTermsShortenATTLAndNeverLengthenIt(t *testing.T) {
	for _, wish := range []time.Duration{0, -time.Second, time.Millisecond, time.Second, time.Minute, 59*time.Minute + 59*time.Second, 30 * 24 * time.Hour, math.MaxInt64} {
		for _, ttl := range []time.Duration{time.Second, 5 * time.Minute, 24 * time.Hour} {
			bound := ttl
			if wish > 0 {
				bound = min(ttl, wish)
			}
			for range 100 {
				got := termsOf(wish).age(ttl)
				if got > bound*951/1000 || got < bound*790/1000 {
					t.Fatalf("a wish of %s under a ttl of %s: a refresh is due at %s", wish, ttl, got)
				}
			}
		}
	}
}

func TestTermsAreSpread(t *testing.T) {
	seen := map[float32]bool{}
	for range 2000 {
		s := termsOf(time.Hour).soft()
		if s < 0.80 || s > 0.951 {
			t.Fatalf("got %f", s)
		}
		seen[s] = true
	}
	if len(seen) < 200 {
		t.Errorf("got %d different ones of 256", len(seen))
	}
}
