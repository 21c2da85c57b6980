package apikeyinject

// This file holds the bar that shows a person how far a long command is.

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// progressWidth is the length of a bar, in letters.
const progressWidth = 30

// progress draws a bar, at most ten times a second and only on a terminal.
type progress struct {
	w     io.Writer // nil: nobody looks
	title string
	all   int
	done  int
	drawn time.Time
	now   func() time.Time
}

func newProgress(w io.Writer, terminal bool, title string, all int) *progress {
	p := &progress{title: title, all: all, now: time.Now}
	if terminal {
		p.w = w
	}
	return p
}

// step says that one more is done.
func (p *progress) step() {
	p.done++
	if p.w == nil || p.done < p.all && p.now().Sub(p.drawn) < 100*time.Millisecond {
		return
	}
	p.drawn = p.now()
	full := progressWidth * p.done / p.all
	fmt.Fprintf(p.w, "\r%s [%s%s] %s of %s", p.title, strings.Repeat("=", full), strings.Repeat(" ", progressWidth-full),
		humanize.Comma(int64(p.done)), humanize.Comma(int64(p.all)))
}

// end leaves the line of the bar.
func (p *progress) end() {
	if p.w != nil {
		fmt.Fprintln(p.w)
	}
}
