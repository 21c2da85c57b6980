package apikeyinject

// This file holds how arguments of subdirectives are read.

import (
	"math"
	"strconv"

	"github.com/dustin/go-humanize"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// usages is what an error about the number of arguments offers. It never quotes
// what was written: a secret of several words would be in it.
var usages = map[string]string{
	"integration": "<unique_key> [<base_url>]", "store": "vault|local [<name>]", "catalog": "sqlite [<file>], or catalog postgres <placeholder of the URL>",
	"base_url": "<url>", "connect_url": "<url>", "placement": "header|query", "name": "<name>", "logo": "<https url|file>", "failures": "<events> <window>, such as 100 10m", "template": "<template with ${apiKey}>, in quotes when it has spaces",
	"key": "<path> [<field>]", "strip_prefix": "<prefix>", "connection": "<id>", "caller": "<placeholder>",
	"allow":        "user|client_cert|token <names...>, or allow anyone",
	"allow_origin": "<origins...>", "connection_config": "{ ... }", "transport": "http { ... }",
	"auth":    "token <placeholder>, auth token_file <file>, or auth approle|kubernetes|jwt|cert|userpass { ... }",
	"address": "<urls...>", "tls_trust_pool": "<module> [<arguments...>]", "tls_client_auth": "<certificate file> <key file>",
	"ttl": "<duration>", "max_stale": "<duration>", "startup": "lazy|warm|eager",
	"token": "<placeholder>", "secret_id": "<placeholder>", "password": "<placeholder>", "keyset": "<placeholder>",
	"audit": "on|off", "refused_statuses": "off, or refused_statuses <statuses...>", "replay_buffer": "<size>",
	"refused_after": "<number>", "verification": "[<path>] { ... }", "connect": "{ ... }", "max_age": "<duration>",
	"token_file": "<file>", "secret_id_file": "<file>", "jwt_file": "<file>",
}

// arity says how many arguments a word takes.
func arity(d *caddyfile.Dispenser, word string) error {
	usage, ok := usages[word]
	if !ok {
		usage = "<value>"
	}
	return d.Errf("%s: wrong number of arguments; write: %s %s", word, word, usage)
}

// onOff parses `<word> on|off`.
func onOff(d *caddyfile.Dispenser, into **bool) error {
	word, at := d.Val(), here(d)
	var text string
	if !d.AllArgs(&text) {
		return arity(at, word)
	}
	if text != "on" && text != "off" {
		return d.Errf("%s: must be on or off", word)
	}
	on := text == "on"
	*into = &on
	return nil
}

// refusedStatuses parses `refused_statuses off|<status>...`.
func (p *integrationParser) refusedStatuses(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return arity(p.at["refused_statuses"], "refused_statuses")
	}
	p.into.RefusedStatuses = []int{}
	if len(args) == 1 && args[0] == "off" {
		return nil
	}
	for _, arg := range args {
		status, err := strconv.Atoi(arg)
		if err != nil {
			return d.Errf("refused_statuses: %q is no status; allowed are statuses such as 401, or off", arg)
		}
		p.into.RefusedStatuses = append(p.into.RefusedStatuses, status)
	}
	if err := checkRefused(p.into.RefusedStatuses); err != nil {
		return d.Errf("refused_statuses: %v", err)
	}
	return nil
}

// replayBuffer parses a size such as 64KiB.
func (p *integrationParser) replayBuffer(d *caddyfile.Dispenser) error {
	var text string
	if !d.AllArgs(&text) {
		return arity(p.at["replay_buffer"], "replay_buffer")
	}
	size, err := humanize.ParseBytes(text)
	if err != nil {
		return d.Errf("replay_buffer: %q is no size such as 64KiB or 0", text)
	}
	n := int64(min(size, math.MaxInt64)) //nolint:gosec // bounded in this line
	if err := checkReplayBuffer(n); err != nil {
		return d.Errf("replay_buffer: %v", err)
	}
	p.into.ReplayBuffer = &n
	return nil
}
