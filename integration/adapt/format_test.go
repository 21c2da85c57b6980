// Every Caddyfile of the repository is as caddy fmt writes it.

package adapt

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

// caddyfileBlock is a fenced block of Markdown that is marked as a Caddyfile.
var caddyfileBlock = regexp.MustCompile("(?ms)^```[Cc]addyfile[^\n]*\n(.*?)^```")

func TestEveryCaddyfileIsFormatted(t *testing.T) {
	top := harness.Root(t)
	found := 0
	check := func(name, text string) {
		found++
		t.Run(name, func(t *testing.T) {
			if formatted := string(caddyfile.Format([]byte(text))); formatted != text {
				t.Errorf("is not as caddy fmt would write it:\n%s", formatted)
			}
		})
	}
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{".git", "bin", "node_modules"}, d.Name()) {
			return filepath.SkipDir
		}
		name, err := filepath.Rel(top, path)
		if err != nil || d.IsDir() {
			return err
		}
		markdown := strings.HasSuffix(name, ".md")
		if !markdown && !strings.HasSuffix(name, "Caddyfile") && !strings.HasSuffix(name, ".caddyfile") {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if !markdown {
			check(name, string(data))
			return nil
		}
		for _, block := range caddyfileBlock.FindAllStringSubmatch(string(data), -1) {
			check(name, block[1])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found == 0 {
		t.Error("found no Caddyfile in the repository")
	}
}
