//go:build !race

package apikeyinject

// This file holds that connections cost no series.

import "testing"

func TestCostOfConnectionsInSeries(t *testing.T) {
	const connections = 100_000
	series := func(g *gateway) (n int) {
		t.Helper()
		families, err := g.app.ctx.GetMetricsRegistry().Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			n += len(f.Metric)
		}
		return n
	}
	var few, many int
	t.Run("few", func(t *testing.T) { few = series(costlyGateway(t, 10)) })
	t.Run("many", func(t *testing.T) { many = series(costlyGateway(t, connections)) })
	if few < 50 || many != few {
		t.Errorf("got %d series with %d connections, and %d with 10", many, connections, few)
	}
}
