package web

// This file holds whose page it is: a name, a logo, and a colour.

import (
	"fmt"
	"math"
	"strconv"
)

// Brand is whose page it is. Its zero value is nobody's.
type Brand struct {
	Name string
	Logo string // its URL, empty without

	// Button is the colour of what is to be clicked, Text that of the words on
	// it. Both or none.
	Button, Text Colour
}

// MinContrast is what text needs for people who see little (WCAG 2.2, 1.4.3).
const MinContrast = 4.5

// Colour is one of sRGB. Nil is none.
type Colour *[3]uint8

// White is the default of words on a colour.
var White Colour = &[3]uint8{255, 255, 255}

// ParseColour reads six digits, 0a7d4f, which may stand behind a #.
func ParseColour(s string) (Colour, error) {
	digits := s
	if len(s) == 7 && s[0] == '#' {
		digits = s[1:]
	}
	n, err := strconv.ParseUint(digits, 16, 24)
	if err != nil || len(digits) != 6 {
		return nil, fmt.Errorf("%q is no colour of six digits, such as 0a7d4f", s)
	}
	return &[3]uint8{uint8(n >> 16), uint8(n >> 8), uint8(n)}, nil //nolint:gosec // each is one of its bytes
}

// Contrast returns the ratio of two colours, 1 to 21, as WCAG 2.2 defines it.
func Contrast(a, b Colour) float64 {
	light, dark := luminance(a), luminance(b)
	if light < dark {
		light, dark = dark, light
	}
	return (light + 0.05) / (dark + 0.05)
}

func luminance(c Colour) float64 {
	linear := func(v uint8) float64 {
		s := float64(v) / 255
		if s <= 0.04045 {
			return s / 12.92
		}
		return math.Pow((s+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c[0]) + 0.7152*linear(c[1]) + 0.0722*linear(c[2])
}

// Styles returns the stylesheet of a brand, empty without a colour. The two
// colours stand on each other alone, so that they are as readable in the dark;
// everything else keeps the page's.
func (b Brand) Styles() []byte {
	if b.Button == nil {
		return nil
	}
	hex := func(c Colour) string { return fmt.Sprintf("#%02x%02x%02x", c[0], c[1], c[2]) }
	return fmt.Appendf(nil, ":root { --button: %s; --on-button: %s; --accent: var(--text); }\n", hex(b.Button), hex(b.Text))
}
