package api

import (
	"net/http"
	"testing"
)

func TestATokenLearnsWhatItMayDo(t *testing.T) {
	r := newRig(t, Token{Name: "few", Value: limited("few").Value, Scopes: []string{ScopeProxy}, Integrations: []string{"acme"}, Connections: []string{"one"}})
	r.do("GET", "/token", "", as("few")).ok().want("few", "data", "name").want(`["proxy"]`, "data", "scopes").
		want(`["acme"]`, "data", "integrations").want(`["one"]`, "data", "connections")
	r.do("GET", "/token", "").ok().want("ops", "data", "name").want("status", "data", "scopes", 6).want("[]", "data", "integrations").want("[]", "data", "connections")
	r.do("GET", "/token", "", as("nobody")).is(http.StatusUnauthorized, "unknown_account")
}
