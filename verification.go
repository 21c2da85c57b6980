package apikeyinject

// This file holds what an integration says of how its keys are tried.

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/caddyserver/caddy/v2"

	"github.com/apikeyinject/caddy-apikey-inject/internal/api"
	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/inject"
)

// request returns the request of a verification, before the key is placed.
func (v *Verification) request(ex *exchange) (*http.Request, error) {
	rest, query, _ := strings.Cut(v.Path, "?")
	u := &url.URL{RawQuery: query}
	if err := inject.SetEscapedPath(u, "/"+strings.TrimPrefix(rest, "/")); err != nil {
		return nil, err
	}
	r := &http.Request{
		Method: firstSet(v.Method, http.MethodGet), URL: u, Host: ex.ren.base.Host,
		Header: make(http.Header, len(v.Headers)+1), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	r.Header.Set("User-Agent", trialAgent)
	for name, value := range v.Headers {
		r.Header.Set(name, value)
	}
	return r.WithContext(ex), nil
}

// check refuses what could lead elsewhere or carry another key.
func (v *Verification) check() error {
	if v == nil {
		return nil
	}
	switch v.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodPost:
	default:
		return wrong("verification.method", "must be one of: GET, HEAD, POST")
	}
	if v.Path == "" {
		return wrong("verification.path", "is required")
	}
	if !api.Relative(v.Path) {
		return wrong("verification.path", "%q must be a path below the base URL, and a query if need be", v.Path)
	}
	for _, name := range slices.Sorted(maps.Keys(v.Headers)) {
		if err := checkTrialHeader(name, v.Headers[name]); err != nil {
			return &fieldError{"verification.headers", err}
		}
	}
	for _, s := range v.Success {
		if s < 200 || s > 599 {
			return wrong("verification.success", "%d is outside 200 to 599", s)
		}
	}
	if every := time.Duration(v.Interval); every != 0 && every < api.MinInterval {
		return &fieldError{"verification.interval", fmt.Errorf("%s is shorter than %s", every, api.MinInterval)}
	}
	return nil
}

// checkTrialHeader refuses what no header of a request can be, or what looks like
// a place for the key.
func checkTrialHeader(name, value string) error {
	switch {
	case inject.CheckName(inject.Header, name) != nil:
		return fmt.Errorf("%q is no header that can be set", name)
	case !httpguts.ValidHeaderFieldValue(value) || strings.Contains(value, "${"):
		return fmt.Errorf("the value of %s cannot be sent as it is; the key is placed by itself", name)
	}
	return nil
}

// row is the verification as the catalog's rows have it.
func (v *Verification) row() *catalog.Verification {
	if v == nil {
		return nil
	}
	return &catalog.Verification{Method: v.Method, Path: v.Path, Headers: v.Headers, Success: v.Success, Interval: time.Duration(v.Interval)}
}

// verificationOf is the verification of a row.
func verificationOf(row *catalog.Verification) *Verification {
	if row == nil {
		return nil
	}
	return &Verification{Method: row.Method, Path: row.Path, Headers: row.Headers, Success: row.Success, Interval: caddy.Duration(row.Interval)}
}
