// Reading a document.

package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// place is an address made whole: nothing of it is left to defaults.
type place struct {
	mountID
	path string
	raw  bool // path is the whole path of any engine
}

// place completes and checks an address.
func (c *Client) place(a store.Address) (place, error) {
	p := place{mountID: mountID{namespace: strings.Trim(a.Namespace, "/"), mount: strings.Trim(a.Mount, "/")}, path: a.Path}
	if p.namespace == "" {
		p.namespace = c.cfg.Namespace
	}
	if p.mount == "" {
		p.mount = c.cfg.Mount
	}
	if rest, ok := strings.CutPrefix(a.Path, "/"); ok {
		p.raw, p.path = true, rest
	}
	parts := []string{p.mount, p.path}
	if p.namespace != "" {
		parts = append(parts, p.namespace)
	}
	for _, part := range parts {
		if err := checkSegments(part); err != nil {
			return place{}, fmt.Errorf("%w: %w", err, store.ErrMisconfigured)
		}
	}
	return p, nil
}

func (p place) get(t *token, path string) call {
	return call{method: http.MethodGet, path: path, namespace: p.namespace, token: t.value}
}

// Get reads the newest version of a document; see [store.Reader]. A dead token
// is replaced and the read done once more; nothing else is tried again.
func (c *Client) Get(ctx context.Context, a store.Address) (*store.Document, error) {
	p, err := c.place(a)
	if err != nil {
		return nil, err
	}
	var doc *store.Document
	err = c.withToken(ctx, func(t *token) error {
		var err error
		doc, err = c.read(ctx, t, p)
		return err
	})
	if err != nil {
		return nil, err
	}
	return doc, nil
}

func (c *Client) read(ctx context.Context, t *token, p place) (*store.Document, error) {
	if p.raw {
		doc, err := c.fetch(ctx, p.get(t, p.path), decodeAny)
		if errors.Is(err, errVersioned) {
			return nil, fmt.Errorf("%w: its whole path needs data/ after the mount: %w", err, store.ErrMisconfigured)
		}
		return doc, err
	}
	info, err := c.mountOf(ctx, t, p.mountID, 0)
	if err != nil {
		return nil, err
	}
	doc, err := c.readAs(ctx, t, p, info.version)
	switch {
	case errors.Is(err, errVersioned): // upgraded since we looked; its own word counts
	case errors.Is(err, store.ErrNotFound) && info.version == 2:
		// A mount of version 1 answers just like this to a path of version 2:
		// make sure, before a key is given up, that the mount is still ours.
		now, lookErr := c.mountOf(ctx, t, p.mountID, redetectAfter)
		if lookErr != nil {
			return nil, lookErr
		}
		if now.version == 1 {
			return c.readAs(ctx, t, p, 1)
		}
		if now.assumed {
			return c.readAssumed(ctx, t, p, err)
		}
		return nil, err
	default:
		return doc, err
	}
	found, err := c.detect(ctx, t, p.mountID)
	if err != nil {
		return nil, err
	}
	found.version = 2
	c.mounts.set(p.mountID, found)
	return c.readAs(ctx, t, p, 2)
}

// readAssumed decides about a document not found in a mount that we may not
// look at: read as version 1, a mount of version 2 says that it is none.
func (c *Client) readAssumed(ctx context.Context, t *token, p place, missing error) (*store.Document, error) {
	doc, err := c.readAs(ctx, t, p, 1)
	if err == nil {
		return doc, nil
	}
	if errors.Is(err, errTokenDead) || errors.Is(err, store.ErrUnavailable) {
		return nil, err
	}
	return nil, missing
}

func (c *Client) readAs(ctx context.Context, t *token, p place, version int) (*store.Document, error) {
	if version == 1 {
		return c.fetch(ctx, p.get(t, p.mount+"/"+p.path), decodePlain)
	}
	return c.fetch(ctx, p.get(t, p.mount+"/data/"+p.path), decodeKV2)
}

// fetch makes one call and decodes a success.
func (c *Client) fetch(ctx context.Context, q call, decode func(*envelope) (*store.Document, error)) (*store.Document, error) {
	a, err := c.send(ctx, q)
	if err != nil {
		return nil, err
	}
	if err := failure(q, a); err != nil {
		return nil, err
	}
	if a.huge {
		return nil, fmt.Errorf("%s: %w: %w: %w", q.describe(), errTooLarge, store.ErrOversized, store.ErrUnavailable)
	}
	e, err := decodeEnvelope(a)
	if err == nil {
		var doc *store.Document
		if doc, err = decode(e); err == nil {
			return doc, nil
		}
	}
	return nil, fmt.Errorf("%s: answered %d: %w: %w", q.describe(), a.status, err, store.ErrUnavailable)
}
