package apikeyinject

import (
	"bytes"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestALogoIsServedByWhatIsInIt(t *testing.T) {
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 1, 1))); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ content, want, refused string }{
		"a PNG by another name":   {picture.String(), "image/png", ""},
		"an SVG":                  {`<svg xmlns="http://www.w3.org/2000/svg"/>`, "image/svg+xml", ""},
		"an SVG behind a comment": {`<?xml version="1.0"?><!-- made by hand --><svg/>`, "image/svg+xml", ""},
		"a page":                  {"<html></html>", "", "is no SVG, PNG"},
		"too large":               {"<svg>" + strings.Repeat(" ", maxLogo), "", "more than 256 KiB"},
	} {
		file := filepath.Join(t.TempDir(), "logo.jpg")
		if err := os.WriteFile(file, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := (&Brand{Name: "Acme", Logo: file}).load()
		switch {
		case c.refused != "":
			if err == nil || !strings.HasPrefix(err.Error(), "brand.logo: ") || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%s: %v", name, err)
			}
		case err != nil || b.logoType != c.want || string(b.logo) != c.content || b.Logo != "assets/logo" || b.logoSource != "":
			t.Errorf("%s: %+v %v", name, b, err)
		}
	}
	if _, err := (&Brand{Name: "Acme", Logo: "/no/such/file"}).load(); err == nil || !strings.HasPrefix(err.Error(), "brand.logo: reading the file") {
		t.Errorf("no file: %v", err)
	}
}

func TestTheLogoOfAnotherHostIsNamedInThePolicy(t *testing.T) {
	b, err := (&Brand{Name: "Acme", Logo: "https://cdn.example:8443/a%20b.svg?v=2"}).load()
	if err != nil {
		t.Fatal(err)
	}
	if got := policy([]string{"https://app.example"}, b.logoSource); !strings.Contains(got, "img-src 'self' https://cdn.example:8443/a%20b.svg; ") {
		t.Errorf("the policy is %s", got)
	}
}
