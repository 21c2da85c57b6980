package browser

// This file holds how pictures of a page are made small.

import (
	"bytes"
	"cmp"
	"context"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"slices"

	"github.com/chromedp/chromedp"
)

// maxColours is how many colours a picture has: text and flat areas need few.
const maxColours = 64

// Picture returns a PNG of the window.
func (p *Page) Picture() []byte {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, stepTime)
	defer cancel()
	shot, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Fatalf("making a picture: %v", err)
	}
	img, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		p.t.Fatalf("reading the picture: %v", err)
	}
	var b bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&b, fewer(img)); err != nil {
		p.t.Fatalf("writing the picture: %v", err)
	}
	return b.Bytes()
}

// fewer returns an image in its most frequent colours.
func fewer(img image.Image) image.Image {
	counts := map[color.Color]int{}
	area := img.Bounds()
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			counts[img.At(x, y)]++
		}
	}
	palette := slices.SortedFunc(maps.Keys(counts), func(a, b color.Color) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(key(a), key(b)))
	})
	small := image.NewPaletted(area, palette[:min(maxColours, len(palette))])
	draw.Draw(small, area, img, area.Min, draw.Src)
	return small
}

// key orders colours that are as frequent, so that pictures do not change.
func key(c color.Color) uint64 {
	r, g, b, _ := c.RGBA()
	return uint64(r)<<32 | uint64(g)<<16 | uint64(b)
}
