// Whatever stands in a Caddyfile, the adapter answers.

package adapt

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sources returns the Caddyfiles of the golden files, by name.
func sources(t testing.TB, pattern string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(pattern + ".caddyfiletest")
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string, len(files))
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		source, _, _ := strings.Cut(string(data), separator)
		all[strings.TrimSuffix(file, ".caddyfiletest")] = source + "\n"
	}
	if len(all) == 0 {
		t.Fatalf("no golden file is named %s", pattern)
	}
	return all
}

func FuzzCaddyfile(f *testing.F) {
	environment(f)
	for _, source := range sources(f, "*") {
		f.Add(source)
	}
	f.Fuzz(func(t *testing.T, source string) {
		// Files of the machine are not the input's to read, and a heredoc or a
		// comment may hold the word all the same.
		if strings.Contains(source, "import") {
			return
		}
		// A panic is what is looked for; what the same text becomes must not
		// depend on anything else.
		first, err := adapt(source)
		second, again := adapt(source)
		if (err == nil) != (again == nil) || first != second {
			t.Errorf("adapts to two things:\n%s %v\n%s %v", first, err, second, again)
		}
		if err != nil && strings.Contains(err.Error(), canary) && !strings.Contains(source, canary) && quotedByUs(err.Error()) {
			t.Errorf("the error holds the canary: %v", err)
		}
	})
}

// quotedByUs tells whether an error about a secret, a template or a number of
// arguments is ours: these quote nothing.
func quotedByUs(text string) bool {
	for _, part := range []string{"wrong number of arguments", "does not contain ${apiKey}", "in clear", "user or password"} {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}
