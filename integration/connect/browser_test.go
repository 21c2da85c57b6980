package connect

// This file holds how tests drive a real browser.

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// stepTime bounds one step in the browser; a busy machine takes seconds.
const stepTime = 30 * time.Second

// browser is a page of Chromium, and all it has asked for and complained about.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	asked    []string // URLs
	complain []string
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Fatal("there is no Chromium: apt-get install chromium")
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(path), chromedp.Flag("lang", "en"))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	alloc, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx}
	// The browser ends with the context of its first run, which must not be a
	// step's.
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatal(err)
	}
	err := chromedp.Listen(ctx, func(ev any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch ev := ev.(type) {
		case *network.EventRequestWillBeSent:
			b.asked = append(b.asked, ev.Request.URL)
		case *log.EventEntryAdded:
			b.complain = append(b.complain, ev.Entry.Text)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	b.do("listening", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, network.Enable, network.EnableParams{})
		if err == nil {
			_, err = cdp.Call(ctx, t, log.Enable, cdp.Empty{})
		}
		return err
	}))
	return b
}

// do runs a step.
func (b *browser) do(what string, action chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, stepTime)
	defer cancel()
	if err := chromedp.Do(ctx, action); err != nil {
		b.t.Fatalf("%s: %v; the page says %q", what, err, b.eval("document.body.innerText"))
	}
}

// opens goes to a URL.
func (b *browser) opens(url string) {
	b.t.Helper()
	b.do("opening the page", chromedp.Navigate(url))
}

// sees waits until an element is there and says a text.
func (b *browser) sees(selector, text string) {
	b.t.Helper()
	b.says("waiting for "+text, fmt.Sprintf(`((e) => e && e.checkVisibility() && e.textContent.includes(%q))(document.querySelector(%q))`, text, selector))
}

// types sends text to what has the focus.
func (b *browser) types(text string) {
	b.t.Helper()
	b.do("typing", chromedp.KeyEvent(text))
}

// presses sends keys of [kb] to it.
func (b *browser) presses(keys ...string) {
	b.t.Helper()
	for _, k := range keys {
		b.do("pressing a key", chromedp.KeyEvent(k))
	}
}

// eval returns the text that a script yields, whatever the policy says.
func (b *browser) eval(script string) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, stepTime)
	defer cancel()
	s, err := chromedp.Run(ctx, chromedp.Evaluate[string]("String("+script+")"))
	if err != nil {
		b.t.Errorf("evaluating %s: %v", script, err)
	}
	return s
}

// paste pastes into the field, as a person does with what they copied.
func (b *browser) paste(text string) {
	b.t.Helper()
	data, _ := json.Marshal(text)
	b.eval(`((text) => {
		const data = new DataTransfer();
		data.setData("text", text);
		document.activeElement.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
	})(` + string(data) + `)`)
}

// quiet asserts that the browser has asked nobody else, and that nothing on the
// page is against its policy.
func (b *browser) quiet(site string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.asked) == 0 {
		b.t.Error("it has asked nobody")
	}
	for _, url := range b.asked {
		if !strings.HasPrefix(url, site) && !strings.HasPrefix(url, "about:") {
			b.t.Errorf("it has asked %s", url)
		}
	}
	for _, text := range b.complain {
		if strings.Contains(text, "Content Security Policy") || strings.Contains(text, "Uncaught") {
			b.t.Errorf("it says: %s", text)
		}
	}
}

const enterKey = kb.Enter

// clicks is a click with the mouse.
func clicks(selector string) chromedp.Action[chromedp.Void] { return chromedp.Click(selector) }

// hears waits until a page that shows the site was told something.
func (b *browser) hears(kind string) {
	b.t.Helper()
	b.says("waiting for the message "+kind, fmt.Sprintf(`window.heard.some((m) => m.type === %q)`, kind))
}

// inFrame asks a function of the document in the page's only frame until it says
// yes. The page itself cannot: it is of another origin.
func (b *browser) inFrame(what, function string) {
	b.t.Helper()
	yes := func(ctx context.Context, t *chromedp.Target) bool {
		tree, err := cdp.Call(ctx, t, page.GetFrameTree, cdp.Empty{})
		if err != nil || len(tree.FrameTree.ChildFrames) != 1 {
			return false
		}
		world, err := cdp.Call(ctx, t, page.CreateIsolatedWorld, page.CreateIsolatedWorldParams{FrameID: tree.FrameTree.ChildFrames[0].Frame.ID})
		if err != nil {
			return false
		}
		got, err := cdp.Call(ctx, t, runtime.Evaluate, runtime.EvaluateParams{
			Expression: "Boolean((" + function + ")(document))", ContextID: world.ExecutionContextID,
		})
		return err == nil && got.Result != nil && string(got.Result.Value) == "true"
	}
	b.until(what, yes)
}

// says waits until a script yields something true.
func (b *browser) says(what, script string) {
	b.t.Helper()
	b.until(what, func(ctx context.Context, t *chromedp.Target) bool {
		yes, err := chromedp.Evaluate[bool]("Boolean("+script+")")(ctx, t)
		return err == nil && yes
	})
}

// complains waits until the browser says a text.
func (b *browser) complains(text string) {
	b.t.Helper()
	b.until(text, func(context.Context, *chromedp.Target) bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return slices.ContainsFunc(b.complain, func(c string) bool { return strings.Contains(c, text) })
	})
}

// until looks every 20 ms whether f is content.
func (b *browser) until(what string, f func(context.Context, *chromedp.Target) bool) {
	b.t.Helper()
	b.do("waiting for "+what, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
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
