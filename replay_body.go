package apikeyinject

import (
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// This file holds request bodies that can be sent again.

func hasBody(r *http.Request) bool {
	return r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0
}

// keep makes out's body one that can be sent again: of known length, up to the
// limit, or of a length that was not said and is found to be 0, as HTTP/3 does
// it. It returns nil for every other.
func (ex *exchange) keep(r, out *http.Request) *keptBody {
	if !hasBody(r) || r.ContentLength > ex.target.replayBuffer || isUpgrade(r) || len(r.Trailer) > 0 {
		return nil
	}
	b := &keptBody{source: r.Body, want: r.ContentLength, settled: make(chan struct{})}
	out.Body = b
	return b
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
