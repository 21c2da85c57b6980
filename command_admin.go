package apikeyinject

// This file holds how a command works through the running Caddy.

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/apikeyinject/caddy-apikey-inject/internal/seal"
)

// adminKeysAt works through the admin API at this address.
type adminKeysAt string

func (adminKeysAt) where() string { return "in the running Caddy" }

func (t adminKeysAt) set(q *keyRequest) (*keyInfo, error) {
	info := new(keyInfo)
	body := struct {
		keyRequest
		Key string `json:"key"` // in clear: keyText would not
	}{*q, q.Key.Reveal()}
	return info, t.do(http.MethodPut, adminKeys, body, info)
}

func (t adminKeysAt) remove(q *keyRequest) error {
	return t.do(http.MethodDelete, adminKeys, q, new(json.RawMessage))
}

func (t adminKeysAt) list(q *keyRequest) ([]keyInfo, error) {
	var answer struct {
		Keys []keyInfo `json:"keys"`
	}
	uri := adminKeys
	if q.Store != "" {
		uri += "?store=" + url.QueryEscape(q.Store)
	}
	err := t.do(http.MethodGet, uri, nil, &answer)
	return answer.Keys, err
}

func (t adminKeysAt) rotate(q *rotateRequest) (*seal.Rotated, error) {
	done := new(seal.Rotated)
	return done, t.do(http.MethodPost, adminKeyset, q, done)
}

func (t adminKeysAt) do(method, uri string, body, answer any) error {
	return askAdmin(string(t), method, uri, body, answer)
}

// configOf loads the configuration that --config names, nil without.
func configOf(fl caddycmd.Flags) ([]byte, error) {
	file := fl.String("config")
	if file == "" {
		return nil, nil
	}
	config, _, _, err := caddycmd.LoadConfig(file, fl.String("adapter"))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	return config, nil
}

// adminOf finds the admin API that the flags of a command name.
func adminOf(fl caddycmd.Flags) (string, error) {
	config, err := configOf(fl)
	if err != nil {
		return "", err
	}
	return adminIn(fl, config)
}

// adminIn is adminOf with the configuration loaded.
func adminIn(fl caddycmd.Flags, config []byte) (string, error) {
	addr, err := caddycmd.DetermineAdminAPIAddress(fl.String("address"), config, fl.String("config"), fl.String("adapter"))
	if err != nil {
		return "", fmt.Errorf("finding the admin API: %w", err)
	}
	return addr, nil
}

// askAdmin sends a request with a JSON body to the admin API at addr. What the
// API refuses is an [*adminError].
func askAdmin(addr, method, uri string, body, answer any) error {
	var reader io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		reader = bytes.NewReader(b)
	}
	// Each call makes a client of its own, whose connection would stay open.
	resp, err := caddycmd.AdminAPIRequest(addr, method, uri, http.Header{"Connection": {"close"}}, reader)
	if err != nil {
		return plainAPIError(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		return errors.New("the Caddy that runs does not answer as this command expects; is its apikey_inject of another version?")
	}
	return nil
}

// adminError is a refusal of the admin API.
type adminError struct {
	status int
	text   string
}

func (e *adminError) Error() string { return e.text }

// unreachable is what kept a request from the admin API.
type unreachable struct{ error }

func (e *unreachable) Unwrap() error { return e.error }

// plainAPIError takes the admin API's message out of its dress.
func plainAPIError(err error) error {
	_, text, ok := strings.Cut(err.Error(), "caddy responded with error: HTTP ")
	if !ok {
		return &unreachable{err}
	}
	number, text, _ := strings.Cut(text, ": ")
	status, _ := strconv.Atoi(number)
	var answer struct {
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal([]byte(text), &answer) == nil {
		if text := refusalText(answer.Error); text != "" {
			return &adminError{status, text}
		}
	}
	if status == http.StatusNotFound {
		return &adminError{status, "the Caddy that runs is built without apikey_inject"}
	}
	return err
}

// refusalText returns what an error says: a text from Caddy's own writer, an
// object from the management API's, with all that is wrong and where.
func refusalText(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var e struct {
		Message string `json:"message"`
		Errors  []struct {
			Message string `json:"message"`
			Detail  string `json:"detail"`
			Path    []any  `json:"path"`
		} `json:"errors"`
	}
	if json.Unmarshal(raw, &e) != nil {
		return ""
	}
	if len(e.Errors) == 0 {
		return e.Message
	}
	var lines []string
	for _, f := range e.Errors {
		line := f.Message
		if f.Detail != "" {
			line += ": " + f.Detail
		}
		if len(f.Path) > 0 {
			parts := make([]string, 0, len(f.Path))
			for _, p := range f.Path {
				parts = append(parts, fmt.Sprint(p))
			}
			line += " (" + strings.Join(parts, ".") + ")"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "; ")
}
