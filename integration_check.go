package apikeyinject

// This file holds the checks that an integration and a route go through, from the
// Caddyfile as from JSON.

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/apikeyinject/caddy-apikey-inject/internal/api"
	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/inject"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// fieldError says which field of a configuration is wrong.
type fieldError struct {
	field string // JSON name, "key.path"
	err   error
}

func (e *fieldError) Error() string { return e.field + ": " + e.err.Error() }
func (e *fieldError) Unwrap() error { return e.err }

// fieldCause takes the field's name off an error, for where the word stands
// already.
func fieldCause(err error) error {
	if f, ok := errors.AsType[*fieldError](err); ok {
		return f.err
	}
	return err
}

func wrong(field, format string, args ...any) error {
	return &fieldError{field: field, err: fmt.Errorf(format, args...)}
}

// plan is an integration as requests use it.
type plan struct {
	base      *inject.BaseTemplate
	placement *inject.Placement
	template  *inject.Template
}

// compile checks the integration whole. The errors are [*fieldError]s.
func (i *Integration) compile() (*plan, error) {
	var p plan
	var err error
	if p.base, err = inject.ParseBaseTemplate(i.BaseURL); err != nil {
		return nil, &fieldError{"base_url", err}
	}
	if err = inject.CheckKind(i.KeyPlacement); err != nil {
		return nil, &fieldError{"key_placement", err}
	}
	if p.placement, err = inject.NewPlacement(i.KeyPlacement, i.KeyName); err != nil {
		return nil, &fieldError{"key_name", err}
	}
	template := i.ValueTemplate
	if template == "" {
		template = inject.DefaultTemplate
	}
	if p.template, err = inject.ParseTemplate(template); err != nil {
		return nil, &fieldError{"value_template", err}
	}
	if err := checkRefused(i.RefusedStatuses); err != nil {
		return nil, &fieldError{"refused_statuses", err}
	}
	if i.ReplayBuffer != nil {
		if err := checkReplayBuffer(*i.ReplayBuffer); err != nil {
			return nil, &fieldError{"replay_buffer", err}
		}
	}
	if i.Key != nil {
		if err := i.Key.check(); err != nil {
			return nil, err
		}
	}
	if err := checkTransport("transport", i.TransportRaw); err != nil {
		return nil, err
	}
	if err := i.Verification.check(); err != nil {
		return nil, err
	}
	if err := i.Connect.check(); err != nil {
		return nil, err
	}
	if i.MaxAge < 0 {
		return nil, wrong("max_age", "must not be negative")
	}
	if i.RefusedAfter < 0 || i.RefusedAfter > maxRefusals {
		return nil, wrong("refused_after", "%d is outside 1 to %d", i.RefusedAfter, maxRefusals)
	}
	return &p, i.Route.check()
}

// check refuses what the Connect page could not show.
func (t *ConnectTexts) check() error {
	if t == nil {
		return nil
	}
	if len([]rune(t.HelpText)) > 1000 || strings.ContainsFunc(t.HelpText, func(r rune) bool { return unicode.IsControl(r) && r != '\n' }) {
		return wrong("connect.help_text", "must have at most 1000 characters, and no control characters")
	}
	for _, f := range []struct{ name, value string }{{"connect.help_url", t.HelpURL}, {"connect.logo_url", t.LogoURL}} {
		if f.value != "" && !api.IsHTTPS(f.value) {
			return wrong(f.name, "must be an https URL")
		}
	}
	return nil
}

// row is the texts as the catalog's rows have them.
func (t *ConnectTexts) row() *catalog.ConnectTexts {
	if t == nil {
		return nil
	}
	return &catalog.ConnectTexts{HelpText: t.HelpText, HelpURL: t.HelpURL, LogoURL: t.LogoURL}
}

// check refuses references that cannot name one document.
func (k *KeyReference) check() error {
	if k.Path == "" {
		return wrong("key.path", "is required")
	}
	for _, f := range []struct{ name, value string }{
		{"key.path", strings.TrimPrefix(k.Path, "/")}, {"key.mount", k.Mount}, {"key.namespace", k.Namespace},
	} {
		if err := store.CheckPath(f.value); f.value != "" && err != nil {
			return &fieldError{f.name, err}
		}
	}
	rest := strings.ReplaceAll(k.Path, connectionID, "")
	if strings.ContainsAny(rest, "{}") {
		return wrong("key.path", "%q holds a placeholder that is not expanded here; only %s is", k.Path, connectionID)
	}
	if strings.ContainsAny(k.Mount+k.Namespace+k.Field, "{}") {
		return wrong("key", "mount, namespace and field hold no placeholders")
	}
	return nil
}

func (r *Route) check() error {
	if err := checkStripPrefix(r.StripPrefix); err != nil {
		return &fieldError{"strip_prefix", err}
	}
	if r.Caller != "" && !strings.Contains(r.Caller, "{") {
		return wrong("caller", "%q is no placeholder; write one such as {http.request.header.Remote-User}", r.Caller)
	}
	for _, o := range r.AllowOrigin {
		if err := checkOrigin(o); err != nil {
			return &fieldError{"allow_origin", err}
		}
	}
	for name := range r.ConnectionConfig {
		if err := inject.CheckConfigValue(name, r.ConnectionConfig[name]); err != nil {
			return &fieldError{"connection_config", err}
		}
	}
	return r.Allow.check()
}

func checkStripPrefix(s string) error {
	switch {
	case s == "":
		return nil
	case s[0] != '/':
		return fmt.Errorf("%q must begin with a slash", s)
	case strings.HasSuffix(s, "/"):
		return fmt.Errorf("%q must not end with a slash: it is taken off at a segment border", s)
	case strings.ContainsAny(s, "{}%?#"):
		return fmt.Errorf("%q must be a plain path, without placeholders and escapes", s)
	}
	if err := inject.CheckPath(s); err != nil {
		return errors.New("must not have a . or .. segment")
	}
	return nil
}

// ownFields names the fields of an integration that are set in a handler that
// also names an integration, in the words of the JSON. They would be ignored.
func (i *Integration) ownFields() []string {
	set := map[string]bool{
		"display_name": i.DisplayName != "", "base_url": i.BaseURL != "", "key_placement": i.KeyPlacement != "",
		"key_name": i.KeyName != "", "value_template": i.ValueTemplate != "", "key_label": i.KeyLabel != "",
		"key": i.Key != nil, "forward_credentials": i.ForwardCredentials, "forwarded_headers": i.ForwardedHeaders,
		"insecure_http": i.InsecureHTTP, "response_compression": i.ResponseCompression,
		"refused_statuses": i.RefusedStatuses != nil, "replay_buffer": i.ReplayBuffer != nil, "disabled": i.Disabled,
		"transport": i.TransportRaw != nil, "verification": i.Verification != nil,
		"connect": i.Connect != nil, "max_age": i.MaxAge != 0, "refused_after": i.RefusedAfter != 0,
	}
	return sortedTrue(set)
}
