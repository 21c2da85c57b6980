package web

import (
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestThePageIsSmallAndLoadsNothingElse(t *testing.T) {
	size := 0
	err := fs.WalkDir(files, "connect", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(files, name)
		size += len(b)
		if strings.Contains(strings.ReplaceAll(string(b), "http://www.w3.org/2000/svg", ""), "://") {
			t.Errorf("%s names another host", name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if size > 60_000 || size < 10_000 {
		t.Errorf("it has %d bytes", size)
	}
}

func TestThePageHasNoInlineScriptOrStyle(t *testing.T) {
	b, err := fs.ReadFile(files, "connect/index.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, inline := range []string{`<script>`, `<style`, ` style=`, ` on[a-z]+=`, `javascript:`} {
		if regexp.MustCompile(inline).Match(b) {
			t.Errorf("it has %s", inline)
		}
	}
}

func TestOriginsAreEscaped(t *testing.T) {
	var b strings.Builder
	if err := ConnectPage.Execute(&b, ConnectData{Parents: []string{"https://a.example", `"><script>`}}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), `content="https://a.example &#34;&gt;&lt;script&gt;"`) {
		t.Errorf("wrote %s", b.String())
	}
}

// Every text that the page asks for is there in every language, and no other.
func TestEveryLanguageSaysEverything(t *testing.T) {
	read := func(name string) string {
		b, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	texts := read("connect/assets/texts.js")
	languages := regexp.MustCompile(`(?s)\n\t([a-z]{2}): \{(.*?)\n\t\}`).FindAllStringSubmatch(texts, -1)
	var first []string
	for _, l := range languages {
		var keys []string
		for _, m := range regexp.MustCompile(`(?:^|[\s,])([a-z]+): "[^"]+"`).FindAllStringSubmatch(l[2], -1) {
			keys = append(keys, m[1])
		}
		slices.Sort(keys)
		if first == nil {
			first = keys
		}
		if !slices.Equal(keys, first) {
			t.Errorf("%s has %v, %s has %v", l[1], keys, languages[0][1], first)
		}
	}
	if len(languages) != 5 || len(first) < 28 {
		t.Errorf("%d languages with %d texts", len(languages), len(first))
	}
	for _, m := range regexp.MustCompile(`data-(?:text|label)="([a-z]+)"`).FindAllStringSubmatch(read("connect/index.html"), -1) {
		if !slices.Contains(first, m[1]) {
			t.Errorf("nothing says %q", m[1])
		}
	}
}

// The dashboard is held to the same, but that a person who manages keys may wait for
// a little more.
func TestTheDashboardLoadsNothingElse(t *testing.T) {
	size := 0
	err := fs.WalkDir(Dashboard(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(Dashboard(), name)
		size += len(b)
		text := strings.NewReplacer("http://www.w3.org/2000/svg", "", "https://api.acme.com", "").Replace(string(b))
		for _, bad := range []string{"://", "innerHTML", "insertAdjacentHTML", "document.write", "localStorage", "sessionStorage", "indexedDB", "document.cookie", "eval(", ".style", "javascript:"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s has %s", name, bad)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if size > 60_000 || size < 20_000 {
		t.Errorf("it has %d bytes", size)
	}
	page, err := fs.ReadFile(Dashboard(), "index.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, inline := range []string{`<script>`, `<style`, ` style=`, ` on[a-z]+=`} {
		if regexp.MustCompile(inline).Match(page) {
			t.Errorf("it has %s", inline)
		}
	}
}

// Both pages look the same.
func TestTheColoursOfBothPagesAreTheSame(t *testing.T) {
	colours := func(file string) map[string]string {
		b, err := fs.ReadFile(files, file)
		if err != nil {
			t.Fatal(err)
		}
		found := make(map[string]string)
		for _, m := range regexp.MustCompile(`(--[a-z-]+): (light-dark\([^;]*)`).FindAllStringSubmatch(string(b), -1) {
			found[m[1]] = m[2]
		}
		return found
	}
	own := colours("dashboard/assets/dashboard.css")
	n := 0
	for name, c := range colours("connect/assets/connect.css") {
		if own[name] == "" {
			continue
		}
		if n++; own[name] != c {
			t.Errorf("%s is %s here and %s there", name, own[name], c)
		}
	}
	if n < 6 {
		t.Errorf("they share %d colours", n)
	}
}
