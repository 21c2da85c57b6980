package apikeyinject

// This file holds what keeps docs/cli.md to the commands that there are.

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

func TestThePageOfCommandsNamesEachCommandAndFlag(t *testing.T) {
	page, err := os.ReadFile("docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	root := &cobra.Command{Use: "apikey-inject"}
	caddycmd.Commands()["apikey-inject"].CobraFunc(root)
	known := map[string]bool{"--help": true}
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			walk(sub)
		}
		if c.HasSubCommands() {
			return
		}
		name := strings.TrimPrefix(c.CommandPath(), "apikey-inject ")
		if !regexp.MustCompile("(?m)^\\| [^|]*`" + name + "[ `]").Match(page) {
			t.Errorf("no row has the command %s", name)
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if known["--"+f.Name] = true; !regexp.MustCompile("--" + f.Name + "[ `]").Match(page) {
				t.Errorf("%s: nothing is said of --%s", name, f.Name)
			}
		})
	}
	walk(root)
	for _, flag := range regexp.MustCompile(`--[a-z][a-z-]*`).FindAllString(string(page), -1) {
		if !known[flag] {
			t.Errorf("no command has %s", flag)
		}
	}
}
