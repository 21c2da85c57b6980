package apikeyinject

// This file holds how a command works on the database itself, when no Caddy
// runs.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/caddyserver/caddy/v2"

	"github.com/apikeyinject/caddy-apikey-inject/internal/seal"
)

// offlineKeys works on the database of a configuration that does not run. Nil:
// the one at the default place.
type offlineKeys struct{ config []byte }

func (t offlineKeys) where() string {
	path := "the database"
	if _, s, err := t.find(""); err == nil {
		path = s.path()
	}
	return "in " + path + " (no Caddy runs)"
}

func (t offlineKeys) set(q *keyRequest) (info *keyInfo, err error) {
	err = t.open(q.Store, true, func(ctx context.Context, k *localKeys) error {
		info, err = k.set(ctx, q)
		return err
	})
	return info, err
}

func (t offlineKeys) remove(q *keyRequest) error {
	return t.open(q.Store, false, func(ctx context.Context, k *localKeys) error { return k.remove(ctx, q) })
}

func (t offlineKeys) list(q *keyRequest) (infos []keyInfo, err error) {
	err = t.open(q.Store, false, func(ctx context.Context, k *localKeys) error {
		infos, err = k.list(ctx)
		return err
	})
	return infos, err
}

func (t offlineKeys) rotate(q *rotateRequest) (done *seal.Rotated, err error) {
	err = t.open(q.Store, false, func(ctx context.Context, k *localKeys) error {
		done, err = k.rotate(ctx, q)
		return err
	})
	return done, err
}

// open runs do on the store and closes the database again. Only with create it
// makes a database.
func (t offlineKeys) open(named string, create bool, do func(context.Context, *localKeys) error) error {
	name, local, err := t.find(named)
	if err != nil {
		return err
	}
	if _, err := os.Stat(local.path()); !create && local.path() != "" && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no Caddy runs, and there is no database at %s; name its configuration with --config", local.path())
	}
	opened, err := local.open()
	if err != nil {
		return err
	}
	s := opened.(*localStore)
	ctx, cancel := context.WithTimeout(context.Background(), openBudget)
	defer cancel()
	if err := local.start(ctx, s); err != nil {
		return err
	}
	ctx, cancel = context.WithTimeout(context.Background(), rotateBudget)
	defer cancel()
	return errors.Join(do(ctx, &localKeys{name: name, module: local, store: s}), s.Close(ctx))
}

// find returns the local store of that name as the configuration has it.
func (t offlineKeys) find(name string) (string, *LocalStore, error) {
	app := &App{modules: map[string]keyStore{}}
	if t.config == nil {
		local := new(LocalStore)
		app.modules["local"] = local
		var err error
		if local.catalog, err = app.Catalog.config(); err != nil {
			return "", nil, err
		}
		if err := local.Provision(caddy.Context{}); err != nil {
			return "", nil, err
		}
		return app.localStore(name)
	}
	var config struct {
		Apps struct {
			App *App `json:"apikey_inject"`
		} `json:"apps"`
	}
	config.Apps.App = app
	if err := json.Unmarshal(t.config, &config); err != nil {
		return "", nil, fmt.Errorf("reading the configuration: %w", err)
	}
	for store, raw := range app.StoresRaw {
		mod, err := decodeStore(raw)
		if err != nil {
			return "", nil, fmt.Errorf("stores.%s: %w", store, err)
		}
		app.modules[store] = mod
	}
	found, local, err := app.localStore(name)
	if err != nil {
		return "", nil, err
	}
	if local.catalog, err = app.Catalog.config(); err != nil {
		return "", nil, err
	}
	if err := local.Provision(caddy.Context{}); err != nil {
		return "", nil, fmt.Errorf("stores.%s: %w", found, err)
	}
	return found, local, nil
}

// decodeStore makes a store module of its JSON, without provisioning it.
func decodeStore(raw json.RawMessage) (keyStore, error) {
	var fields map[string]json.RawMessage
	var module string
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(fields["store"], &module); err != nil {
		return nil, &fieldError{"store", err}
	}
	info, err := caddy.GetModule("apikey_inject.stores." + module)
	if err != nil {
		return nil, err
	}
	delete(fields, "store")
	rest, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	mod := info.New().(keyStore)
	return mod, json.Unmarshal(rest, mod)
}
