// The version of a document, for who may read its metadata only.

package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// Version returns the number of a document's newest version; see
// [store.Versioner]. It needs `read` on the document's metadata and nothing on
// its data. KV version 1 and other engines count no versions, so there it is a
// [store.ErrMisconfigured], as writing is.
func (c *Client) Version(ctx context.Context, a store.Address) (int, error) {
	p, err := c.place(a)
	if err != nil {
		return 0, err
	}
	if p.raw {
		return 0, fmt.Errorf("reading the version of %s: a path with a leading slash has none: %w", a, store.ErrMisconfigured)
	}
	var version int
	err = c.withToken(ctx, func(t *token) error {
		if err := c.versioned(ctx, t, p); err != nil {
			return err
		}
		var err error
		version, err = c.currentVersion(ctx, t, p)
		if errors.Is(err, store.ErrNotFound) {
			// A mount of version 1 answers just like this: make sure that the
			// mount is still ours, as reading does.
			if now, lookErr := c.mountOf(ctx, t, p.mountID, redetectAfter); lookErr != nil {
				return lookErr
			} else if now.version == 1 {
				return c.versioned(ctx, t, p)
			}
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	return version, nil
}

func (c *Client) currentVersion(ctx context.Context, t *token, p place) (int, error) {
	q := p.get(t, p.mount+"/metadata/"+p.path)
	a, err := c.send(ctx, q)
	if err != nil {
		return 0, err
	}
	if err := failure(q, a); err != nil {
		return 0, err
	}
	var body struct {
		Data struct {
			Current *int `json:"current_version"`
		} `json:"data"`
	}
	if !a.json || json.Unmarshal(a.body, &body) != nil || body.Data.Current == nil || *body.Data.Current < 0 {
		return 0, fmt.Errorf("%s: answered %d: %w: %w", q.describe(), a.status, errBody, store.ErrUnavailable)
	}
	return *body.Data.Current, nil
}

// Interface guard
var _ store.Versioner = (*Client)(nil)
