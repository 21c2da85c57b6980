package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"
)

func TestEveryRouteIsMeasuredAndComparedRoundByRound(t *testing.T) {
	s, err := startSite()
	if err != nil {
		t.Fatal(err)
	}
	defer s.stop()
	plan := Plan{Rounds: 2, Clients: 2, Each: 100 * time.Millisecond}
	rounds, err := measure(context.Background(), plan, s)
	if err != nil {
		t.Fatal(err)
	}
	figures := summarize(rounds)
	for _, f := range figures {
		if f.Rate <= 0 || f.P99 <= 0 || f.RateToSame <= 0 || f.RateToDefaults <= 0 || f.P99ToSame <= 0 || f.P99ToDefaults <= 0 {
			t.Errorf("got %+v, want every figure", f)
		}
	}
	var b bytes.Buffer
	if err := printTable(&b, plan, figures); err != nil {
		t.Fatal(err)
	}
	for _, r := range routes {
		if !strings.Contains(b.String(), r.name) {
			t.Errorf("the table lacks %q:\n%s", r.name, b.String())
		}
	}
}

func TestRatiosAreTakenRoundByRound(t *testing.T) {
	at := func(rate float64, allocs float64) Sample {
		return Sample{Rate: rate, P99: time.Millisecond, Allocs: allocs}
	}
	slow := round{routeDefaults: at(10, 5), routeSame: at(20, 5), routeHeader: at(18, 7), routeQuery: at(10, 8)}
	fast := round{routeDefaults: at(1000, 5), routeSame: at(2000, 5), routeHeader: at(1800, 7), routeQuery: at(1000, 8)}
	figures := summarize([]round{slow, fast, fast})
	header := figures[2]
	if header.RateToSame != 0.9 || header.RateToDefaults != 1.8 || header.MoreAllocs != 2 || header.P99ToSame != 1 {
		t.Errorf("got %+v", header)
	}
}

func TestAnAnswerThatIsNo200EndsTheMeasurement(t *testing.T) {
	s, err := startSite()
	if err != nil {
		t.Fatal(err)
	}
	defer s.stop()
	if _, err := sample(context.Background(), Plan{Clients: 1}, s.addr, "/nowhere", time.Millisecond); err == nil {
		t.Error("got no error")
	}
}
