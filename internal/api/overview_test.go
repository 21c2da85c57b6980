package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

// crowded is a rig with two connections in each state, but one in unknown and
// none of a disabled integration.
func crowded(t *testing.T, tokens ...Token) *rig {
	r := newRig(t, tokens...)
	r.integration("acme")
	for id, change := range map[string]func(*catalog.Connection){
		"ok": nil, "missing": nil, "stale": nil,
		"auth_failed":    func(c *catalog.Connection) { c.AuthFailedVersion = c.KeyVersion },
		"disabled":       func(c *catalog.Connection) { c.Disabled = true },
		"origin_changed": func(c *catalog.Connection) { c.Origin = "https://old:443" },
	} {
		for _, p := range []pair{{"acme", id + "-1"}, {"acme", id + "-2"}} {
			r.connection(p.integration, p.id)
			if change != nil {
				row := r.conns[p]
				change(&row)
				r.conns[p] = row
			}
			r.status[p] = KeyStatus{State: id} // of those that are disabled it changes nothing
		}
	}
	return r
}

// listed returns what an answer lists: "id status", in its order.
func (a *answer) listed() (all []string) {
	list, _ := a.json["connections"].([]any)
	for n := range list {
		all = append(all, a.at("connections", n, "connection_id")+" "+a.at("connections", n, "status"))
	}
	return all
}

func TestStatusListsWhatNeedsSomebodyFirst(t *testing.T) {
	r := crowded(t)
	want := make([]string, 0, 12)
	for _, s := range []string{"auth_failed", "missing", "origin_changed", "stale", "ok", "disabled"} {
		want = append(want, s+"-1 "+s, s+"-2 "+s)
	}
	a := r.do("GET", "/status", "").ok().want("", "next_page")
	if got := a.listed(); !slices.Equal(got, want) {
		t.Errorf("listed %v", got)
	}
	for _, at := range [][]any{{"totals"}, {"integrations", 0, "totals"}} {
		if got := a.at(at...); got != `{"auth_failed":2,"disabled":2,"missing":2,"ok":2,"origin_changed":2,"stale":2,"unknown":0}` {
			t.Errorf("%v are %s", at, got)
		}
	}
	// Who walks the pages sees everything once, and the filter by state has
	// pages of its own.
	for _, limit := range []int{1, 2, 5, 12, 100} {
		var all []string
		pages := 0
		for page := "0"; page != ""; pages++ {
			a := r.do("GET", fmt.Sprintf("/status?limit=%d&page=%s", limit, page), "").ok()
			all = append(all, a.listed()...)
			page = a.at("next_page")
		}
		// The four that only this node knows to be in trouble are passed over where
		// their rows are, and take a place there.
		if most := (len(want) + 4 + limit - 1) / limit; !slices.Equal(all, want) || pages > most {
			t.Errorf("%d pages of %d have %v", pages, limit, all)
		}
	}
	for _, s := range []string{"auth_failed", "missing", "origin_changed", "stale", "disabled", "ok"} {
		var all []string
		for page := "0"; page != ""; {
			a := r.do("GET", "/status?limit=1&page="+page+"&status="+s, "").ok().want("2", "totals", "ok")
			all = append(all, a.listed()...)
			page = a.at("next_page")
		}
		if !slices.Equal(all, []string{s + "-1 " + s, s + "-2 " + s}) {
			t.Errorf("%s has %v", s, all)
		}
	}
}

func TestStatusCountsOnlyWhatATokenMaySee(t *testing.T) {
	one := Token{Name: "one", Value: secret.New("one-token-0002"), Connections: []string{"ok-1", "stale-2", "none"}}
	other := Token{Name: "other", Value: secret.New("other-token-0002"), Integrations: []string{"fixed"}}
	r := crowded(t, one, other)
	r.connection("fixed", "ok-1")
	a := r.do("GET", "/status", "", as("one")).ok().want("2", "totals", "ok").want("1", "totals", "stale").want("0", "totals", "missing")
	if got := strings.Join(a.listed(), ","); got != "stale-2 stale,ok-1 ok,ok-1 ok" {
		t.Errorf("listed %s", got)
	}
	a = r.do("GET", "/status", "", as("other")).ok().want("1", "totals", "ok").want("0", "totals", "missing").want("fixed", "integrations", 0, "unique_key")
	if got := strings.Join(a.listed(), ","); got != "ok-1 ok" {
		t.Errorf("listed %s", got)
	}
	r.do("GET", "/status?integration=acme", "", as("other")).ok().want("0", "totals", "ok").want("[]", "connections").want("[]", "integrations")
	r.do("GET", "/status?integration=acme", "").ok().want("2", "totals", "ok")
}

func TestStatusHasPagesOfIntegrationsToo(t *testing.T) {
	r := newRig(t)
	for _, key := range []string{"a", "b", "c"} {
		r.integration(key)
	}
	r.do("GET", "/status?limit=2", "").ok().want("a", "integrations", 0, "unique_key").want("b", "integrations", 1, "unique_key").want("", "integrations", 2).want("1", "next_page")
	r.do("GET", "/status?limit=2&page=1", "").ok().want("c", "integrations", 0, "unique_key").want("fixed", "integrations", 1, "unique_key").want("", "next_page")
}

func TestStatusIsRefusedWhileTheCatalogIsAway(t *testing.T) {
	r := newRig(t)
	r.down = catalog.ErrUnavailable
	r.do("GET", "/status", "").is(http.StatusServiceUnavailable, "catalog_unavailable")
}
