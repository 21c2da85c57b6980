package web

import (
	"math"
	"strings"
	"testing"
)

// The ratios are those of WCAG's own examples and of common checkers.
func TestContrastIsThatOfWCAG(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want float64
	}{
		{"000000", "ffffff", 21}, {"ffffff", "000000", 21}, {"777777", "#ffffff", 4.48}, {"767676", "ffffff", 4.54}, {"0a7d4f", "0a7d4f", 1}, {"ff0000", "ffffff", 4.00}, {"0000FF", "ffffff", 8.59},
	} {
		a, err := ParseColour(c.a)
		if err != nil {
			t.Fatal(err)
		}
		b, err := ParseColour(c.b)
		if err != nil {
			t.Fatal(err)
		}
		if got := Contrast(a, b); math.Abs(got-c.want) > 0.006 {
			t.Errorf("%s on %s: %.3f, want %.2f", c.a, c.b, got, c.want)
		}
	}
}

func TestWhatIsNoColourIsRefused(t *testing.T) {
	for _, s := range []string{"", "#", "fff", "#fff", "0a7d4", "0a7d4f0", "##a7d4f", "+a7d4f", "0x7d4f", "0a_d4f", "green", "0a7d4g"} {
		if c, err := ParseColour(s); err == nil {
			t.Errorf("%q is %v", s, *c)
		}
	}
}

func TestABrandWithoutAColourHasNoStyles(t *testing.T) {
	if got := (Brand{Name: "Acme"}).Styles(); got != nil {
		t.Errorf("wrote %s", got)
	}
	if got := string((Brand{Button: &[3]uint8{0, 10, 255}, Text: White}).Styles()); !strings.Contains(got, "--button: #000aff; --on-button: #ffffff;") {
		t.Errorf("wrote %s", got)
	}
}

func TestANameIsEscaped(t *testing.T) {
	for _, logo := range []string{"", "assets/logo"} {
		var b strings.Builder
		if err := ConnectPage.Execute(&b, ConnectData{Brand: Brand{Name: `"><script>`, Logo: logo}}); err != nil {
			t.Fatal(err)
		}
		if page := b.String(); strings.Contains(page, `"><script>`) || !strings.Contains(page, "&gt;&lt;script&gt;") {
			t.Errorf("wrote %s", page)
		}
	}
}
