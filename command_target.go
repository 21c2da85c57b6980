package apikeyinject

// This file holds where a command finds the keys: in the running Caddy, or,
// when there is none, in the database itself.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"syscall"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/caddyserver/caddy/v2"

	"github.com/apikeyinject/caddy-apikey-inject/internal/seal"
)

// keyTarget is where a command works.
type keyTarget interface {
	set(q *keyRequest) (*keyInfo, error)
	remove(q *keyRequest) error
	list(q *keyRequest) ([]keyInfo, error)
	rotate(q *rotateRequest) (*seal.Rotated, error)
	where() string // for a person
}

// newKeyTarget finds out whether a Caddy runs. Only when nobody listens at its
// admin address the database is opened, and its lock still has the last word.
func newKeyTarget(fl caddycmd.Flags) (keyTarget, error) {
	config, err := configOf(fl)
	if err != nil {
		return nil, err
	}
	if fl.String("address") == "" && adminDisabled(config) {
		return offlineKeys{config: config}, nil
	}
	addr, err := adminIn(fl, config)
	if err != nil {
		return nil, err
	}
	answers, err := someoneListens(addr)
	if err != nil {
		return nil, fmt.Errorf("reaching the admin API at %s: %w", addr, err)
	}
	if answers {
		return adminKeysAt(addr), nil
	}
	if fl.String("address") != "" {
		return nil, fmt.Errorf("no Caddy answers at %s; without --address the database is opened", addr)
	}
	return offlineKeys{config: config}, nil
}

// adminDisabled tells whether a configuration turns the admin endpoint off. At
// the default address may then be another Caddy.
func adminDisabled(config []byte) bool {
	var c struct {
		Admin struct {
			Disabled bool `json:"disabled"`
		} `json:"admin"`
	}
	return json.Unmarshal(config, &c) == nil && c.Admin.Disabled
}

// errConnRefused is Windows' own number, which syscall.ECONNREFUSED does not match.
const errConnRefused = syscall.Errno(10061)

// someoneListens tells a refused connection from every other failure, which
// says nothing about whether a Caddy runs.
func someoneListens(addr string) (bool, error) {
	parsed, err := caddy.ParseNetworkAddress(addr)
	if err != nil {
		return false, err
	}
	host := parsed.JoinHostPort(0)
	if parsed.IsUnixNetwork() {
		host, _, _ = strings.Cut(host, "|") // the mode of the socket
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, parsed.Network, host)
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, errConnRefused) || parsed.IsUnixNetwork() && errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, conn.Close()
}

// Interface guards
var (
	_ keyTarget = adminKeysAt("")
	_ keyTarget = offlineKeys{}
)
