package browser

// This file holds how a page is looked at: its size and theme, whether it moves,
// and whether everybody can use it.

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

// Shows sets the size of the window, and whether the system is dark.
func (p *Page) Shows(width, height int64, dark bool) {
	p.t.Helper()
	p.Do("setting the size", chromedp.EmulateViewport(width, height))
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	p.Do("setting the theme", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}},
		})
		return err
	}))
}

// Accessible asserts that axe-core finds nothing on the page as it is now.
func (p *Page) Accessible(what string) {
	p.t.Helper()
	source, err := os.ReadFile(filepath.Join(harness.Root(p.t), "integration", "sdk", "node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		p.t.Fatal("axe-core is not installed: run tools/make/sdk.sh, as make test does")
	}
	if p.Eval("typeof axe") == "undefined" {
		p.Do("loading axe-core", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			_, err := chromedp.Evaluate[bool](string(source)+";true")(ctx, t)
			return err
		}))
	}
	found := evaluate[struct {
		Passes     int      `json:"passes"`
		Violations []string `json:"violations"`
	}](p, `axe.run(document).then((r) => ({
		passes: r.passes.length,
		violations: r.violations.map((v) => v.id + ": " + v.nodes.map((n) => n.html + " " + n.failureSummary).join("; ")),
	}))`)
	if len(found.Violations) > 0 {
		p.t.Errorf("%s:\n%s", what, strings.Join(found.Violations, "\n"))
	}
	if found.Passes < 10 { // it has looked at no page
		p.t.Errorf("%s: only %d rules were looked at", what, found.Passes)
	}
}

// Shift returns how far the content of the page has moved by itself since it was
// opened, as the web vitals count it.
func (p *Page) Shift() float64 {
	p.t.Helper()
	return evaluate[float64](p, `new Promise((resolve) => {
		let sum = 0;
		const add = (list) => list.forEach((e) => { sum += e.value; });
		const o = new PerformanceObserver((list) => add(list.getEntries()));
		o.observe({ type: "layout-shift", buffered: true });
		requestAnimationFrame(() => setTimeout(() => { add(o.takeRecords()); resolve(sum); }, 50));
	})`)
}
