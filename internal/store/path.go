package store

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxSegment is the longest segment of a path in bytes, as in file systems.
const MaxSegment = 255

// CheckPath refuses a document's path with a segment that a store's client
// would resolve, merge, or cut: see [CheckSegment].
func CheckPath(path string) error {
	for seg := range strings.SplitSeq(path, "/") {
		if err := CheckSegment(seg); err != nil {
			return fmt.Errorf("%q: %w", path, err)
		}
	}
	return nil
}

// CheckSegment refuses a segment of a path, such as a connection id, that is
// empty, `.` or `..`, has a slash, a control character or invalid UTF-8, is
// longer than [MaxSegment], or becomes one of these when it is percent-decoded:
// an id must never turn into another path.
func CheckSegment(seg string) error {
	for range 3 {
		if err := checkPlainSegment(seg); err != nil {
			return err
		}
		decoded, err := url.PathUnescape(seg)
		if err != nil || decoded == seg {
			return nil
		}
		seg = decoded
	}
	return nil
}

func checkPlainSegment(seg string) error {
	switch {
	case seg == "":
		return errors.New("a segment is empty")
	case seg == "." || seg == "..":
		return errors.New("a segment is . or .. and nothing else")
	case len(seg) > MaxSegment:
		return fmt.Errorf("a segment is longer than %d bytes", MaxSegment)
	case strings.Contains(seg, "/"):
		return errors.New("a segment has a slash")
	case !utf8.ValidString(seg):
		return errors.New("a segment is not valid UTF-8")
	}
	for _, r := range seg {
		// Vault answers 400 to these, invisible and odd blanks included, which
		// would look like a store that is away.
		if !unicode.IsPrint(r) {
			return errors.New("a segment has a control or other character that cannot be printed")
		}
	}
	return nil
}
