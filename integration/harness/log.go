// What a process wrote, searchable while it runs.

package harness

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"
)

// Log keeps everything a process wrote.
type Log struct {
	mu      sync.Mutex
	buf     strings.Builder
	changed chan struct{} // closed and replaced at each write
}

// NewLog returns an empty log.
func NewLog() *Log { return &Log{changed: make(chan struct{})} }

// Write adds to the log.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf.Write(p)
	close(l.changed)
	l.changed = make(chan struct{})
	return len(p), nil
}

// String returns everything so far.
func (l *Log) String() string {
	s, _ := l.state()
	return s
}

func (l *Log) state() (string, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String(), l.changed
}

// Mark returns how much has been written, to look only at what comes later.
func (l *Log) Mark() int { return len(l.String()) }

// Since returns what was written after a mark.
func (l *Log) Since(mark int) string { return l.String()[mark:] }

// Tail returns the last n lines.
func (l *Log) Tail(n int) string {
	lines := strings.Split(strings.TrimRight(l.String(), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// Wait waits until the log holds part, and returns the line it is in. The test
// fails after d.
func (l *Log) Wait(t testing.TB, part string, d time.Duration) string {
	t.Helper()
	timeout := time.NewTimer(d)
	defer timeout.Stop()
	for {
		s, changed := l.state()
		for line := range strings.Lines(s) {
			if strings.Contains(line, part) && strings.HasSuffix(line, "\n") {
				return strings.TrimSuffix(line, "\n")
			}
		}
		select {
		case <-changed:
		case <-timeout.C:
			t.Fatalf("the log does not hold %q after %s; its end:\n%s", part, d, l.Tail(20))
			return ""
		}
	}
}

// Entries returns the JSON lines whose "logger" begins with the given name and
// for which every given part occurs in the line.
func (l *Log) Entries(logger string, parts ...string) []map[string]any {
	var out []map[string]any
lines:
	for line := range strings.Lines(l.String()) {
		for _, p := range parts {
			if !strings.Contains(line, p) {
				continue lines
			}
		}
		var entry map[string]any
		if json.Unmarshal([]byte(line), &entry) != nil {
			continue
		}
		if name, _ := entry["logger"].(string); strings.HasPrefix(name, logger) {
			out = append(out, entry)
		}
	}
	return out
}
