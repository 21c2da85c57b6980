package apikeyinject

// This file holds who may call: an injecting route is a key for whoever
// reaches it.

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
)

// Allow says who may call. Its lines are alternatives: one that fits is
// enough.
type Allow struct {
	// Names of users, or `*` for every authenticated one. The name is
	// `{http.auth.user.id}`, or what `caller` names.
	Users []string `json:"users,omitempty"`

	// Subjects of verified client certificates, compared whole, as
	// `{http.request.tls.client.subject}` shows them, or `*` for every
	// verified one.
	ClientCerts []string `json:"client_certs,omitempty"`

	// Names of API tokens, or `*` for every one with the scope `proxy`. They
	// call through the gateway; on a route of this handler this fits nobody.
	Tokens []string `json:"tokens,omitempty"`

	// Everyone who reaches the route.
	Anyone bool `json:"anyone,omitempty"`
}

func (a *Allow) check() error {
	if a == nil {
		return nil
	}
	if !a.Anyone && len(a.Users)+len(a.ClientCerts)+len(a.Tokens) == 0 {
		return &fieldError{"allow", errors.New("names nobody; allowed are users, client_certs, tokens, anyone")}
	}
	if slices.Contains(slices.Concat(a.Users, a.ClientCerts, a.Tokens), "") {
		return &fieldError{"allow", errors.New("holds an empty name")}
	}
	return nil
}

// expanded returns a copy whose names have their placeholders filled in, once,
// at load.
func (a *Allow) expanded(repl *caddy.Replacer) (*Allow, error) {
	if a == nil {
		return nil, nil
	}
	out := &Allow{Anyone: a.Anyone}
	for _, list := range []struct{ dst, src *[]string }{
		{&out.Users, &a.Users}, {&out.ClientCerts, &a.ClientCerts}, {&out.Tokens, &a.Tokens},
	} {
		for _, name := range *list.src {
			s, err := repl.ReplaceOrErr(name, true, true)
			if err != nil {
				return nil, &fieldError{"allow", fmt.Errorf("expanding %q: %w", name, err)}
			}
			*list.dst = append(*list.dst, s)
		}
	}
	return out, nil
}

// restricts tells whether the rules keep anyone out.
func (a *Allow) restricts() bool { return a != nil && !a.Anyone }

// caller is who calls, as far as it is known. Empty fields are nobody.
type caller struct {
	request *http.Request
	user    string // authenticated
	token   string // name of the API token, in the gateway
}

// fits tells whether the rules let this caller pass. Nil rules let everyone
// pass.
func (a *Allow) fits(by caller) bool {
	if !a.restricts() {
		return true
	}
	if names(a.Users, by.user) || names(a.Tokens, by.token) {
		return true
	}
	if len(a.ClientCerts) == 0 {
		return false
	}
	subject, ok := verifiedSubject(by.request)
	return ok && (slices.Contains(a.ClientCerts, subject) || slices.Contains(a.ClientCerts, "*"))
}

// names tells whether a list of the rules names somebody.
func names(list []string, who string) bool {
	return who != "" && (slices.Contains(list, who) || slices.Contains(list, "*"))
}

// verifiedSubject returns the subject of the client's certificate, if a chain
// to a trusted CA was verified. With Caddy's client_auth modes `request` and
// `require` a certificate is there and proves nothing.
func verifiedSubject(r *http.Request) (string, bool) {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return "", false
	}
	return r.TLS.VerifiedChains[0][0].Subject.String(), true
}
