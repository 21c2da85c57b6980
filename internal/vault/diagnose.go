// Saying to a person why a document cannot be read.

package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// Versioned tells whether the mount of a document that was read keeps versions.
// KV version 1 does not.
func (c *Client) Versioned(a store.Address) bool {
	p, err := c.place(a)
	if err != nil || p.raw {
		return false
	}
	info, ok := c.mounts.get(p.mountID)
	return ok && info.version == 2
}

// Diagnose says for a person, in one line and without any secret, what err,
// which Get returned for a, comes from. It may ask Vault more than a request
// would: the mount, the seal, and which policies the login has.
func (c *Client) Diagnose(ctx context.Context, a store.Address, err error) string {
	if no, ok := errors.AsType[*refusedError](err); ok {
		return "login refused: " + no.Error()
	}
	if errors.Is(err, store.ErrUnavailable) {
		return c.diagnoseAway(ctx, err)
	}
	p, placeErr := c.place(a)
	if placeErr != nil {
		return placeErr.Error()
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return c.diagnoseMissing(ctx, p, err)
	case errors.Is(err, store.ErrDenied):
		return c.diagnoseDenied(ctx, p)
	case errors.Is(err, store.ErrMisconfigured) && strings.Contains(err.Error(), "no handler for route"):
		if p.raw {
			return "no such mount: none of Vault's holds the path " + p.path
		}
		return "no such mount: " + p.mount
	}
	return err.Error()
}

func (c *Client) diagnoseAway(ctx context.Context, err error) string {
	health := c.Healthy(ctx)
	st := c.Status()
	switch {
	case st.Reachable && st.Sealed:
		return "Vault is sealed"
	case health != nil && !st.Reachable:
		return fmt.Sprintf("Vault does not answer at %s: %v", strings.Join(c.cfg.Addresses, ", "), err)
	}
	return err.Error()
}

// diagnoseMissing tells a wrong spelling of the path from a document that was
// never written.
func (c *Client) diagnoseMissing(ctx context.Context, p place, err error) string {
	if strings.Contains(err.Error(), "is deleted") {
		return "the newest version of this document is deleted"
	}
	id := p.mountID
	if p.raw { // Vault finds the mount that a whole path lies in
		id.mount = p.path
	}
	var info mountInfo
	if lookErr := c.withToken(ctx, func(t *token) (err error) {
		info, err = c.detect(ctx, t, id)
		return err
	}); lookErr != nil || info.assumed {
		info = mountInfo{}
	}
	_, below, _ := strings.Cut(p.path, "/")
	switch {
	case info.version == 1 && p.raw && strings.HasPrefix(below, "data/"):
		return "this mount is KV v1: a whole path in it has no data/"
	case info.version == 1 && strings.HasPrefix(p.path, "data/"):
		return "this mount is KV v1: its paths have no data/"
	case info.version == 2 && !p.raw && strings.HasPrefix(p.path, "data/"):
		return "this mount is KV v2, for which data/ is put in front by itself: take it off the path"
	case info.version == 1:
		return "no such document; this mount is KV v1"
	case info.version == 2:
		return "no such document; this mount is KV v2"
	}
	return "no such document"
}

// diagnoseDenied names the login, its policies, and the rule it lacks.
func (c *Client) diagnoseDenied(ctx context.Context, p place) string {
	info, _ := c.mounts.get(p.mountID)
	path := p.mount + "/" + p.path
	switch {
	case p.raw:
		path = p.path
	case info.version == 2:
		path = p.mount + "/data/" + p.path
	}
	text := "the policy denies this path"
	if info.assumed && !p.raw {
		text += ", or there is no mount " + p.mount
	}
	if p.namespace != "" {
		text += " in the namespace " + p.namespace
	}
	return fmt.Sprintf("%s; logged in with auth %s%s; it takes: path %q { capabilities = [\"read\"] }",
		text, c.cfg.Auth.Method, c.policies(ctx), path)
}

// policies describes the token that is used.
func (c *Client) policies(ctx context.Context) string {
	t, err := c.session.token(ctx)
	if err != nil {
		return ""
	}
	a, err := c.send(ctx, call{method: http.MethodGet, path: "auth/token/lookup-self", namespace: c.auth.config().Namespace, token: t.value})
	if err != nil || a.status != http.StatusOK {
		return ""
	}
	var body struct {
		Data struct {
			Policies         []string `json:"policies"`
			IdentityPolicies []string `json:"identity_policies"`
		} `json:"data"`
	}
	if json.Unmarshal(a.body, &body) != nil || len(body.Data.Policies) == 0 {
		return ""
	}
	return " (policies " + strings.Join(append(body.Data.Policies, body.Data.IdentityPolicies...), ", ") + ")"
}
