// Vault's answers, sorted into the classes of package store.

package vault

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// errTokenDead says that Vault does not know the token that was sent: it was
// revoked, expired or used up. Vault says so in words since 1.17.
var errTokenDead = errors.New("the token is no longer valid")

// errForbidden is a 403 that may mean a dead token or a policy.
var errForbidden = errors.New("permission denied")

// phrases are the texts of Vault that help an operator and hold no value of
// theirs. Anything else in an answer stays out of our errors.
var phrases = []string{
	"Vault is sealed",
	"node is not active",
	"local node not active",
	"no active Vault instance found",
	"Vault is not initialized",
	"rate limit quota exceeded",
	"invalid role or secret ID",
	"invalid role ID",
	"invalid username or password",
	"wrapping token is not valid or does not exist",
	"Upgrading from non-versioned to versioned data",
	"JSON string value exceeds allowed length",
	"no handler for route",
	"preflight capability check returned 403",
	"check-and-set parameter did not match",
	"unsupported path",
	"namespace not found",
	"missing client token",
	"invalid role name",
	"role not found",
	"service account name not authorized",
	"namespace not authorized",
	"error validating token",
	"failed to match all constraints",
	"invalid audience",
	"token is expired",
	"permission denied",
}

// described returns the status and, when one is known, Vault's own phrase.
func (a *answer) described() string {
	for _, p := range phrases {
		if a.says(p) {
			return fmt.Sprintf("%d %s", a.status, p)
		}
	}
	if !a.json && len(a.body) > 0 {
		return fmt.Sprintf("%d with a body that is not JSON", a.status)
	}
	if text := http.StatusText(a.status); text != "" {
		return fmt.Sprintf("%d %s", a.status, strings.ToLower(text))
	}
	return fmt.Sprintf("%d", a.status)
}

// unavailable is the error of an answer that says nothing about a document.
func unavailable(q call, a *answer) error {
	return fmt.Errorf("%s: answered %s: %w", q.describe(), a.described(), store.ErrUnavailable)
}

// describe names a call without the token and the body.
func (q call) describe() string {
	verb := "reading"
	if q.method != http.MethodGet {
		verb = "writing"
	}
	if q.namespace != "" {
		return fmt.Sprintf("%s %s in namespace %s", verb, q.path, q.namespace)
	}
	return fmt.Sprintf("%s %s", verb, q.path)
}

// failure returns the error of an answer that is not a success, or nil when it
// is one. What a 404 means depends on what was asked: see [notFound].
func failure(q call, a *answer) error {
	switch {
	case a.status/100 == 2:
		return nil
	case a.status == http.StatusForbidden && a.says("invalid token"):
		return fmt.Errorf("%s: %w", q.describe(), errTokenDead)
	case a.status == http.StatusForbidden && a.json:
		return fmt.Errorf("%s: %w", q.describe(), errForbidden)
	case a.status == http.StatusNotFound:
		return notFound(q, a)
	case a.status == http.StatusMethodNotAllowed && a.json:
		return fmt.Errorf("%s: answered %s: %w", q.describe(), a.described(), store.ErrMisconfigured)
	case a.status == http.StatusBadRequest && a.json && a.says("relative paths not supported"):
		// Engines other than KV version 2 hold no path with two dots anywhere. It
		// is no outage: a caller with such an id would take the store from all.
		return fmt.Errorf("%s: %w", q.describe(), store.ErrNotFound)
	case a.status == http.StatusBadRequest && a.says("check-and-set parameter did not match"):
		return fmt.Errorf("%s: %w", q.describe(), store.ErrConflict)
	}
	return unavailable(q, a)
}

// notFound tells a missing document, which is to be obeyed, from a missing
// mount and from a load balancer's page, which are not.
func notFound(q call, a *answer) error {
	switch {
	case a.says("no handler for route"), a.says("unsupported path"), a.says("namespace not found"):
		return fmt.Errorf("%s: answered %s: %w", q.describe(), a.described(), store.ErrMisconfigured)
	case a.says("Invalid path for a versioned K/V"):
		return fmt.Errorf("%s: %w", q.describe(), errVersioned)
	case a.json && isEmptyNotFound(a.body):
		return fmt.Errorf("%s: %w", q.describe(), store.ErrNotFound)
	case a.json && isDeleted(a.body):
		return fmt.Errorf("%s: its newest version is deleted: %w", q.describe(), store.ErrNotFound)
	}
	return unavailable(q, a)
}
