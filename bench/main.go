// Command bench measures what the plugin costs, side by side with plain
// reverse_proxy in the same Caddy: `go run ./bench`, or with --json for a script.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	asJSON := flag.Bool("json", false, "print the figures as JSON")
	plan := Plan{}
	flag.IntVar(&plan.Rounds, "rounds", 12, "how often every route is measured")
	flag.DurationVar(&plan.Each, "each", time.Second, "how long a route is measured in a round")
	flag.IntVar(&plan.Clients, "clients", 8, "clients at once, each on a connection of its own")
	flag.Parse()
	if plan.Rounds < 1 || plan.Each <= 0 || plan.Clients < 1 {
		return fmt.Errorf("rounds, each and clients must be positive")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	site, err := startSite()
	if err != nil {
		return err
	}
	defer site.stop()
	rounds, err := measure(ctx, plan, site)
	if err != nil {
		return err
	}
	figures := summarize(rounds)
	if *asJSON {
		enc := json.NewEncoder(os.Stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(figures)
	}
	return printTable(os.Stdout, plan, figures)
}
