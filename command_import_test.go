package apikeyinject

// This file holds tests of the commands over the management API that need no
// Caddy.

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/apikeyinject/caddy-apikey-inject/internal/seal"
)

func TestEveryCommandCanBeBuiltAndTakesNoKey(t *testing.T) {
	root := &cobra.Command{Use: "apikey-inject"}
	caddycmd.Commands()["apikey-inject"].CobraFunc(root)
	seen := 0
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		seen++
		if cmd != root && (cmd.Short == "" || strings.HasSuffix(cmd.Short, ".")) {
			t.Errorf("%s: its short help is %q", cmd.CommandPath(), cmd.Short)
		}
		for _, flag := range []string{"key", "api-key", "apikey", "token", "secret"} {
			if cmd.Flags().Lookup(flag) != nil {
				t.Errorf("%s takes a key in a flag, --%s", cmd.CommandPath(), flag)
			}
		}
		for _, c := range cmd.Commands() {
			walk(c)
		}
	}
	walk(root)
	if want := "integrations|connections|rotate|disable|enable|refresh|invalidate|status|import|export|check|explain|set|list|delete|rotate-keyset"; caddycmd.Commands()["apikey-inject"].Usage != want || seen < 24 {
		t.Errorf("%d commands", seen)
	}
}

// Of what is left out an import makes the default, which for forward_webhooks is true.
func TestWhatIsExportedIsAllThatSaysSomething(t *testing.T) {
	const raw = `{"unique_key": "acme", "source": "api", "forward_webhooks": false, "disabled": false, "connect": null, "max_age": "", "verification": {}}`
	fields, err := pick(json.RawMessage(raw), integrationFields)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := json.Marshal(fields); string(got) != `{"disabled":false,"forward_webhooks":false,"unique_key":"acme"}` {
		t.Errorf("got %s", got)
	}
}

func TestItemsAreFoundInEveryForm(t *testing.T) {
	const (
		i = `{"unique_key": "a"}`
		c = `{"provider_config_key": "a", "connection_id": "1"}`
	)
	for name, tc := range map[string]struct{ text, want string }{
		"nothing":               {"\n \n", ""},
		"lines":                 {i + "\n\n" + c + "\n", "line 1 i, line 3 c"},
		"lines of Windows":      {"\xef\xbb\xbf" + i + "\r\n" + c + "\r\n", "line 1 i, line 2 c"},
		"wrapped lines":         {`{"integration": ` + i + "}\n" + `{"connection": ` + c + "}", "line 1 i, line 2 c"},
		"one line":              {c, "line 1 c"},
		"a line that is broken": {i + "\n{\n" + c, "line 1 i, line 2 !, line 3 c"},
		"other lines":           {"1\n" + `{"a": 1, "b": 2}`, "line 1 !, line 2 !"},
		"a list":                {"[\n" + i + ",\n" + c + "]", "line 1, item 1 i, line 1, item 2 c"},
		"integrations of Nango": {`{"data": [` + i + `]}`, "line 1, item 1 i"},
		"of an older Nango":     {`{"configs": [` + i + `]}`, "line 1, item 1 i"},
		"one integration":       {`{"data": ` + i + `}`, "line 1 i"},
		"connections of Nango":  {`{"connections": [` + c + `, 1]}`, "line 1, item 1 c, line 1, item 2 !"},
		"an empty list":         {`{"connections": []}`, ""},
		"half a connection":     {`{"connection_id": "x", "provider": "y"}`, "line 1 !"},
		"an empty object":       {`{}`, "line 1 !"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, item := range readItems([]byte(tc.text)) {
				mark := "i"
				if item.connection {
					mark = "c"
				}
				if item.err != nil {
					mark = "!"
				}
				got = append(got, item.where+" "+mark)
			}
			if s := strings.Join(got, ", "); s != tc.want {
				t.Errorf("got %q, want %q", s, tc.want)
			}
		})
	}
}

func TestRefusalsOfBothWritersAreToldAlike(t *testing.T) {
	for sent, want := range map[string]string{
		`HTTP 404: {"error":"there is no /x"}`:                         "404 there is no /x",
		`HTTP 409: {"error":{"code":"conflict","message":"It moved"}}`: "409 It moved",
		`HTTP 404: 404 page not found`:                                 "404 the Caddy that runs is built without apikey_inject",
		`HTTP 400: {"error":{"message":"Bad","errors":[{"message":"A","path":["x",0]},{"message":"B","detail":"why","path":[]}]}}`: "400 A (x.0); B: why",
	} {
		err := plainAPIError(errors.New("caddy responded with error: " + sent))
		e, ok := errors.AsType[*adminError](err)
		if !ok || fmt.Sprintf("%d %s", e.status, e.text) != want {
			t.Errorf("%s: got %v, want %q", sent, err, want)
		}
	}
	away := errors.New("performing request: connection refused")
	if _, ok := errors.AsType[*unreachable](plainAPIError(away)); !ok {
		t.Error("a Caddy that is away counts as one that refused")
	}
}

func TestProgressIsDrawnForATerminalOnly(t *testing.T) {
	now := time.Unix(0, 0)
	draw := func(terminal bool) string {
		var b strings.Builder
		p := newProgress(&b, terminal, "Importing", 2000)
		p.now = func() time.Time { return now }
		for n := range 2000 {
			if n == 1000 {
				now = now.Add(time.Second)
			}
			p.step()
		}
		p.end()
		return b.String()
	}
	if got := draw(false); got != "" {
		t.Errorf("into a file %q", got)
	}
	got := strings.Split(draw(true), "\r")
	if len(got) != 4 || !strings.HasSuffix(got[2], "] 1,001 of 2,000") || got[3] != "Importing ["+strings.Repeat("=", progressWidth)+"] 2,000 of 2,000\n" {
		t.Errorf("on a terminal %q", got)
	}
}

func TestTablesLeaveOutEmptyColumnsAndControlCharacters(t *testing.T) {
	var b strings.Builder
	err := printTable(&b, []string{"A", "B", "C"}, [][]string{{"1", "", "x\x1b[2J"}, {"22", "", "y\n"}})
	if want := "A    C\n1    x\ufffd[2J\n22   y\ufffd\n"; err != nil || b.String() != want {
		t.Errorf("got %q, want %q, %v", b.String(), want, err)
	}
}

func TestARotationSaysWhatIsLeftToDo(t *testing.T) {
	for _, tc := range []struct {
		done seal.Rotated
		want string
	}{
		{seal.Rotated{Out: "/k", Made: true, Staged: true}, "does not seal yet. Put it in place on every node and run caddy reload --force; then run this again"},
		{seal.Rotated{Out: "/k", Promoted: true}, "without --out to seal the stored keys anew"},
		{seal.Rotated{Out: "/k", Dropped: 2}, "It is without 2 old keys."},
		{seal.Rotated{Made: true, Resealed: 1200, Keys: 2, Keyset: "/own"}, "Made a new primary key. Sealed 1,200 documents anew, here.\nThe keyset /own holds 2 keys; back it up."},
		{seal.Rotated{Resealed: 1, Keys: 2}, "Sealed 1 document anew, here.\n"},
	} {
		var b strings.Builder
		if err := printRotated(&b, &tc.done, "here"); err != nil || !strings.Contains(b.String(), tc.want) {
			t.Errorf("%+v: %q, %v", tc.done, b.String(), err)
		}
	}
}
