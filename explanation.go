package apikeyinject

import (
	"time"
	"unicode/utf8"
)

// This file holds what an explanation says, field by field.

// explanation says what would become of a request, and why. Of the key it holds
// the mask alone.
type explanation struct {
	Method string `json:"method"`
	URL    string `json:"url"`

	Server     string   `json:"server"`
	Routes     []string `json:"routes,omitempty"`      // matched, from the outside in, by their place in the configuration
	NotRun     []string `json:"not_run,omitempty"`     // handlers on the way that were passed over
	AnsweredBy string   `json:"answered_by,omitempty"` // instead of apikey_inject

	Integration string            `json:"integration,omitempty"`
	Callers     *explainedCallers `json:"callers,omitempty"`
	Refused     *explainedRefusal `json:"refused,omitempty"`
	Key         *explainedKey     `json:"key,omitempty"`
	Path        []string          `json:"path,omitempty"` // what was done to it, in order
	Request     *explainedRequest `json:"request,omitempty"`
	LeftOut     []explainedHeader `json:"left_out,omitempty"`
	Transport   *explainedTarget  `json:"transport,omitempty"`
}

type explainedCallers struct {
	Integration []string `json:"integration_allows,omitempty"`
	Route       []string `json:"route_allows,omitempty"`
	Caller      string   `json:"caller,omitempty"`
	From        string   `json:"caller_from"`
	Passes      bool     `json:"passes"`
}

type explainedRefusal struct {
	Code    string `json:"code"`
	Status  int    `json:"status"`
	Message string `json:"message"`
}

type explainedKey struct {
	Store      string     `json:"store"`
	Path       string     `json:"path"`
	Field      string     `json:"field,omitempty"`
	Connection string     `json:"connection,omitempty"`
	Version    int        `json:"version,omitempty"`
	CreatedAt  *time.Time `json:"created_at,omitempty"` // by the store's clock
	CheckedAt  *time.Time `json:"checked_at,omitempty"` // last seen to be the newest
	State      string     `json:"state,omitempty"`      // fresh, stale, old
	Masked     string     `json:"masked,omitempty"`
}

type explainedRequest struct {
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Why     string            `json:"why"`
	Headers []explainedHeader `json:"headers"`
}

type explainedHeader struct {
	Name  string `json:"name"`
	Value string `json:"value,omitempty"`
	Why   string `json:"why"`
}

type explainedTarget struct {
	Dials                 string `json:"dials"`
	TLS                   bool   `json:"tls"`
	DialTimeout           string `json:"dial_timeout"`
	ResponseHeaderTimeout string `json:"response_header_timeout"`
	RefusedStatuses       []int  `json:"refused_statuses"`
	ReplayBuffer          int64  `json:"replay_buffer"`
}

// maskKey shows of a key its last four characters, when it is so long that they
// help nobody who guesses the rest.
func maskKey(key string) string {
	const shown, long = 4, 16
	if utf8.RuneCountInString(key) <= long {
		return "****"
	}
	runes := []rune(key)
	return "****" + string(runes[len(runes)-shown:])
}
