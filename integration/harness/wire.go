// Reading HTTP/1.1 requests off a connection byte for byte.

package harness

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// errWire says that the peer sent something that is not HTTP/1.1.
var errWire = errors.New("malformed request")

// readHead reads a request line and header. The error is io.EOF when the peer
// closed the connection between two requests.
func readHead(br *bufio.Reader) (*Request, error) {
	var head bytes.Buffer
	r := &Request{}
	for {
		line, err := br.ReadString('\n')
		head.WriteString(line)
		if err != nil {
			if head.Len() == 0 {
				return nil, io.EOF
			}
			return nil, fmt.Errorf("reading header: %w", err)
		}
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		if r.Method == "" {
			parts := strings.Split(line, " ")
			if len(parts) != 3 || parts[0] == "" {
				return nil, fmt.Errorf("%w: request line %q", errWire, line)
			}
			r.Method, r.Target, r.Proto = parts[0], parts[1], parts[2]
			continue
		}
		if line == "" {
			r.Head = head.Bytes()
			return r, nil
		}
		f, err := parseField(line)
		if err != nil {
			return nil, err
		}
		r.Fields = append(r.Fields, f)
	}
}

func parseField(line string) (Field, error) {
	name, value, ok := strings.Cut(line, ":")
	if !ok || name == "" || strings.TrimSpace(name) != name {
		return Field{}, fmt.Errorf("%w: header line %q", errWire, line)
	}
	return Field{Name: name, Value: strings.Trim(value, " \t")}, nil
}

// readBody reads the body that the header announces into r. Content-Length
// beside Transfer-Encoding is an error: it is how requests are smuggled.
func readBody(br *bufio.Reader, r *Request) error {
	sink := &bodySink{r: r}
	h := sha256.New()
	dst := io.MultiWriter(sink, h)
	defer func() { h.Sum(r.BodySum[:0]) }()

	lengths := values(r.Fields, "Content-Length")
	codings := values(r.Fields, "Transfer-Encoding")
	switch {
	case len(codings) > 0:
		if len(lengths) > 0 || len(codings) > 1 || !strings.EqualFold(codings[0], "chunked") {
			return fmt.Errorf("%w: ambiguous body length", errWire)
		}
		return readChunks(br, r, dst)
	case len(lengths) > 1:
		return fmt.Errorf("%w: several Content-Length", errWire)
	case len(lengths) == 1:
		n, err := strconv.ParseInt(lengths[0], 10, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("%w: Content-Length %q", errWire, lengths[0])
		}
		if _, err := io.CopyN(dst, br, n); err != nil {
			return fmt.Errorf("reading body: %w", err)
		}
	}
	return nil
}

func readChunks(br *bufio.Reader, r *Request, dst io.Writer) error {
	for {
		line, err := br.ReadString('\n')
		if err != nil {
			return fmt.Errorf("reading chunk size: %w", err)
		}
		size, _, _ := strings.Cut(strings.TrimSpace(line), ";")
		n, err := strconv.ParseInt(size, 16, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("%w: chunk size %q", errWire, line)
		}
		if n == 0 {
			break
		}
		if _, err := io.CopyN(dst, br, n); err != nil {
			return fmt.Errorf("reading chunk: %w", err)
		}
		if end, err := br.ReadString('\n'); err != nil || strings.TrimSpace(end) != "" {
			return fmt.Errorf("%w: chunk without an end", errWire)
		}
	}
	for {
		line, err := br.ReadString('\n')
		if err != nil {
			return fmt.Errorf("reading trailer: %w", err)
		}
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			return nil
		}
		f, err := parseField(line)
		if err != nil {
			return err
		}
		r.Trailers = append(r.Trailers, f)
	}
}

// bodySink keeps the first MaxBody bytes and counts the rest.
type bodySink struct{ r *Request }

func (s *bodySink) Write(p []byte) (int, error) {
	s.r.BodyLen += int64(len(p))
	if room := MaxBody - len(s.r.Body); room > 0 {
		s.r.Body = append(s.r.Body, p[:min(room, len(p))]...)
	}
	return len(p), nil
}
