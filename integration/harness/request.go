// What an upstream received.

package harness

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"time"
)

// Field is one header or trailer line as it came: casing, order, and value
// untouched but for the blanks around the value.
type Field struct{ Name, Value string }

// Request is one request as an upstream received it.
type Request struct {
	// N counts this upstream's requests, from 1.
	N int

	// Conn counts the upstream's connections, from 1.
	Conn int

	// Proto is "HTTP/1.1" on a raw upstream, else what net/http says.
	Proto string

	// Method and Target are the parts of the request line; Target is
	// byte-exact on both kinds of upstream.
	Method, Target string

	// Fields are the header lines. An upstream of HTTP/2 cannot tell their
	// order or casing: there they are sorted, canonical, and Host comes first.
	Fields []Field

	// Trailers are the trailer lines of a chunked body.
	Trailers []Field

	// Head is the request line and header as bytes, with the empty line. Nil
	// on an HTTP/2 upstream.
	Head []byte

	// Body is the decoded body up to [MaxBody] bytes; BodyLen and BodySum
	// cover all of it.
	Body    []byte
	BodyLen int64
	BodySum [sha256.Size]byte

	// At is when the header had been read.
	At time.Time
}

// MaxBody is how much of a body is kept, in bytes. 1 MiB shows every test what
// it needs without making a test of flat memory measure the harness.
const MaxBody = 1 << 20

// Values returns the values of all header lines of that name, in any casing,
// in order.
func (r *Request) Values(name string) []string { return values(r.Fields, name) }

// Lines returns all header lines of that name, in any casing, as "Name: value".
func (r *Request) Lines(name string) []string {
	var out []string
	for _, f := range r.Fields {
		if strings.EqualFold(f.Name, name) {
			out = append(out, f.Name+": "+f.Value)
		}
	}
	return out
}

// Names returns the names of all header lines in order.
func (r *Request) Names() []string {
	out := make([]string, 0, len(r.Fields))
	for _, f := range r.Fields {
		out = append(out, f.Name)
	}
	return out
}

// Host returns the authority that the request names.
func (r *Request) Host() string { return strings.Join(r.Values("Host"), ", ") }

// String shows the request as text, for failure messages and for searching it
// whole.
func (r *Request) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s\n", r.Method, r.Target, r.Proto)
	for _, f := range r.Fields {
		fmt.Fprintf(&b, "%s: %s\n", f.Name, f.Value)
	}
	fmt.Fprintf(&b, "\n%s", r.Body)
	for _, f := range r.Trailers {
		fmt.Fprintf(&b, "\n%s: %s", f.Name, f.Value)
	}
	return b.String()
}

func values(fields []Field, name string) []string {
	var out []string
	for _, f := range fields {
		if strings.EqualFold(f.Name, name) {
			out = append(out, f.Value)
		}
	}
	return out
}

func find(fields []Field, name string) string {
	if vs := values(fields, name); len(vs) > 0 {
		return vs[0]
	}
	return ""
}
