// What make run starts: it has to answer its own curl lines.

package integration

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/integration/harness"
)

var demoCurl = regexp.MustCompile(`(?m)^ +((?:echo .* \| )?curl .*)$`)

func TestDemo(t *testing.T) {
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is missing: the demo's own lines need it: %v", tool, err)
		}
	}
	// Its first choice of port is taken, by us or by somebody before us.
	if l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:8080"); err == nil {
		defer l.Close()
	}
	temp, home := t.TempDir(), t.TempDir()
	d := startDemo(t, temp, home)
	text := d.text

	if strings.Contains(text, "127.0.0.1:8080/") {
		t.Errorf("the demo chose a port that was taken:\n%s", text)
	}
	lines := demoCurl.FindAllStringSubmatch(text, -1)
	if len(lines) != 7 {
		t.Fatalf("found %d curl lines in\n%s", len(lines), text)
	}
	ends := regexp.MustCompile(`ends? in (\w{4})\.`).FindAllStringSubmatch(text, -1)
	if len(ends) != 3 {
		t.Fatalf("found the ends of keys %q in\n%s", ends, text)
	}
	acme, weather, rotated := ends[0][1], ends[1][1], ends[2][1]

	answers := make([]string, len(lines))
	for i, l := range lines {
		cmd := exec.CommandContext(t.Context(), "bash", "-c", l[1]+" --silent --show-error --max-time 30")
		b, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", l[1], err, b)
		}
		answers[i] = string(b)
	}
	for i, want := range []string{
		`GET /v1/users/42\n(?s:.*)X-Api-Key: Api-Key \*+` + acme + `\n`,
		`GET /v2/today\?city=Oslo&appid=\*+` + weather + `\n`,
		`GET /v1/users/42\n(?s:.*)X-Api-Key: Api-Key \*+` + acme + `\n`,
		`GET /v1/invoices\n(?s:.*)X-Api-Key: Api-Key \*+` + acme + `\n`,
		`^HTTP/1.1 403 (?s:.*)Apikey-Inject-Error: forbidden\r\n`,
		`"version":2`,
		`GET /v1/users/42\n(?s:.*)X-Api-Key: Api-Key \*+` + rotated + `\n`,
	} {
		if !regexp.MustCompile(want).MatchString(answers[i]) {
			t.Errorf("%s\nanswered\n%s\nwant %s", lines[i][1], answers[i], want)
		}
		if strings.Contains(answers[i], "Authorization") || strings.Contains(answers[i], "mine-instead") {
			t.Errorf("%s\nsent the caller's own words on:\n%s", lines[i][1], answers[i])
		}
	}

	d.interrupt(t)
	for _, dir := range []string{temp, home} {
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("the demo left %v in its directories (%v)", left, err)
		}
	}
}

// TestDemoNextSteps checks the Caddyfile that a reader is to save.
func TestDemoNextSteps(t *testing.T) {
	src, err := os.ReadFile(filepath.Join(harness.Root(t), "cmd", "demo", "text.go"))
	if err != nil {
		t.Fatal(err)
	}
	_, snippet, ok := strings.Cut(string(src), "Save this as Caddyfile, with your API in it:\n\n")
	snippet, _, end := strings.Cut(snippet, "\n\n  And run it:")
	if !ok || !end {
		t.Fatal("found no Caddyfile in the demo's text")
	}
	caddyfile := ""
	for line := range strings.Lines(snippet + "\n") {
		caddyfile += strings.TrimPrefix(line, "     ")
	}
	r := harness.Validate(t, caddyfile, harness.Env("VAULT_ADDR=http://127.0.0.1:1", "VAULT_TOKEN=some-token"))
	if r.Code != 0 {
		t.Errorf("%s\n%s", caddyfile, r.Stderr)
	}
	c := harness.Run(t, caddyfile, []string{"fmt", "-"})
	if c.Stdout != caddyfile {
		t.Errorf("caddy fmt has it otherwise:\n%s", c.Stdout)
	}
}

// demo is the running demo.
type demo struct {
	cmd  *exec.Cmd
	text string // printed until it was ready
	err  *bytes.Buffer
	done chan error
}

// startDemo builds the demo and runs it until it has said everything.
func startDemo(t *testing.T, temp, home string) *demo {
	t.Helper()
	path := filepath.Join(t.TempDir(), "demo")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-tags", "nobadger,nomysql,nopgx", "-o", path, "./cmd/demo")
	build.Dir = harness.Root(t)
	if b, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the demo: %v\n%s", err, b)
	}
	d := &demo{cmd: exec.CommandContext(t.Context(), path), err: new(bytes.Buffer), done: make(chan error, 1)}
	d.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + temp, "HOME=" + home}
	d.cmd.Stderr = d.err
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.cmd.Process.Kill() })
	kill := time.AfterFunc(time.Minute, func() { _ = d.cmd.Process.Kill() })
	defer kill.Stop()
	b := make([]byte, 4096)
	for !strings.Contains(d.text, "Ctrl-C stops the demo") {
		n, err := out.Read(b)
		d.text += string(b[:n])
		if err != nil {
			t.Fatalf("reading what the demo says: %v\n%s%s", err, d.text, d.err)
		}
	}
	go func() {
		for err := error(nil); err == nil; {
			_, err = out.Read(b)
		}
		d.done <- d.cmd.Wait()
	}()
	return d
}

// interrupt ends the demo as Ctrl-C does, which is no failure.
func (d *demo) interrupt(t *testing.T) {
	t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-d.done:
		if err != nil || d.err.Len() > 0 {
			t.Errorf("the demo ended with %v\n%s", err, d.err)
		}
	case <-time.After(30 * time.Second):
		t.Error("the demo did not end within 30 s of Ctrl-C")
	}
}
