// Package browser drives a real Chromium in tests: as a person does, with mouse
// and keyboard, and as one who looks into the page and at what it asks for.
package browser

// This file holds how a browser is started.

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

// stepTime bounds one step in the browser; a busy machine takes seconds.
const stepTime = 30 * time.Second

// Page is a page of a browser of its own, and all it has asked for and
// complained about. Its methods end the test when a step cannot be done.
type Page struct {
	t   testing.TB
	ctx context.Context

	mu       sync.Mutex
	asked    []string // URLs
	complain []string
	received int64 // bytes
}

// New starts a browser in English. It ends with the test.
func New(t testing.TB) *Page {
	t.Helper()
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(chromium(t)), chromedp.Flag("lang", "en"),
		// A frame of another site shares the page's process, so that it can be
		// looked into, and what it asks for is heard. What pages may do is the same.
		chromedp.Flag("disable-features", "Translate,BlinkGenPropertyTrees,SitePerProcess,IsolateOrigins"), chromedp.Flag("disable-site-isolation-trials", true))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	p := &Page{t: t, ctx: start(t, options)}
	if err := chromedp.Listen(p.ctx, p.listen); err != nil {
		t.Fatal(err)
	}
	p.Do("listening", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, network.Enable, network.EnableParams{})
		if err == nil {
			_, err = cdp.Call(ctx, t, log.Enable, cdp.Empty{})
		}
		return err
	}))
	return p
}

// starts is how often a browser is started that ends before it has a page, as
// Chromium now and then does on a busy machine.
const starts = 3

// start returns the context of a browser's first page.
func start(t testing.TB, options []chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	for n := 1; ; n++ {
		says := harness.NewLog()
		alloc, cancelAlloc := chromedp.NewExecAllocator(t.Context(), append(slices.Clone(options), chromedp.CombinedOutput(says))...)
		ctx, cancel := chromedp.NewContext(alloc)
		// The browser ends with the context of its first run, which must not be a
		// step's.
		err := chromedp.Do(ctx, chromedp.Navigate("about:blank"))
		if err == nil {
			t.Cleanup(cancelAlloc)
			t.Cleanup(cancel)
			return ctx
		}
		cancel()
		cancelAlloc()
		if n == starts || t.Context().Err() != nil {
			t.Fatalf("starting Chromium, %d times: %v; it says %s", n, err, says.String())
		}
		t.Logf("Chromium did not start: %v; it says %s", err, says.String())
	}
}

// chromium returns the path of the browser.
func chromium(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("there is no Chromium: apt-get install chromium")
	return ""
}

func (p *Page) listen(ev any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch ev := ev.(type) {
	case *network.EventRequestWillBeSent:
		p.asked = append(p.asked, ev.Request.URL)
	case *network.EventLoadingFinished:
		p.received += int64(ev.EncodedDataLength)
	case *log.EventEntryAdded:
		p.complain = append(p.complain, ev.Entry.Text)
	}
}

// Asked returns the URLs of all requests so far.
func (p *Page) Asked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

// Received returns how many bytes all answers so far had, with their headers.
func (p *Page) Received() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.received
}
