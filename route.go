package apikeyinject

import (
	"fmt"
	"maps"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// This file holds how a route and its integration become one.

// resolveIntegration finds the integration and compiles it.
func (h *Handler) resolveIntegration(app *App) error {
	if h.Name == "" {
		p, err := h.compile()
		if err != nil {
			return err
		}
		h.integration, h.plan = &h.Integration, p
		h.label = h.LabelAs
		if h.label == "" {
			h.label = p.base.Host
		}
		return nil
	}
	if err := checkName(h.Name); err != nil {
		return &fieldError{"integration", err}
	}
	if own := h.ownFields(); len(own) > 0 {
		return wrong(own[0], "is not allowed beside integration %q: it belongs into the integration", h.Name)
	}
	if h.LabelAs != "" {
		return wrong("label_as", "is not allowed beside integration %q, which is the label", h.Name)
	}
	if err := h.check(); err != nil {
		return err
	}
	var err error
	if h.integration, h.plan, err = app.integration(h.Name); err != nil {
		return &fieldError{"integration", err}
	}
	h.label = h.Name
	return nil
}

// checkName refuses an integration given by placeholder.
func checkName(name string) error {
	if strings.ContainsAny(name, "{}") {
		return fmt.Errorf("%q holds a placeholder; the integration of a route is fixed", name)
	}
	return nil
}

// provisionRoute merges what the route and its integration say.
func (h *Handler) provisionRoute(ctx caddy.Context) (err error) {
	repl := caddy.NewReplacer()
	h.labelValue = h.label
	h.stripPrefix = firstSet(h.StripPrefix, h.integration.StripPrefix)
	h.caller = firstSet(h.Caller, h.integration.Caller)
	if h.integration != &h.Integration {
		if h.allow[0], err = h.integration.Allow.expanded(repl); err != nil {
			return err
		}
	}
	if h.allow[1], err = h.Allow.expanded(repl); err != nil {
		return err
	}
	h.refused, h.replayBuffer = defaultRefused, defaultReplayBuffer
	if h.integration.RefusedStatuses != nil {
		h.refused = h.integration.RefusedStatuses
	}
	if n := h.integration.ReplayBuffer; n != nil {
		h.replayBuffer = *n
	}
	for _, on := range []*bool{h.integration.Audit, h.Audit} {
		if on != nil {
			h.audit = *on
		}
	}
	h.restricted = h.allow[0].restricts() || h.allow[1].restricts()
	h.config = maps.Clone(h.integration.ConnectionConfig)
	if h.config == nil {
		h.config = map[string]string{}
	}
	maps.Copy(h.config, h.ConnectionConfig)
	for _, name := range h.plan.template.Fields() {
		if _, ok := h.config[name]; !ok {
			return wrong("value_template", "needs ${connectionConfig.%s}, and connection_config has no %q", name, name)
		}
	}
	if h.connection, err = newConnectionSource(h.Connection, h.Allow != nil); err != nil {
		return &fieldError{"connection", err}
	}
	if err := checkConnectionKey(h.Connection, h.integration.Key); err != nil {
		return err
	}
	h.readHeaders = append(headersRead(h.caller), headersRead(h.Connection)...)
	h.leaves = h.leftOut()
	return nil
}

func firstSet(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
