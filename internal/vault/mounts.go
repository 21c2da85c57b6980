// Which version of the KV engine a mount has.

package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// errVersioned says that a mount read as version 1 is version 2.
var errVersioned = errors.New("the mount is KV version 2")

// redetectAfter is how old a finding must be before a missing document makes us
// look again: a mount can be replaced, but rarely.
const redetectAfter = time.Minute

// mountID names a mount.
type mountID struct{ namespace, mount string }

// mountInfo is what was found out about a mount.
type mountInfo struct {
	version int // 1 or 2
	assumed bool
	at      time.Time
}

// mounts remembers findings. A failure to find out is never remembered.
type mounts struct {
	asking chan struct{} // capacity 1: a cold start of many keys asks once

	mu    sync.Mutex
	known map[mountID]mountInfo
}

func (m *mounts) get(id mountID) (mountInfo, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	info, ok := m.known[id]
	return info, ok
}

func (m *mounts) set(id mountID, info mountInfo) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil {
		m.known = make(map[mountID]mountInfo)
	}
	m.known[id] = info
}

// mountOf returns what is known of a mount, asking Vault when nothing is, or
// when what is known is older than since.
func (c *Client) mountOf(ctx context.Context, t *token, id mountID, since time.Duration) (mountInfo, error) {
	known := func() (mountInfo, bool) {
		info, ok := c.mounts.get(id)
		return info, ok && (since == 0 || time.Since(info.at) < since)
	}
	if info, ok := known(); ok {
		return info, nil
	}
	select {
	case c.mounts.asking <- struct{}{}:
		defer func() { <-c.mounts.asking }()
	case <-ctx.Done():
		return mountInfo{}, fmt.Errorf("waiting to look at the mount %s: %w: %w", id.mount, ctx.Err(), store.ErrUnavailable)
	}
	if info, ok := known(); ok {
		return info, nil
	}
	info, err := c.detect(ctx, t, id)
	if err != nil {
		return mountInfo{}, err
	}
	c.mounts.set(id, info)
	return info, nil
}

// detect asks the endpoint that Vault's own tools ask. It answers whoever has
// any capability below the mount.
func (c *Client) detect(ctx context.Context, t *token, id mountID) (mountInfo, error) {
	q := call{method: http.MethodGet, path: "sys/internal/ui/mounts/" + id.mount, namespace: id.namespace, token: t.value}
	a, err := c.send(ctx, q)
	if err != nil {
		return mountInfo{}, err
	}
	if err := failure(q, a); err != nil {
		if !errors.Is(err, errForbidden) {
			return mountInfo{}, err
		}
		// The policy hides the mount, or there is none. Version 2 is what
		// new mounts are; a read will tell.
		c.log.Warn("cannot see which KV version the mount has, assuming 2",
			zap.String("mount", id.mount), zap.String("namespace", id.namespace))
		return mountInfo{version: 2, assumed: true, at: time.Now()}, nil
	}
	var body struct {
		Data struct {
			Type    string            `json:"type"`
			Options map[string]string `json:"options"`
		} `json:"data"`
	}
	if !a.json || json.Unmarshal(a.body, &body) != nil || body.Data.Type == "" {
		return mountInfo{}, fmt.Errorf("%s: %w: %w", q.describe(), errBody, store.ErrUnavailable)
	}
	switch body.Data.Type {
	case "kv", "generic":
	default:
		return mountInfo{}, fmt.Errorf("the mount %s is a %s engine, not KV; write its whole path with a leading slash: %w",
			id.mount, body.Data.Type, store.ErrMisconfigured)
	}
	if body.Data.Options["version"] == "2" {
		return mountInfo{version: 2, at: time.Now()}, nil
	}
	return mountInfo{version: 1, at: time.Now()}, nil
}
