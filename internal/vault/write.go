// Writing and deleting documents: KV version 2 only can check and set.

package vault

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// Put writes a new version of a document; see [store.Store]. A document whose
// newest version is deleted counts as none, so cas 0 writes over it. When the
// answer is lost the document is read back and compared, not written again.
func (c *Client) Put(ctx context.Context, a store.Address, fields map[string]secret.Value, cas int) (int, error) {
	p, err := c.place(a)
	if err != nil {
		return 0, err
	}
	if p.raw {
		return 0, fmt.Errorf("writing %s: a path with a leading slash is only read: %w", a, store.ErrMisconfigured)
	}
	var version int
	err = c.withToken(ctx, func(t *token) error {
		if err := c.versioned(ctx, t, p); err != nil {
			return err
		}
		var err error
		version, err = c.write(ctx, t, p, fields, cas)
		if cas == 0 && errors.Is(err, store.ErrConflict) {
			if last := c.deletedVersion(ctx, t, p); last > 0 {
				version, err = c.write(ctx, t, p, fields, last)
			}
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	return version, nil
}

// versioned refuses mounts that cannot check and set.
func (c *Client) versioned(ctx context.Context, t *token, p place) error {
	info, err := c.mountOf(ctx, t, p.mountID, 0)
	if err != nil {
		return err
	}
	if info.version != 2 {
		return fmt.Errorf("the mount %s is KV version 1, which cannot check and set; use a mount of version 2 for writing: %w",
			p.mount, store.ErrMisconfigured)
	}
	return nil
}

func (c *Client) write(ctx context.Context, t *token, p place, fields map[string]secret.Value, cas int) (int, error) {
	data := make(map[string]string, len(fields))
	for name, v := range fields {
		data[name] = v.Reveal()
	}
	q := p.get(t, p.mount+"/data/"+p.path)
	q.method = http.MethodPost
	q.body = map[string]any{"options": map[string]int{"cas": cas}, "data": data}
	a, err := c.send(ctx, q)
	if err != nil {
		var throttled *store.ThrottledError
		if errors.As(err, &throttled) || undone(err) {
			return 0, err
		}
		return c.readBack(ctx, t, p, fields, cas, err)
	}
	if err := failure(q, a); err != nil {
		if mayBeDone(a) {
			return c.readBack(ctx, t, p, fields, cas, err)
		}
		return 0, err
	}
	var body struct {
		Data versionInfo `json:"data"`
	}
	if json.Unmarshal(a.body, &body) != nil || body.Data.Version < 1 {
		return c.readBack(ctx, t, p, fields, cas, fmt.Errorf("%s: %w: %w", q.describe(), errBody, store.ErrUnavailable))
	}
	return body.Data.Version, nil
}

// readBack finds out whether a write whose answer was lost was done. It returns
// lost when it was not, or when that cannot be told.
func (c *Client) readBack(ctx context.Context, t *token, p place, fields map[string]secret.Value, cas int, lost error) (int, error) {
	doc, err := c.readAs(ctx, t, p, 2)
	if err != nil || doc.Version <= cas || len(doc.Fields) != len(fields) {
		return 0, lost
	}
	for name, v := range fields {
		if subtle.ConstantTimeCompare([]byte(doc.Fields[name].Value.Reveal()), []byte(v.Reveal())) != 1 {
			return 0, lost
		}
	}
	return doc.Version, nil
}

// deletedVersion returns the newest version of a document when that is deleted,
// else 0. It needs only the permission to read metadata.
func (c *Client) deletedVersion(ctx context.Context, t *token, p place) int {
	a, err := c.send(ctx, p.get(t, p.mount+"/metadata/"+p.path))
	if err != nil || a.status != http.StatusOK {
		return 0
	}
	var body struct {
		Data struct {
			Current  int                    `json:"current_version"`
			Versions map[string]versionInfo `json:"versions"`
		} `json:"data"`
	}
	if json.Unmarshal(a.body, &body) != nil {
		return 0
	}
	v, ok := body.Data.Versions[strconv.Itoa(body.Data.Current)]
	if !ok || !v.gone() {
		return 0
	}
	return body.Data.Current
}

// Delete removes a document with all its versions; see [store.Store].
func (c *Client) Delete(ctx context.Context, a store.Address) error {
	p, err := c.place(a)
	if err != nil {
		return err
	}
	if p.raw {
		return fmt.Errorf("deleting %s: a path with a leading slash is only read: %w", a, store.ErrMisconfigured)
	}
	return c.withToken(ctx, func(t *token) error {
		info, err := c.mountOf(ctx, t, p.mountID, 0)
		if err != nil {
			return err
		}
		path := p.mount + "/metadata/" + p.path
		if info.version == 1 {
			path = p.mount + "/" + p.path
		}
		q := p.get(t, path)
		q.method = http.MethodDelete
		r, err := c.send(ctx, q)
		if err != nil {
			return err
		}
		err = failure(q, r)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	})
}
