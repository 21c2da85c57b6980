package main

// This file holds the clients and the rounds.

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Plan says how long is measured: Rounds times Each for every route.
type Plan struct {
	Rounds, Clients int
	Each            time.Duration
}

// Sample is what one route did in one round.
type Sample struct {
	Rate   float64       // requests per second
	P99    time.Duration // of the time to the whole answer
	Allocs float64       // per request, of the whole process: clients and upstream too
}

// round holds a sample for each route, by its name.
type round map[string]Sample

// measure takes every route in turn, and begins each round with another one, so
// that whatever else the machine does falls on all of them.
func measure(ctx context.Context, p Plan, s *site) ([]round, error) {
	for _, r := range routes { // keys are read, pools filled
		if _, err := sample(ctx, p, s.addr, r.path, min(p.Each, 200*time.Millisecond)); err != nil {
			return nil, fmt.Errorf("warming up %s: %w", r.name, err)
		}
	}
	var rounds []round
	for i := range p.Rounds {
		one := round{}
		for j := range routes {
			r := routes[(i+j)%len(routes)]
			got, err := sample(ctx, p, s.addr, r.path, p.Each)
			if err != nil {
				return nil, fmt.Errorf("measuring %s: %w", r.name, err)
			}
			one[r.name] = got
		}
		rounds = append(rounds, one)
	}
	return rounds, nil
}

// sample sends requests to one route for a while.
func sample(ctx context.Context, p Plan, addr, path string, d time.Duration) (Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, d+30*time.Second)
	defer cancel()
	took := make([][]time.Duration, p.Clients)
	errs := make([]error, p.Clients)
	var wg sync.WaitGroup
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	for i := range p.Clients {
		wg.Go(func() { took[i], errs[i] = client(ctx, addr, path, start.Add(d)) })
	}
	wg.Wait()
	elapsed := time.Since(start)
	runtime.ReadMemStats(&after)
	for _, err := range errs {
		if err != nil {
			return Sample{}, err
		}
	}
	all := slices.Concat(took...)
	slices.Sort(all)
	n := float64(len(all))
	return Sample{
		Rate:   n / elapsed.Seconds(),
		P99:    all[len(all)*99/100],
		Allocs: float64(after.Mallocs-before.Mallocs) / n,
	}, nil
}

// client sends one request after the other on a connection of its own. It knows
// just enough HTTP not to be what is measured.
func client(ctx context.Context, addr, path string, until time.Time) ([]time.Duration, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	request, br := request(addr, path), bufio.NewReader(conn)
	took := make([]time.Duration, 0, 1<<16)
	for now := time.Now(); ; {
		if _, err := conn.Write(request); err != nil {
			return nil, fmt.Errorf("sending: %w", err)
		}
		if err := answer(br); err != nil {
			return nil, err
		}
		end := time.Now()
		took = append(took, end.Sub(now))
		if now = end; now.After(until) {
			return took, nil
		}
	}
}

// request is one with twelve headers, as in the tests of what a request costs.
func request(addr, path string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "GET %s?page=2&limit=50 HTTP/1.1\r\nHost: %s\r\n", path, addr)
	for _, name := range []string{
		"Accept", "Accept-Language", "User-Agent", "Content-Type", "X-Request-Id", "Traceparent", "If-None-Match",
		"Cache-Control", "Referer", "Tracestate", "Idempotency-Key", "X-Extra",
	} {
		fmt.Fprintf(&b, "%s: value-of-%s\r\n", name, name)
	}
	return []byte(b.String() + "\r\n")
}

// answer reads an answer of known length, which must be a 200.
func answer(br *bufio.Reader) error {
	length := -1
	for first := true; ; first = false {
		line, err := br.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("reading an answer: %w", err)
		}
		line = bytes.TrimRight(line, "\r\n")
		if first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
			return fmt.Errorf("got %q, want a 200", line)
		}
		if len(line) == 0 {
			break
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return fmt.Errorf("reading an answer's length: %w", err)
			}
		}
	}
	if length < 0 {
		return fmt.Errorf("got an answer without its length")
	}
	_, err := br.Discard(length)
	return err
}
