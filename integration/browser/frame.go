package browser

// This file holds how a page is looked into that another one shows in a frame.

import (
	"context"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// InFrame asks a function of the document in the page's only frame until it says
// yes. The page itself cannot: it is of another origin.
func (p *Page) InFrame(what, function string) {
	p.t.Helper()
	p.Until(what, func(ctx context.Context, t *chromedp.Target) bool {
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
	})
}
