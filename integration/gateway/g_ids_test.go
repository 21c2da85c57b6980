// G15 and G16: ids of connections in the API and the gateway. An id is never
// another path, and never another one's.

package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestG15AnIDIsNeverAnotherPath(t *testing.T) {
	r := newRig(t, settings{counted: true})
	r.integration("acme", "")
	r.connection("acme", "x", "key-of-x")
	for _, path := range []string{"caddy-apikey-inject/acme", "caddy-apikey-inject", "caddy-apikey-inject/acme/a/b", "caddy-apikey-inject/x", "x"} {
		r.vault.Put(path, map[string]any{"apiKey": "astray"})
	}
	for _, c := range []struct{ name, id string }{
		{"empty", ""},
		{"nothing but blanks", "  "},
		{"dot", "."},
		{"dots", ".."},
		{"a blank at the end", "x "},
		{"a blank at the beginning", " x"},
		{"upwards", "../x"},
		{"upwards twice", "../../x"},
		{"a slash", "a/b"},
		{"a slash at the end", "x/"},
		{"a slash at the beginning", "/x"},
		{"escaped dots", "%2e%2e"},
		{"escaped upwards", "%2e%2e%2fx"},
		{"escaped twice", "%252e%252e%252fx"},
		{"an escaped control character", "a%00b"},
		{"an inner tab", "a\tb"},
		{"a control character of Latin-1", "a\u0085b"},
		{"no UTF-8", "a\xffb"},
		{"256 bytes", strings.Repeat("a", 256)},
	} {
		through, enter := t.Run, t.Run
		if strings.TrimSpace(c.id) == "x" {
			through = nothing // a header has no blanks round its value; the API enters no such id
		}
		if strings.Contains(c.name, "UTF-8") {
			enter = nothing // JSON has no such bytes
		}
		through("G15 through the gateway: "+c.name, func(t *testing.T) {
			r.up.Forget()
			before := len(r.reads.Seen())
			r.wantRefusal(t, r.proxy("acme", c.id, http.MethodGet, "/users", ""), http.StatusBadRequest, "bad_connection")
			if seen := r.reads.Seen()[before:]; len(seen) != 0 {
				t.Errorf("Vault was asked %q", seen)
			}
		})
		enter("G15 entered: "+c.name, func(t *testing.T) {
			before := len(r.reads.Seen())
			a := r.as(ops, http.MethodPost, "/connections", entering("acme", c.id, "k"))
			if a.status != http.StatusBadRequest || a.code(t) != "invalid_body" {
				t.Errorf("answered %d %s", a.status, a.body)
			}
			if seen := r.reads.Seen()[before:]; len(seen) != 0 {
				t.Errorf("Vault was asked %q", seen)
			}
		})
		for _, method := range []string{http.MethodGet, http.MethodDelete} {
			t.Run("G15 "+method+" "+c.name, func(t *testing.T) {
				before := len(r.reads.Seen())
				a := r.as(ops, method, connectionPath("acme", c.id), "")
				if a.status != http.StatusBadRequest && a.status != http.StatusNotFound && a.status != http.StatusMethodNotAllowed {
					t.Errorf("answered %d %s", a.status, a.body)
				}
				if seen := r.reads.Seen()[before:]; len(seen) != 0 {
					t.Errorf("Vault was asked %q", seen)
				}
			})
		}
	}
	t.Run("G15 a control character in JSON", func(t *testing.T) {
		for _, id := range []string{`a\u0000b`, `a\nb`, `a\u007fb`, `a\u001bb`} {
			body := strings.Replace(entering("acme", "ID", "k"), "ID", id, 1)
			if a := r.as(ops, http.MethodPost, "/connections", body); a.status != http.StatusBadRequest {
				t.Errorf("%s: answered %d %s", id, a.status, a.body)
			}
		}
	})
	t.Run("G15 an ordinary id", func(t *testing.T) {
		r.up.Forget()
		r.proxy("acme", "x", http.MethodGet, "/", "")
		r.wantKey(t, "Api-Key key-of-x")
	})
}

// ids differ in case, space, normal form, or in what something could make of
// them.
var ids = []string{
	"Cust-1", "cust-1", "a b", "a_b", "a..b", "ab", "é", "e\u0301", "a?b", "a#b", "a%b", "a+b", "a&b=c", "a;b", "a\\b", "{env.HOME}", "${connectionId}", "...", "ｃust-1",
}

func TestG16EachIDHasAKeyOfItsOwn(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]settings{"vault": {}, "local": {local: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, s)
			r.integration("acme", "")
			r.integration("Acme", "")
			for i, id := range ids {
				r.connection("acme", id, fmt.Sprintf("lower-%d.", i))
				r.connection("Acme", id, fmt.Sprintf("upper-%d.", i))
			}
			for i, id := range ids {
				for integration, key := range map[string]string{"acme": "lower-%d.", "Acme": "upper-%d."} {
					t.Run(fmt.Sprintf("G16 %s %q", integration, id), func(t *testing.T) {
						r.up.Forget()
						if a := r.proxy(integration, id, http.MethodGet, "/", ""); a.status != http.StatusOK {
							t.Fatalf("answered %d %s", a.status, a.body)
						}
						r.wantKey(t, "Api-Key "+fmt.Sprintf(key, i))
						if got := r.api(http.StatusOK, http.MethodGet, connectionPath(integration, id), "").json(t); got["connection_id"] != id {
							t.Errorf("the API answers for %v", got["connection_id"])
						}
					})
				}
			}
			t.Run("G16 one is deleted and the others stay", func(t *testing.T) {
				r.api(http.StatusOK, http.MethodDelete, connectionPath("acme", "é"), "")
				r.up.Forget()
				r.wantRefusal(t, r.proxy("acme", "é", http.MethodGet, "/", ""), http.StatusNotFound, "unknown_connection")
				r.proxy("acme", "e\u0301", http.MethodGet, "/", "")
				r.wantKey(t, "Api-Key lower-7.")
			})
			t.Run("G16 the list holds each as it was entered", func(t *testing.T) {
				var list struct {
					Connections []struct {
						ID string `json:"connection_id"`
					} `json:"connections"`
				}
				a := r.api(http.StatusOK, http.MethodGet, "/connections?integrationId="+url.QueryEscape("Acme"), "")
				if err := json.Unmarshal([]byte(a.body), &list); err != nil {
					t.Fatal(err)
				}
				seen := map[string]int{}
				for _, c := range list.Connections {
					seen[c.ID]++
				}
				for _, id := range ids {
					if seen[id] != 1 {
						t.Errorf("%q is there %d times", id, seen[id])
					}
				}
			})
		})
	}
}

// nothing runs no test.
func nothing(string, func(*testing.T)) bool { return true }
