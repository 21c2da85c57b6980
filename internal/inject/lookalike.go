package inject

// This file holds what is not ASCII and is read as such by lenient servers.

import (
	"strings"
	"unicode/utf8"
)

// lookalikes are the characters that lenient servers read as those of a path:
// the first by Unicode's compatibility forms (NFKC), the last two by the best fit
// to a code page, as IIS has it.
var lookalikes = strings.NewReplacer(
	"\uff0e", ".", "\ufe52", ".", "\u2024", ".", "\u2025", "..",
	"\uff0f", "/", "\uff3c", `\`, "\ufe68", `\`, "\u2044", "/", "\u2215", "/",
)

// asASCII returns s with ASCII in place of its lookalikes and of its longer
// forms in UTF-8 (C0 AE for a dot), which a decoder must refuse and some do not.
func asASCII(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0 {
		return s
	}
	s = lookalikes.Replace(s)
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		c, width := first(s[i:])
		b.WriteByte(c)
		i += width - 1
	}
	return b.String()
}

// longer are the bytes that begin a longer form. Those after them are its last
// one; of two of equal length the second is of the characters from 0x40 on.
var longer = []string{"\xc0", "\xc1", "\xe0\x80", "\xe0\x81", "\xf0\x80\x80", "\xf0\x80\x81"}

// first returns the character that s begins with, when it is ASCII in a longer
// form, or its first byte.
func first(s string) (c byte, width int) {
	for n, lead := range longer {
		rest, ok := strings.CutPrefix(s, lead)
		if ok && rest != "" && rest[0]&0xc0 == 0x80 {
			return byte(n&1)<<6 | rest[0]&0x3f, len(lead) + 1
		}
	}
	return s[0], 1
}
