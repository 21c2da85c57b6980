// Reading the version before the newest.

package vault

import (
	"context"
	"fmt"
	"net/url"
	"strconv"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// Former reads the version before newest of a document of KV version 2; see
// [store.Former]. Other engines keep none, which is known without asking: the
// documents they gave have no version. For some of them a second read would be
// a second credential.
func (c *Client) Former(ctx context.Context, a store.Address, newest int) (*store.Document, error) {
	p, err := c.place(a)
	if err != nil {
		return nil, err
	}
	if newest < 2 { // Vault takes version 0 for the newest
		return nil, fmt.Errorf("reading the version before %d of %s: %w", newest, a, store.ErrNotFound)
	}
	var doc *store.Document
	err = c.withToken(ctx, func(t *token) error {
		path := p.path
		if !p.raw {
			info, err := c.mountOf(ctx, t, p.mountID, 0)
			if err != nil {
				return err
			}
			if info.version == 1 {
				return fmt.Errorf("reading a former version of %s: the mount is KV version 1: %w", a, store.ErrNotFound)
			}
			path = p.mount + "/data/" + p.path
		}
		q := p.get(t, path)
		q.query = url.Values{"version": {strconv.Itoa(newest - 1)}}
		var err error
		doc, err = c.fetch(ctx, q, decodeKV2)
		return err
	})
	if err != nil {
		return nil, err
	}
	return doc, nil
}
