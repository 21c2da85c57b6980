package apikeyinject

// This file holds what commands that print have in common.

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

// printJSON prints for scripts.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// present prints what the API has of one thing: as it came for scripts, else as
// people says.
func present[View any](fl caddycmd.Flags, raw json.RawMessage, people func(*View) error) error {
	if fl.Bool("json") {
		return printJSON(os.Stdout, raw)
	}
	v := new(View)
	if err := json.Unmarshal(raw, v); err != nil {
		return err
	}
	return people(v)
}

// presentAll is present for a list, which people get as a table, and as a sentence
// when there is nothing in it.
func presentAll[View any](fl caddycmd.Flags, all []json.RawMessage, none string, head []string, row func(*View) []string) error {
	if fl.Bool("json") {
		return printJSON(os.Stdout, all)
	}
	if len(all) == 0 {
		_, err := fmt.Println(none)
		return err
	}
	rows := make([][]string, 0, len(all))
	for _, raw := range all {
		v := new(View)
		if err := json.Unmarshal(raw, v); err != nil {
			return err
		}
		rows = append(rows, row(v))
	}
	return printTable(os.Stdout, head, rows)
}

// warn prints warnings beside what a command prints.
func warn(warnings []string) {
	for _, w := range warnings {
		fmt.Fprintln(os.Stderr, "Warning: "+w)
	}
}

// printTable prints rows for a person. A column that holds nothing is left out.
func printTable(w io.Writer, head []string, rows [][]string) error {
	used := make([]bool, len(head))
	for _, row := range rows {
		for i, cell := range row {
			used[i] = used[i] || cell != ""
		}
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	for _, row := range append([][]string{head}, rows...) {
		var cells []string
		for i, cell := range row {
			if used[i] {
				cells = append(cells, printable(cell))
			}
		}
		fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	return t.Flush() // which returns the first error of the writes too
}

// printPairs prints what is known of one thing for a person.
func printPairs(w io.Writer, pairs ...[2]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	for _, p := range pairs {
		if p[1] != "" {
			fmt.Fprintln(t, p[0]+"\t"+printable(p[1]))
		}
	}
	return t.Flush()
}

// printable keeps what others wrote, such as names, from steering a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '\ufffd'
		}
		return r
	}, s)
}

// count is a number with its noun.
func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return humanize.Comma(int64(n)) + " " + noun
}

// ago says how long ago something was that is so many seconds old.
func ago(seconds *int64) string {
	if seconds == nil {
		return ""
	}
	return humanize.Time(time.Now().Add(-time.Duration(*seconds) * time.Second))
}

// since says how long ago a time was, as the API writes it.
func since(stamp *string) string {
	if stamp == nil {
		return ""
	}
	t, err := time.Parse(time.RFC3339, *stamp)
	if err != nil {
		return ""
	}
	return humanize.Time(t)
}

// versionText is the version of a key, empty for none.
func versionText(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// pairsText prints a map on one line.
func pairsText(m map[string]string) string {
	list := make([]string, 0, len(m))
	for _, k := range sortedKeys(m) {
		list = append(list, k+"="+m[k])
	}
	return strings.Join(list, ", ")
}
