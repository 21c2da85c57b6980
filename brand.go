package apikeyinject

// This file holds whose page the Connect page is.

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"unicode"

	"github.com/apikeyinject/caddy-apikey-inject/web"
)

// Brand says whose page the Connect page is.
type Brand struct {
	// The name of the product. It stands above what is asked for, as text; with a
	// logo it is what the logo says to people who cannot see it. Required.
	Name string `json:"name,omitempty"`

	// A picture that stands in place of the name: an https URL, whose host then
	// learns that the page was opened, or a file (SVG, PNG, JPEG, WebP or GIF, up
	// to 256 KiB), which the page serves itself. It is seen on white and on black.
	Logo string `json:"logo,omitempty"`

	// The colour of buttons, as six digits: `0a7d4f`. Links and everything else
	// are then in the colour of text. Default: a blue.
	Color string `json:"color,omitempty"`

	// The colour of the words on it. The contrast of the two must be at least 4.5.
	// Default: white.
	TextColor string `json:"text_color,omitempty"`
}

// maxLogo bounds a logo that the page serves.
const maxLogo = 256 << 10

// brandLogo is the name of the logo among the page's files.
const brandLogo = "logo"

// brand is a [Brand] that is ready to be shown.
type brand struct {
	web.Brand

	logoSource string // what the page's policy must let it load, empty without
	logo       []byte // what the page serves
	logoType   string
}

// check reads the brand, but no file.
func (b *Brand) check() (*brand, error) {
	if b == nil {
		return &brand{}, nil
	}
	out := &brand{Brand: web.Brand{Name: b.Name}}
	if b.Name == "" {
		return nil, wrong("brand.name", "is required")
	}
	if len(b.Name) > 100 || strings.ContainsFunc(b.Name, unicode.IsControl) {
		return nil, wrong("brand.name", "must be one line of at most 100 bytes")
	}
	if err := b.checkColours(out); err != nil {
		return nil, err
	}
	if strings.Contains(b.Logo, "://") {
		source, err := logoSource(b.Logo)
		if err != nil {
			return nil, &fieldError{"brand.logo", err}
		}
		out.Logo, out.logoSource = b.Logo, source
	}
	return out, nil
}

// checkColours refuses two colours that are hard to tell apart.
func (b *Brand) checkColours(out *brand) error {
	if b.Color == "" {
		if b.TextColor != "" {
			return wrong("brand.text_color", "is the colour of words on color, which is missing")
		}
		return nil
	}
	var err error
	if out.Button, err = web.ParseColour(b.Color); err != nil {
		return &fieldError{"brand.color", err}
	}
	out.Text = web.White
	if b.TextColor != "" {
		if out.Text, err = web.ParseColour(b.TextColor); err != nil {
			return &fieldError{"brand.text_color", err}
		}
	}
	if ratio := web.Contrast(out.Button, out.Text); ratio < web.MinContrast {
		words, other := "white", "take a darker one, or name the colour of the words: color ffd000 1a1d21"
		if b.TextColor != "" {
			words, other = b.TextColor, "take a darker and a lighter one"
		}
		return wrong("brand.color", "%s and the words on it in %s have a contrast of %.2f, which must be at least %.1f; %s", b.Color, words, ratio-0.005, web.MinContrast, other)
	}
	return nil
}

// logoSource returns what the page's policy has to name for a logo to be loaded:
// its URL without the query, which a policy does not compare.
func logoSource(s string) (string, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "":
		return "", errors.New("must be a URL such as https://cdn.example/logo.svg, or a file")
	case u.Scheme != "https":
		return "", errors.New("must begin with https://, or be a file")
	case strings.ContainsAny(s, " ;,'\"*\\{}<>"):
		return "", errors.New("must have no blanks, quotes, or any of ; , * \\ { } < > in it")
	}
	return "https://" + u.Host + u.EscapedPath(), nil
}

// load is check, and reads the file of a logo.
func (b *Brand) load() (*brand, error) {
	out, err := b.check()
	if err != nil || b == nil || b.Logo == "" || out.Logo != "" {
		return out, err
	}
	if out.logo, err = readLogo(b.Logo); err != nil {
		return nil, &fieldError{"brand.logo", err}
	}
	if out.logoType, err = logoType(out.logo); err != nil {
		return nil, &fieldError{"brand.logo", err}
	}
	out.Logo = "assets/" + brandLogo
	return out, nil
}

func readLogo(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("reading the file: %w", err)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxLogo+1))
	if err != nil {
		return nil, fmt.Errorf("reading the file: %w", err)
	}
	if len(b) > maxLogo {
		return nil, fmt.Errorf("%s has more than 256 KiB", name)
	}
	return b, nil
}

// logoType returns the type of a picture by what is in it.
func logoType(b []byte) (string, error) {
	switch t := http.DetectContentType(b); {
	case t == "image/png", t == "image/jpeg", t == "image/webp", t == "image/gif":
		return t, nil
	case strings.HasPrefix(t, "text/") && bytes.Contains(b, []byte("<svg")):
		return "image/svg+xml", nil
	}
	return "", errors.New("is no SVG, PNG, JPEG, WebP or GIF")
}
