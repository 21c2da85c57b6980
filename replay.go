package apikeyinject

// This file holds what happens when an upstream refuses a key: it is read
// again, and the request sent once more where that is safe.

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/keyring"
)

const (
	// defaultReplayBuffer is the largest request body that is kept for a
	// replay, in bytes.
	defaultReplayBuffer = 64 << 10

	// maxReplayBuffer bounds what an operator may ask for: a body that large
	// is held in memory for every request under way.
	maxReplayBuffer = 16 << 20

	// refusedWait bounds what an answer with a refused key waits for a newer
	// key. A healthy store takes milliseconds.
	refusedWait = 2 * time.Second

	// drainLimit is how much of a refused answer is read so that its
	// connection can be used again.
	drainLimit = 64 << 10

	// drainWait bounds how long that takes: a new connection costs less.
	drainWait = 100 * time.Millisecond
)

// defaultRefused are the statuses by which an upstream refuses a key.
var defaultRefused = []int{http.StatusUnauthorized}

// checkRefused refuses statuses that do not say that nothing was done.
func checkRefused(statuses []int) error {
	for _, s := range statuses {
		if s < 400 || s > 499 {
			return fmt.Errorf("%d is no status by which a key is refused; 400 to 499 are allowed", s)
		}
	}
	return nil
}

// checkReplayBuffer bounds the memory that requests may hold.
func checkReplayBuffer(n int64) error {
	if n < 0 || n > maxReplayBuffer {
		return fmt.Errorf("%d bytes is outside 0 to %d", n, maxReplayBuffer)
	}
	return nil
}

// rotation is how a request gets by when its key was replaced.
type rotation struct {
	handler  *Handler
	entry    *keyring.Entry
	replayed bool
}

// roundTrip sends out, a placed copy of r, and answers a refusal of its key: a
// newer key, or in a rotation the former one, is tried once.
func (ex *exchange) roundTrip(base http.RoundTripper, r, out *http.Request) (*http.Response, error) {
	if len(ex.rotation.handler.refused) == 0 {
		return base.RoundTrip(out)
	}
	body := ex.keep(r, out)
	if body != nil {
		defer body.release()
	}
	res, err := base.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(ex.rotation.handler.refused, res.StatusCode) {
		ex.rotation.entry.Accepted(ex.ren.key)
		return res, nil
	}
	newest := ex.ren.key
	other, isNewer := ex.otherKey(r.Context())
	if other == nil {
		return res, nil
	}
	again := ex.replay(base, r, res, body, other)
	if again == nil { // cannot be sent again; the next request has the newer key
		return res, nil
	}
	return ex.judge(again, newest, other, isNewer)
}

// judge tells the keyring what the upstream thinks of the key that was tried
// last.
func (ex *exchange) judge(again *answer, newest, other *keyring.Key, isNewer bool) (*http.Response, error) {
	if again.err != nil {
		return nil, again.err
	}
	refused := slices.Contains(ex.rotation.handler.refused, again.res.StatusCode)
	switch {
	case refused && isNewer:
		ex.rotation.entry.Rejected(other)
	case refused:
		ex.rotation.entry.Rejected(newest)
	default:
		ex.rotation.entry.Accepted(other)
	}
	return again.res, nil
}

// otherKey returns a newer key than the one that was refused, or the former one
// while a rotation lasts. Nil says that none helps, which the keyring is told,
// or that the caller or the time was gone before the store answered, which says
// nothing of the key.
func (ex *exchange) otherKey(ctx context.Context) (key *keyring.Key, isNewer bool) {
	ctx, cancel := context.WithTimeout(ctx, refusedWait)
	defer cancel()
	if key, ok := ex.rotation.entry.Refused(ctx, ex.rotation.handler.integration.Key.Field, ex.ren.key); ok {
		return key, true
	}
	if key, ok := ex.rotation.entry.Previous(ex.rotation.handler.integration.Key.Field); ok && key != ex.ren.key {
		return key, false
	}
	if ctx.Err() == nil {
		ex.rotation.entry.Rejected(ex.ren.key)
	}
	return nil, false
}

// answer is what came of a second try.
type answer struct {
	res *http.Response
	err error
}

