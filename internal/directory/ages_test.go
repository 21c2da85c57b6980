package directory

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

func TestOldKeysAreTold(t *testing.T) {
	const day = 24 * time.Hour
	started(t, Options{}, func(r *rig) {
		written := time.Now().Add(-80 * day)
		at := func(id string) catalog.Sighting {
			return catalog.Sighting{Integration: "acme", ID: id, Version: 3, At: written}
		}
		many := make([]catalog.Sighting, chunk+1)
		for i := range many {
			many[i] = at(fmt.Sprint(i))
		}
		r.aged = map[int][]catalog.Sighting{1: many, 3: {at("over")}}
		if err := r.dir.TellAged(t.Context(), "acme", 90*day, 14*day, day); err != nil {
			t.Fatal(err)
		}
		if len(r.events) != chunk+2 || r.events[0].Kind != ConnectionExpired || r.events[1].Kind != ConnectionExpiring {
			t.Fatalf("told %d events: %v", len(r.events), r.events[:2])
		}
		if e := r.events[0]; e.Sighting.ID != "over" || e.Sighting.Version != 3 || !e.Ends.Equal(written.Add(90*day)) {
			t.Errorf("told %+v", e)
		}
		for n, want := range []catalog.Aging{
			{Integration: "acme", Step: 3, Age: 90 * day, Limit: chunk}, {Integration: "acme", Step: 2, Age: 89 * day, Limit: chunk}, {Integration: "acme", Step: 1, Age: 76 * day, Limit: chunk},
		} {
			if r.aging[n] != want {
				t.Errorf("asked for %+v, want %+v", r.aging[n], want)
			}
		}
		r.set(func() { r.err = errDown })
		if err := r.dir.TellAged(t.Context(), "acme", 90*day, 14*day, day); !errors.Is(err, errDown) {
			t.Errorf("got %v of a catalog that is away", err)
		}
	})
}
