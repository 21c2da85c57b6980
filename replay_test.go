package apikeyinject

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
)

// source is a body that knows whether it was closed.
type source struct {
	io.Reader
	closed int
}

func (s *source) Close() error { s.closed++; return nil }

func newKept(r io.Reader, want int64) (*keptBody, *source) {
	s := &source{Reader: r}
	return &keptBody{source: s, want: want, settled: make(chan struct{})}, s
}

func TestKeptBodyIsWholeHoweverMuchWasSent(t *testing.T) {
	for sent := range 5 {
		b, s := newKept(strings.NewReader("body"), 4)
		if _, err := io.ReadFull(b, make([]byte, sent)); err != nil {
			t.Fatal(err)
		}
		_ = b.Close()
		if _, err := b.Read(make([]byte, 1)); !errors.Is(err, http.ErrBodyReadAfterClose) {
			t.Errorf("after %d bytes: reading what is closed gives %v", sent, err)
		}
		if whole, ok := b.whole(t.Context()); !ok || string(whole) != "body" || s.closed != 0 {
			t.Errorf("after %d bytes: %q %v, closed %d times", sent, whole, ok, s.closed)
		}
		b.release()
		if s.closed != 1 {
			t.Errorf("after %d bytes: closed %d times, want 1", sent, s.closed)
		}
	}
}

func TestKeptBodyOfUnknownLengthIsWholeWhenItIsEmpty(t *testing.T) {
	for text, want := range map[string]bool{"": true, "body": false} {
		b, _ := newKept(strings.NewReader(text), -1)
		if _, ok := b.whole(t.Context()); ok {
			t.Errorf("%q: whole before it was read", text)
		}
		_, _ = io.ReadAll(b)
		if whole, ok := b.whole(t.Context()); ok != want || len(whole) != 0 {
			t.Errorf("%q: %q %v", text, whole, ok)
		}
	}
}

func TestKeptBodyThatEndsEarlyIsNotWhole(t *testing.T) {
	b, _ := newKept(strings.NewReader("bod"), 4)
	_, _ = io.ReadAll(b)
	if whole, ok := b.whole(t.Context()); ok {
		t.Errorf("whole: %q", whole)
	}
}

// TestKeptBodyIsWaitedForWithinBounds has a caller that sends no more, while
// the transport still reads and after it gave up.
func TestKeptBodyIsWaitedForWithinBounds(t *testing.T) {
	for _, closed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r, w := io.Pipe()
			b, s := newKept(r, 4)
			go func() { _, _ = io.Copy(io.Discard, b) }()
			_, _ = w.Write([]byte("bo"))
			if closed {
				_ = b.Close()
			}
			if _, ok := b.whole(t.Context()); ok {
				t.Error("half a body is whole")
			}
			b.release()
			_ = w.Close() // the server's end of the request
			synctest.Wait()
			if closed != (s.closed == 1) {
				t.Errorf("closed %v: source closed %d times", closed, s.closed)
			}
		})
	}
}
