package apikeyinject

import (
	"errors"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/apikeyinject/caddy-apikey-inject/internal/inject"
)

// This file holds what reverse_proxy parses of the block.

// parseProxy lets reverse_proxy parse its share of the block.
func (p *directiveParser) parseProxy() (*reverseproxy.Handler, error) {
	directive := p.start.Token()
	open, end := directive, directive
	directive.Text, open.Text, end.Text = "reverse_proxy", "{", "}"
	// Tokens are told to stand on a line of their own by file and line.
	end.Line = directive.Line + 1
	tokens := append([]caddyfile.Token{directive, open}, slices.Concat(p.rest...)...)
	if last := tokens[len(tokens)-1]; len(p.rest) > 0 {
		end.File, end.Line = last.File, last.Line+last.NumLineBreaks()+1
	}
	tokens = append(tokens, end)

	rp := new(reverseproxy.Handler)
	if err := rp.UnmarshalCaddyfile(caddyfile.NewDispenser(tokens)); err != nil {
		return nil, p.explain(err)
	}
	return rp, nil
}

// finishProxy checks what reverse_proxy was given, and takes it over.
func (p *directiveParser) finishProxy(rp *reverseproxy.Handler) error {
	if err := rp.FinalizeUnmarshalCaddyfile(p.helper); err != nil {
		return err
	}
	raw := caddyconfig.JSONModuleObject(rp, "handler", "reverse_proxy", nil)
	if err := checkProxy(raw, p.placement()); err != nil {
		return p.reportProxy(err)
	}
	if len(p.rest) > 0 {
		p.handler.ProxyRaw = raw
	}
	return nil
}

// placement returns where the key goes; nil where that depends on the request.
func (p *directiveParser) placement() *inject.Placement {
	if p.plan == nil {
		return nil
	}
	return p.plan.placement
}

// reportProxy places the error of checkProxy at the subdirective it is about.
func (p *directiveParser) reportProxy(err error) error {
	var wrongField *fieldError
	if !errors.As(err, &wrongField) {
		return p.start.WrapErr(err)
	}
	if strings.HasPrefix(wrongField.field, "proxy.transport") {
		return p.where("transport", p.start).Errf("%s: %v", strings.TrimPrefix(wrongField.field, "proxy."), wrongField.err)
	}
	for _, line := range p.rest {
		// The name may say what to do: "-X-Key".
		if line[0].Text == "header_up" && len(line) > 1 && p.placement().Replaces(strings.TrimLeft(line[1].Text, "+-?>")) {
			at := caddyfile.NewDispenser(line)
			at.Next()
			return at.WrapErr(wrongField.err)
		}
	}
	return p.start.WrapErr(wrongField.err)
}

// explain names the nearest word for one that neither we nor reverse_proxy
// know.
func (p *directiveParser) explain(err error) error {
	text := err.Error()
	_, rest, ok := strings.Cut(text, "unrecognized subdirective ")
	if !ok {
		return err
	}
	word, _, _ := strings.Cut(rest, ",")
	known := slices.Concat(integrationWords, []string{"connection", "label_as"}, proxyWords)
	for _, line := range p.rest {
		if line[0].Text == word {
			at := caddyfile.NewDispenser(line)
			at.Next()
			return at.Errf("unknown subdirective %q of apikey_inject%s; known are %s, and the options of reverse_proxy",
				word, didYouMean(word, known), strings.Join(slices.Concat(integrationWords, []string{"connection", "label_as"}), ", "))
		}
	}
	return err
}

// proxyWords are the subdirectives of reverse_proxy, for hints only: those that
// are missing here work all the same.
var proxyWords = []string{
	"lb_policy", "lb_retries", "lb_try_duration", "lb_try_interval", "lb_retry_match",
	"health_uri", "health_port", "health_interval", "health_passes", "health_fails", "health_timeout",
	"health_status", "health_body", "health_method", "health_request_body", "health_follow_redirects",
	"health_headers", "health_upstream", "fail_duration", "max_fails", "unhealthy_status",
	"unhealthy_latency", "unhealthy_request_count", "flush_interval", "request_buffers",
	"response_buffers", "stream_buffer_size", "stream_timeout", "stream_close_delay", "verbose_logs",
	"proxy_status_name", "trusted_proxies", "header_up", "header_down", "method", "rewrite", "transport",
	"replace_status", "handle_response",
}
