package browser

// This file holds how a page is looked into that another one shows in a frame.

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// InFrame asks a function of the document in the page's first frame until it says
// yes. The page itself cannot: it is of another origin.
func (p *Page) InFrame(what, function string) {
	p.t.Helper()
	p.Until(what, func(ctx context.Context, t *chromedp.Target) bool {
		v, err := inFrame(ctx, t, "Boolean(("+function+")(document))")
		return err == nil && string(v) == "true"
	})
}

// ClicksInFrame is a click with the mouse on an element of that document, once
// it is there. The frame fills the window.
func (p *Page) ClicksInFrame(selector string) {
	p.t.Helper()
	var at [2]float64
	p.Until(selector, func(ctx context.Context, t *chromedp.Target) bool {
		v, err := inFrame(ctx, t, `((e) => { const r = e.getBoundingClientRect(); return e.checkVisibility() ? [r.x + r.width / 2, r.y + r.height / 2] : null; })(document.querySelector(`+quoted(selector)+`))`)
		return err == nil && json.Unmarshal(v, &at) == nil && at != [2]float64{}
	})
	p.Do("clicking "+selector, chromedp.MouseClickXY(at[0], at[1]))
}

var errNoFrame = errors.New("there is no frame")

// inFrame returns the JSON of what a script yields in the first frame.
func inFrame(ctx context.Context, t *chromedp.Target, script string) ([]byte, error) {
	tree, err := cdp.Call(ctx, t, page.GetFrameTree, cdp.Empty{})
	if err != nil {
		return nil, err
	}
	if len(tree.FrameTree.ChildFrames) == 0 {
		return nil, errNoFrame
	}
	world, err := cdp.Call(ctx, t, page.CreateIsolatedWorld, page.CreateIsolatedWorldParams{FrameID: tree.FrameTree.ChildFrames[0].Frame.ID})
	if err != nil {
		return nil, err
	}
	byValue := true
	got, err := cdp.Call(ctx, t, runtime.Evaluate, runtime.EvaluateParams{Expression: script, ContextID: world.ExecutionContextID, ReturnByValue: &byValue})
	if err != nil {
		return nil, err
	}
	if got.Result == nil {
		return nil, errNoFrame
	}
	return got.Result.Value, nil
}
