package apikeyinject

// This file holds how a key is tried at its store, without starting anything.

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/keyring"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
	"github.com/apikeyinject/caddy-apikey-inject/internal/vault"
)

const (
	// checkBudget bounds a whole check, checkEach the reading of one key.
	checkBudget = 2 * time.Minute
	checkEach   = 15 * time.Second

	// checkAtOnce bounds the keys that are read at once.
	checkAtOnce = 8
)

// What became of a key that was tried. The others are the classes of the
// keyring.
const (
	checkOK            = "ok"
	checkPerConnection = "per_connection" // each connection has its own: not tried
	checkSkipped       = "unchecked"      // could not be tried
)

// checked is what was found out about one key. It holds no key.
type checked struct {
	Integration string `json:"integration"` // its unique key, or the route's label
	Store       string `json:"store"`
	Path        string `json:"path"` // with namespace and mount, where the configuration names them
	Field       string `json:"field,omitempty"`
	Connection  string `json:"connection,omitempty"`
	Result      string `json:"result"`
	Detail      string `json:"detail"`
	Version     int    `json:"version,omitempty"`

	key *KeyReference
}

// good tells whether nothing speaks against the key.
func (c *checked) good() bool { return c.Result == checkOK || c.Result == checkPerConnection }

// address is where the key is.
func (c *checked) address() store.Address { return c.key.address(c.Connection) }

// check tries the keys of one store.
func (a *App) check(ctx context.Context, name string, rows []*checked, running func() (keyTarget, error)) {
	skip := func(result, detail string) {
		for _, row := range rows {
			row.Result, row.Detail = result, detail
		}
	}
	var opened store.Store
	var err error
	switch mod := a.modules[name].(type) {
	case *VaultStore:
		if mod.config.Auth.Wrapped {
			skip(checkSkipped, "the login takes a wrapped secret id, which can be unwrapped once: that is left to Caddy")
			return
		}
		opened, err = mod.open()
	case *LocalStore:
		opened, err = mod.openExisting(ctx)
		if errors.Is(err, fs.ErrNotExist) {
			skip(keyring.ClassNotFound, "there is no database at "+mod.path()+": no key was ever set")
			return
		}
		if errors.Is(err, catalog.ErrInUse) {
			checkRunning(name, rows, running)
			return
		}
	default:
		err = fmt.Errorf("stores of the type %s are not checked", mod.CaddyModule().ID.Name())
	}
	if err != nil {
		skip(checkSkipped, err.Error())
		return
	}
	places := make(chan struct{}, checkAtOnce)
	var wg sync.WaitGroup
	for _, row := range rows {
		wg.Go(func() {
			places <- struct{}{} // every holder obeys ctx
			defer func() { <-places }()
			ctx, cancel := context.WithTimeout(ctx, checkEach)
			defer cancel()
			row.try(ctx, opened)
		})
	}
	wg.Wait()
	_ = opened.Close(context.WithoutCancel(ctx)) // revokes the token; one that is not ends by itself
}

// try reads the key.
func (c *checked) try(ctx context.Context, from store.Store) {
	client, isVault := from.(*vault.Client)
	doc, err := from.Get(ctx, c.address())
	if err != nil {
		c.Result, c.Detail = keyring.ClassOf(err), err.Error()
		switch {
		case isVault:
			c.Detail = client.Diagnose(ctx, c.address(), err)
		case errors.Is(err, store.ErrNotFound):
			c.Detail = "no such document"
		}
		if errors.Is(err, store.ErrRefused) {
			c.Result = "refused"
		}
		return
	}
	c.Version = doc.Version
	key, err := doc.Key(c.Field)
	if err != nil {
		c.Result, c.Detail = keyring.ClassInvalid, err.Error()
		return
	}
	c.Result, c.Detail = checkOK, describeKey(doc, key)
	if isVault && doc.Version == 0 && !strings.HasPrefix(c.key.Path, "/") && !client.Versioned(c.address()) {
		c.Detail = "this mount is KV v1, without versions; " + c.Detail
	}
}

// describeKey says of a key what may be shown: nothing of its value.
func describeKey(doc *store.Document, key secret.Value) string {
	var parts []string
	if doc.Version > 0 {
		parts = append(parts, fmt.Sprintf("version %d", doc.Version))
	}
	if !doc.CreatedAt.IsZero() {
		parts = append(parts, "written "+humanize.Time(doc.CreatedAt))
	}
	return strings.Join(append(parts, lengthClass(len(key.Reveal()))), ", ")
}

// lengthClass says roughly how long a key is: enough to see that half of it was
// pasted, too little to help who guesses.
func lengthClass(n int) string {
	switch {
	case n < 16:
		return "under 16 bytes"
	case n <= 64:
		return "16 to 64 bytes"
	}
	return "over 64 bytes"
}

// checkRunning asks the Caddy that has the database open what there is.
func checkRunning(name string, rows []*checked, running func() (keyTarget, error)) {
	var infos []keyInfo
	target, err := running()
	if err == nil {
		infos, err = target.list(&keyRequest{Store: name})
	}
	for _, row := range rows {
		if err != nil {
			row.Result, row.Detail = checkSkipped, "another process has the database open: "+err.Error()
			continue
		}
		row.Result, row.Detail = keyring.ClassNotFound, "no such document"
		at := row.address()
		for _, info := range infos {
			if info.Path == at.Path && info.Mount == at.Mount && info.Namespace == at.Namespace {
				row.Result, row.Version = checkOK, info.Version
				row.Detail = fmt.Sprintf("version %d, written %s; a running Caddy has the database open, so the field was not looked at",
					info.Version, humanize.Time(info.CreatedAt))
			}
		}
	}
}

// openExisting opens the database without making one. Where there is none the
// error is [fs.ErrNotExist].
func (s *LocalStore) openExisting(ctx context.Context) (store.Store, error) {
	if _, err := os.Stat(s.path()); err != nil {
		return nil, err
	}
	opened := s.sealed(false)
	return opened, opened.Open(ctx)
}
