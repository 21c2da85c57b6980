package api

// This file holds how answers are written.

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// writeJSON writes an answer. It is encoded before the status goes out, so that
// an answer is whole or a 500.
func writeJSON(w http.ResponseWriter, status int, v any) {
	if status == http.StatusNoContent {
		w.WriteHeader(status)
		return
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // this is JSON and says so; no page reads it
	if err := enc.Encode(v); err != nil {
		b.Reset()
		b.WriteString(`{"error":{"code":"server_error","message":"The answer cannot be written as JSON"}}` + "\n")
		status = http.StatusInternalServerError
	}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the client may have left
}

// guard sets what holds for every answer: it is nobody else's, and no page.
func guard(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
}

// stamp is a time as JavaScript writes it, which clients compare as text.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// stampOrNull is [stamp], nil for the zero time.
func stampOrNull(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := stamp(t)
	return &s
}

// done is the answer of what has nothing else to say.
type done struct {
	Success bool `json:"success" required:"true"`

	// Warnings say what was not done yet, or should be thought over.
	Warnings []string `json:"warnings,omitempty"`
}
