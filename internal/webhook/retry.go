package webhook

// This file holds when a webhook is tried again, and when it is given up.

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

const (
	// firstWait is between the first attempt and the second; it doubles from
	// there up to maxWait.
	firstWait = 5 * time.Second
	maxWait   = 4 * time.Hour

	// keepFor is how old a webhook becomes before it is given up. A receiver
	// may be away over a weekend.
	keepFor = 72 * time.Hour
)

// wait is how long after a failed attempt the next follows. Half of it is by
// chance, so that what failed together does not come back together. A receiver
// may ask for more.
func wait(tries int, asked time.Duration) time.Duration {
	d := maxWait
	if n := tries - 1; n < 12 { // beyond that it is over the maximum
		d = min(firstWait<<max(n, 0), maxWait)
	}
	return max(d/2+rand.N(d/2+1), min(asked, maxWait)) //nolint:gosec // jitter
}

// askedWait returns what a receiver that has too much to do asks for, 0 for
// nothing.
func askedWait(res *http.Response, now time.Time) time.Duration {
	if res.StatusCode != http.StatusTooManyRequests && res.StatusCode != http.StatusServiceUnavailable {
		return 0
	}
	return RetryAfter(res.Header, now)
}

// RetryAfter reads the header of that name: seconds, or a date. It is 0 when it
// is missing, wrong or over.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	if n, err := strconv.ParseUint(v, 10, 31); err == nil {
		return time.Duration(n) * time.Second //nolint:gosec // 31 bits
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
