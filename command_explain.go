package apikeyinject

// This file holds `caddy apikey-inject explain`.

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

func explainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain [<method>] <url> [-H 'Name: value']... [--json]",
		Short: "Shows how a request would leave, and why",
		Long: `
Asks the running Caddy what would become of a request: which route and which
integration it meets, who may call and whether this caller may, where its key is
and how old, and each part of the request as it would leave, with the reason. It
is not sent. Of the key the last four characters are shown, and none where it has
16 or fewer.

	$ caddy apikey-inject explain https://gateway.internal/acme/users
	$ caddy apikey-inject explain POST https://gateway.internal/acme/users -H 'Origin: https://app.example'

The URL is the one that a client of this Caddy would use. The request seems to
come from this machine, with the headers given by -H. Credentials given there,
for basic_auth for example, can be read by every user of this machine while the
command runs.

On the way to the route only those handlers run that change nothing but the
request: rewrite, vars, map, headers and basic_auth. The others, such as rate
limits and forward_auth, are passed over and named in the answer. The key is read
from its store as a request would have it read, if it is not held. Metrics, access
logs and audit lines do not count the request.`,
		RunE: command(runExplain),
	}
	cmd.Flags().StringArrayP("header", "H", nil, "A header of the request, 'Name: value'; may be repeated")
	cmd.Flags().Bool("json", false, "Print JSON, for scripts")
	adminFlags(cmd)
	return cmd
}

func runExplain(fl caddycmd.Flags) error {
	q, err := explainRequestOf(fl)
	if err != nil {
		return err
	}
	addr, err := adminOf(fl)
	if err != nil {
		return err
	}
	e := new(explanation)
	if err := askAdmin(addr, http.MethodPost, adminExplain, q, e); err != nil {
		return fmt.Errorf("asking the running Caddy: %w", err)
	}
	if fl.Bool("json") {
		err = printJSON(os.Stdout, e)
	} else {
		err = printExplanation(os.Stdout, e)
	}
	return err
}

// explainRequestOf reads the arguments.
func explainRequestOf(fl caddycmd.Flags) (*explainRequest, error) {
	q := new(explainRequest)
	switch fl.NArg() {
	case 1:
		q.URL = fl.Arg(0)
	case 2:
		q.Method, q.URL = fl.Arg(0), fl.Arg(1)
	default:
		return nil, errors.New("write: explain [<method>] <url>")
	}
	lines, err := fl.GetStringArray("header")
	if err != nil {
		return nil, err
	}
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		if !ok { // most likely a lone value, and not repeated
			return nil, errors.New("--header needs 'Name: value'")
		}
		if q.Headers == nil {
			q.Headers = make(map[string][]string)
		}
		q.Headers[name] = append(q.Headers[name], strings.TrimSpace(value))
	}
	return q, nil
}

// printExplanation prints it for a person.
func printExplanation(w io.Writer, e *explanation) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(cells ...string) { fmt.Fprintln(t, strings.Join(cells, "\t")) }
	rows := func(title string, lines []string) {
		for _, line := range lines {
			row(title, line)
			title = ""
		}
	}
	row("Request", e.Method+" "+e.URL)
	row("Server", e.Server)
	rows("Route", e.Routes)
	rows("Not run", e.NotRun)
	if e.AnsweredBy != "" {
		row("Answered by", e.AnsweredBy)
	}
	if e.Integration != "" {
		row("Integration", e.Integration)
		rows("Callers", e.Callers.text())
		row("Key", e.Key.text())
	}
	rows("Path", e.Path)
	if e.Refused != nil {
		row("Refused", fmt.Sprintf("%d %s: %s", e.Refused.Status, e.Refused.Code, e.Refused.Message))
	}
	if e.Request == nil {
		return t.Flush()
	}
	row("Sent", e.Request.Method+" "+e.Request.URL, e.Request.Why)
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(t)
	for _, h := range e.Request.Headers {
		row("  "+h.Name+": "+h.Value, h.Why)
	}
	if len(e.LeftOut) > 0 {
		fmt.Fprintln(t, "\nLeft out")
	}
	for _, h := range e.LeftOut {
		row("  "+h.Name, h.Why)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return e.Transport.print(w)
}

func (t *explainedTarget) print(w io.Writer) error {
	how := "in clear"
	if t.TLS {
		how = "by TLS"
	}
	refused := "a refusal of the key is passed on as it is"
	if len(t.RefusedStatuses) > 0 {
		refused = fmt.Sprintf("after %s the key is read again, and a body up to %s sent again",
			strings.Trim(fmt.Sprint(t.RefusedStatuses), "[]"), humanize.IBytes(uint64(max(t.ReplayBuffer, 0)))) //nolint:gosec // not negative
	}
	_, err := fmt.Fprintf(w, "\nTransport: dials %s %s within %s, waits %s for an answer; %s\n",
		t.Dials, how, t.DialTimeout, t.ResponseHeaderTimeout, refused)
	return err
}

// text says who may call.
func (c *explainedCallers) text() []string {
	var lines []string
	if len(c.Integration) > 0 {
		lines = append(lines, "the integration allows "+strings.Join(c.Integration, ", or "))
	}
	if len(c.Route) > 0 {
		lines = append(lines, "the route allows "+strings.Join(c.Route, ", or "))
	}
	if len(lines) == 0 {
		lines = append(lines, "everybody who reaches the route: there is no allow")
	}
	who := "nobody by " + c.From
	if c.Caller != "" {
		who = fmt.Sprintf("%q by %s", c.Caller, c.From)
	}
	may := "may not call"
	if c.Passes {
		may = "may call"
	}
	return append(lines, "this caller, "+who+", "+may)
}

// text says which key it is.
func (k *explainedKey) text() string {
	parts := []string{"store " + k.Store, k.Path}
	if k.Field != "" {
		parts = append(parts, "field "+k.Field)
	}
	if k.Version > 0 {
		parts = append(parts, fmt.Sprintf("version %d", k.Version))
	}
	if k.CreatedAt != nil {
		parts = append(parts, "written "+humanize.Time(*k.CreatedAt))
	}
	if k.CheckedAt != nil {
		parts = append(parts, fmt.Sprintf("%s, seen %s ago", k.State, time.Since(*k.CheckedAt).Round(time.Second)))
	}
	if k.Masked == "" {
		parts = append(parts, "not read")
	}
	return strings.Join(parts, ", ")
}