// replay sends the request once more with another key. Nil says that it cannot
// be: its body is not kept, or the key cannot be rendered. A refusal says that
// nothing was done, so the method does not matter.
func (ex *exchange) replay(base http.RoundTripper, r *http.Request, res *http.Response, body *keptBody, key *keyring.Key) *answer {
	if isUpgrade(r) || body == nil && hasBody(r) {
		return nil
	}
	var sent []byte
	if body != nil {
		var ok bool
		if sent, ok = body.whole(r.Context()); !ok {
			return nil
		}
	}
	ren, err := ex.rotation.handler.render(key)
	if err != nil {
		return nil
	}
	drain(res.Body)
	ex.ren, ex.inj, ex.rotation.replayed = ren, ren.inj, true
	ex.writer.muted = ex.writer.relayed // one set of interim answers is enough
	out, err := ex.place(r)
	if err != nil {
		return &answer{err: err}
	}
	if body != nil {
		out.Body = io.NopCloser(bytes.NewReader(sent))
	}
	if len(sent) == 0 {
		out.Body, out.ContentLength = nil, 0
	}
	again, err := base.RoundTrip(out) //nolint:bodyclose // the answer is handed on
	return &answer{again, err}
}

func isUpgrade(r *http.Request) bool { return len(r.Header["Upgrade"]) > 0 }

func hasBody(r *http.Request) bool {
	return r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0
}

// keep makes out's body one that can be sent again: of known length, up to the
// limit, or of a length that was not said and is found to be 0, as HTTP/3 does
// it. It returns nil for every other.
func (ex *exchange) keep(r, out *http.Request) *keptBody {
	if !hasBody(r) || r.ContentLength > ex.rotation.handler.replayBuffer || isUpgrade(r) || len(r.Trailer) > 0 {
		return nil
	}
	b := &keptBody{source: r.Body, want: r.ContentLength, settled: make(chan struct{})}
	out.Body = b
	return b
}

// drain reads a refused answer to its end, so that its connection can be used
// again. One that does not end soon is cut.
func drain(body io.ReadCloser) {
	t := time.AfterFunc(drainWait, func() { _ = body.Close() })
	_, _ = io.CopyN(io.Discard, body, drainLimit)
	t.Stop()
	_ = body.Close()
}

// keptBody remembers a body while it is sent, without delay.
//
// Until it is released, closing it does not close the source: an upstream that
// refuses a request by its header never gets the body, and the replay needs it
// whole.
type keptBody struct {
	source io.ReadCloser
	want   int64 // -1: unknown, and nothing is remembered

	mu   sync.Mutex // held while the source is read
	buf  []byte     // not written any more once it is whole
	some bool       // something was read

	empty atomic.Bool // nothing was read up to the end

	closed, released atomic.Bool

	once    sync.Once
	settled chan struct{} // closed when it is whole, or the transport reads no more of it
}

// Read reads from the source and remembers.
func (b *keptBody) Read(p []byte) (int, error) {
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := b.read(p)
	if err != nil {
		b.settle()
	}
	return n, err
}

func (b *keptBody) read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, err := b.source.Read(p)
	b.some = b.some || n > 0
	if err == io.EOF && !b.some {
		b.empty.Store(true)
	}
	if int64(len(b.buf)) < b.want {
		b.buf = append(b.buf, p[:n]...)
		if int64(len(b.buf)) >= b.want {
			b.settle()
		}
	}
	return n, err
}

// Close ends the sending. It does not wait for a Read under way.
func (b *keptBody) Close() error {
	b.closed.Store(true)
	b.settle()
	if b.released.Load() {
		return b.source.Close()
	}
	return nil
}

// release says that nothing will be replayed any more. A source that was read
// is closed with the body: reverse_proxy counts on it for not sending what is
// left as the whole when it tries again.
func (b *keptBody) release() {
	b.released.Store(true)
	if b.closed.Load() {
		_ = b.source.Close()
	}
}

func (b *keptBody) settle() { b.once.Do(func() { close(b.settled) }) }

// whole returns the body when all of it is there in time. An upstream may
// refuse before it got it all: the transport goes on sending, or stops, and
// then the rest is read here. The goroutine ends at the latest with the
// request, when the server closes the source.
func (b *keptBody) whole(ctx context.Context) ([]byte, bool) {
	if b.want < 0 {
		return nil, b.empty.Load()
	}
	ctx, cancel := context.WithTimeout(ctx, refusedWait)
	defer cancel()
	select {
	case <-b.settled:
	case <-ctx.Done():
		return nil, false
	}
	rest := make(chan error, 1)
	go func() { rest <- b.readRest() }()
	select {
	case err := <-rest:
		return b.buf, err == nil
	case <-ctx.Done():
		return nil, false
	}
}

// readRest reads what the transport did not.
func (b *keptBody) readRest() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	rest, err := io.ReadAll(io.LimitReader(b.source, b.want-int64(len(b.buf))))
	b.buf = append(b.buf, rest...)
	if err == nil && int64(len(b.buf)) < b.want {
		err = io.ErrUnexpectedEOF
	}
	return err
}
