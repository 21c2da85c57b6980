package browser

// This file holds what a person does on a page, and sees there.

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Keys for [Page.Presses], beside text.
const (
	Enter = kb.Enter
	Tab   = kb.Tab
)

// Do runs a step.
func (p *Page) Do(what string, action chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, stepTime)
	defer cancel()
	if err := chromedp.Do(ctx, action); err != nil {
		p.t.Fatalf("%s: %v; the page says %q", what, err, p.Eval("document.body.innerText"))
	}
}

// Opens goes to a URL.
func (p *Page) Opens(url string) {
	p.t.Helper()
	p.Do("opening the page", chromedp.Navigate(url))
}

// Sees waits until an element is there and says a text.
func (p *Page) Sees(selector, text string) {
	p.t.Helper()
	p.Says(text, fmt.Sprintf(`((e) => e && e.checkVisibility() && e.textContent.includes(%s))(document.querySelector(%s))`, quoted(text), quoted(selector)))
}

// Clicks is a click with the mouse on an element, once it is there.
func (p *Page) Clicks(selector string) {
	p.t.Helper()
	p.Do("clicking "+selector, chromedp.Click(chromedp.CSS(selector)))
}

// Types sends text to what has the focus.
func (p *Page) Types(text string) {
	p.t.Helper()
	p.Do("typing", chromedp.KeyEvent(text))
}

// Presses sends keys to it, one after the other.
func (p *Page) Presses(keys ...string) {
	p.t.Helper()
	for _, k := range keys {
		p.Do("pressing a key", chromedp.KeyEvent(k))
	}
}

// Pastes pastes into what has the focus, as a person does with what they copied.
func (p *Page) Pastes(text string) {
	p.t.Helper()
	p.Eval(`((text) => {
		const data = new DataTransfer();
		data.setData("text", text);
		document.activeElement.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
	})(` + quoted(text) + `)`)
}

// Eval returns the text that a script yields, whatever the page's policy says.
func (p *Page) Eval(script string) string {
	p.t.Helper()
	return evaluate[string](p, "(async () => String("+script+"))()")
}

// evaluate returns what a script yields, at once or later.
func evaluate[T any](p *Page, script string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, stepTime)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Errorf("evaluating %s: %v", script[:min(len(script), 200)], err)
	}
	return v
}

// Says waits until a script yields something true.
func (p *Page) Says(what, script string) {
	p.t.Helper()
	p.Until(what, func(ctx context.Context, t *chromedp.Target) bool {
		yes, err := chromedp.Evaluate[bool]("Boolean("+script+")")(ctx, t)
		return err == nil && yes
	})
}

// Until looks every 20 ms whether f is content.
func (p *Page) Until(what string, f func(context.Context, *chromedp.Target) bool) {
	p.t.Helper()
	p.Do("waiting for "+what, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for !f(ctx, t) {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-tick.C:
			}
		}
		return nil
	}))
}

// Complains waits until the browser itself says a text, as it does of what a
// policy forbids.
func (p *Page) Complains(text string) {
	p.t.Helper()
	p.Until(text, func(context.Context, *chromedp.Target) bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return slices.ContainsFunc(p.complain, func(c string) bool { return strings.Contains(c, text) })
	})
}

// Quiet asserts that the browser has asked nobody but the sites, and that
// nothing on the page is against its policy.
func (p *Page) Quiet(sites ...string) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.asked) == 0 {
		p.t.Error("it has asked nobody")
	}
	for _, url := range p.asked {
		if !strings.HasPrefix(url, "about:") && !slices.ContainsFunc(sites, func(s string) bool { return strings.HasPrefix(url, s) }) {
			p.t.Errorf("it has asked %s", url)
		}
	}
	for _, text := range p.complain {
		if strings.Contains(text, "Content Security Policy") || strings.Contains(text, "Uncaught") {
			p.t.Errorf("it says: %s", text)
		}
	}
}

// quoted returns a text as a script has it.
func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}
