package apikeyinject

// This file holds how a command works through the running Caddy.

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
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

func (t adminKeysAt) do(method, uri string, body, answer any) error {
	return askAdmin(string(t), method, uri, body, answer)
}

// askAdmin sends a request with a JSON body to the admin API at addr.
func askAdmin(addr, method, uri string, body, answer any) error {
	var reader io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		reader = bytes.NewReader(b)
	}
	resp, err := caddycmd.AdminAPIRequest(addr, method, uri, nil, reader)
	if err != nil {
		return plainAPIError(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		return errors.New("the Caddy that runs does not answer as this command expects; is its apikey_inject of another version?")
	}
	return nil
}

// plainAPIError takes the admin API's message out of its dress.
func plainAPIError(err error) error {
	_, text, ok := strings.Cut(err.Error(), "caddy responded with error: HTTP ")
	if !ok {
		return err
	}
	status, text, _ := strings.Cut(text, ": ")
	var answer struct {
		Error string `json:"error"`
	}
	if json.Unmarshal([]byte(text), &answer) == nil && answer.Error != "" {
		return errors.New(answer.Error)
	}
	if status == "404" {
		return errors.New("the Caddy that runs is built without apikey_inject")
	}
	return err
}
