package api

// This file holds the list that everything wrong with a request goes into, so
// that it is told at once.

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// The codes of faults, in the words of Nango's clients.
const (
	wrongType   = "invalid_type"
	wrongFormat = "invalid_format"
	wrongValue  = "invalid_value"
	wrongCustom = "custom"
	tooSmall    = "too_small"
	tooBig      = "too_big"
	unknownKeys = "unrecognized_keys"
)

// maxFaults bounds an answer; a body of a megabyte can have very many faults.
const maxFaults = 100

// faults collects what is wrong.
type faults struct {
	list []Fault
}

// add enters a fault, unless something is already said about that path or about
// what it lies in: a field of the wrong type is not also missing.
func (f *faults) add(code, message string, path ...any) { f.addDetail(code, message, "", path...) }

// addDetail is [faults.add] with a text beside the message.
func (f *faults) addDetail(code, message, detail string, path ...any) {
	if len(f.list) >= maxFaults || f.covers(path) {
		return
	}
	f.list = append(f.list, Fault{Code: code, Message: message, Path: append([]any{}, path...), Detail: detail})
}

func (f *faults) covers(path []any) bool {
	return slices.ContainsFunc(f.list, func(o Fault) bool {
		return o.Code != unknownKeys && len(o.Path) <= len(path) && slices.Equal(o.Path, path[:len(o.Path)])
	})
}

// body returns what is wrong as the answer to a bad body, nil for nothing.
func (f *faults) body() error { return f.as("invalid_body", "The body is invalid") }

// query is [faults.body] for a query.
func (f *faults) query() error {
	return f.as("invalid_query_params", "The query parameters are invalid")
}

func (f *faults) as(code, message string) error {
	if len(f.list) == 0 {
		return nil
	}
	if len(f.list) == 1 { // the message is what many clients show alone
		message = f.list[0].Message
	}
	return &Error{Status: http.StatusBadRequest, Code: code, Message: message, Faults: f.list}
}

// oneFault is the answer to a body with a single fault.
func oneFault(code, message string, path ...any) error {
	var f faults
	f.add(code, message, path...)
	return f.body()
}

// clipped shortens a name that came from outside, for a message.
func clipped(s string) string {
	const limit = 256
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}

func unknownField(name string) string { return fmt.Sprintf("Unknown field %s", clipped(name)) }
