// Command demo shows the main job on a machine that has nothing but Go: Caddy
// with this plugin, keys in the embedded local store, and a demo API behind it
// that says what it received. It writes only to a temporary directory, listens
// only on loopback, and leaves nothing behind.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/apikeyinject/caddy-apikey-inject"
)

// ports are taken when they are free, so that what a reader types after a
// first run still works in the next.
const (
	gatewayPort  = "8080"
	upstreamPort = "8081"
	adminPort    = "2019"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// run shows the demo until ctx ends. When Caddy ran it does not return: Caddy
// ends the process, after it has closed what it holds open.
func run(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "apikey-inject-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := moveHome(dir); err != nil {
		return err
	}
	d, err := newDemo()
	if err != nil {
		return err
	}
	if err := d.start(ctx, dir); err != nil {
		return err
	}
	fmt.Print(d.text())
	<-ctx.Done()
	fmt.Println("\nStopping.")
	// Registered last, so it runs when the database is closed.
	caddy.OnExit(func(context.Context) {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, "demo:", err)
		}
	})
	if err := d.stop(); err != nil {
		return fmt.Errorf("stopping Caddy: %w", err)
	}
	time.Sleep(10 * time.Second) // Caddy ends the process before
	return errors.New("stopping Caddy: it did not end")
}

// moveHome makes dir the place of everything that Caddy writes.
func moveHome(dir string) error {
	err := errors.Join(
		os.Setenv("XDG_DATA_HOME", filepath.Join(dir, "data")),
		os.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "config")),
	)
	// Both were made of the environment when the process started.
	caddy.ConfigAutosavePath = filepath.Join(caddy.AppConfigDir(), "autosave.json")
	caddy.DefaultStorage = &certmagic.FileStorage{Path: caddy.AppDataDir()}
	return err
}

// start runs the demo API and Caddy, and puts the keys into Caddy's store.
func (d *demo) start(ctx context.Context, dir string) error {
	go d.api.Serve(d.upstream) //nolint:errcheck // it ends with the process
	file := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(file, []byte(d.caddyfile()), 0o600); err != nil {
		return err
	}
	d.file = file
	config, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(d.caddyfile()), map[string]any{"filename": file})
	if err != nil {
		return err
	}
	for _, w := range warnings {
		fmt.Fprintln(os.Stderr, "demo:", w)
	}
	if err := caddy.Load(config, true); err != nil {
		return fmt.Errorf("starting Caddy: %w", err)
	}
	return errors.Join(d.setKey(ctx, "demo/acme", d.acmeKey), d.setKey(ctx, "demo/weather", d.weatherKey))
}

// setKey stores a key as `caddy apikey-inject set` does.
func (d *demo) setKey(ctx context.Context, path, key string) error {
	return d.admin(ctx, http.MethodPut, "/apikey_inject/keys", fmt.Sprintf(`{"path":%q,"key":%q}`, path, key))
}

func (d *demo) stop() error {
	return d.admin(context.Background(), http.MethodPost, "/stop", "")
}

func (d *demo) admin(ctx context.Context, method, path, body string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+d.adminAddr+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", method, path, resp.Status)
	}
	return nil
}

// listen takes the preferred port on loopback, or any that is free.
func listen(preferred string) (net.Listener, error) {
	ctx := context.Background()
	if l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:"+preferred); err == nil {
		return l, nil
	}
	return new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
}
