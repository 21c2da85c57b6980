package catalog

import (
	"fmt"
	"testing"
	"time"
)

func ids(t *testing.T, db *DB, f ConnectionFilter) []string {
	t.Helper()
	all, err := db.Connections(t.Context(), f)
	must(t, err)
	ids := make([]string, len(all))
	for i, c := range all {
		ids[i] = c.ID
	}
	return ids
}

func TestConnectionsAreFiltered(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		ann := &EndUser{ID: "ann", Email: "Ann.Lee@Example.com", DisplayName: "Ann ÉLAN", Organization: &Organization{ID: "org-1"}}
		for _, c := range []*Connection{
			{Integration: "acme", ID: "one", EndUser: ann, Tags: map[string]string{"env": "prod", "tier": "gold"}},
			{Integration: "acme", ID: "two", EndUser: &EndUser{ID: "bob"}, Tags: map[string]string{"env": "prod"}},
			{Integration: "crm", ID: "one", EndUser: ann, Tags: map[string]string{"env": "test", "tier": "gold"}},
			{Integration: "erp", ID: "100%_sure\\", Tags: map[string]string{"prod": "env"}},
		} {
			mustCreate(t, db, c)
			s.pass(time.Second)
		}
		for name, c := range map[string]struct {
			f    ConnectionFilter
			want []string
		}{
			"all, newest first":         {ConnectionFilter{}, []string{"erp/100%_sure\\", "crm/one", "acme/two", "acme/one"}},
			"a page":                    {ConnectionFilter{Limit: 2, Offset: 1}, []string{"crm/one", "acme/two"}},
			"all but the first":         {ConnectionFilter{Offset: 3}, []string{"acme/one"}},
			"beyond the end":            {ConnectionFilter{Limit: 2, Offset: 4}, nil},
			"an id":                     {ConnectionFilter{ID: "one"}, []string{"crm/one", "acme/one"}},
			"a part of an id":           {ConnectionFilter{ID: "on"}, nil},
			"an integration":            {ConnectionFilter{Integrations: []string{"acme"}}, []string{"acme/two", "acme/one"}},
			"integrations":              {ConnectionFilter{Integrations: []string{"acme", "crm", "none"}}, []string{"crm/one", "acme/two", "acme/one"}},
			"an end user":               {ConnectionFilter{EndUserID: "ann"}, []string{"crm/one", "acme/one"}},
			"an organization":           {ConnectionFilter{OrganizationID: "org-1", Integrations: []string{"crm"}}, []string{"crm/one"}},
			"a tag":                     {ConnectionFilter{Tags: map[string]string{"env": "prod"}}, []string{"acme/two", "acme/one"}},
			"tags":                      {ConnectionFilter{Tags: map[string]string{"env": "prod", "tier": "gold"}}, []string{"acme/one"}},
			"a tag that has other ones": {ConnectionFilter{Tags: map[string]string{"env": "gold"}}, nil},
			"a tag and an id":           {ConnectionFilter{ID: "one", Tags: map[string]string{"env": "test"}}, []string{"crm/one"}},
			"a tag and an integration":  {ConnectionFilter{Tags: map[string]string{"tier": "gold"}, Integrations: []string{"acme"}}, []string{"acme/one"}},
			"a page of a tag":           {ConnectionFilter{Tags: map[string]string{"env": "prod"}, Limit: 1, Offset: 1}, []string{"acme/one"}},
			"everything":                {ConnectionFilter{ID: "one", EndUserID: "ann", OrganizationID: "org-1", Search: "lee", Integrations: []string{"crm"}, Tags: map[string]string{"env": "test"}, Limit: 9}, []string{"crm/one"}},
			"part of an id":             {ConnectionFilter{Search: "TW"}, []string{"acme/two"}},
			"part of an end user's id":  {ConnectionFilter{Search: "BO"}, []string{"acme/two"}},
			"part of an email":          {ConnectionFilter{Search: "lee@example"}, []string{"crm/one", "acme/one"}},
			"part of a name":            {ConnectionFilter{Search: "élan"}, []string{"crm/one", "acme/one"}},
			"what LIKE knows":           {ConnectionFilter{Search: "0%_SURE\\"}, []string{"erp/100%_sure\\"}},
			"any character":             {ConnectionFilter{Search: "o_e"}, nil},
			"any characters":            {ConnectionFilter{Search: "o%e"}, nil},
			"across two of them":        {ConnectionFilter{Search: "twobob"}, nil},
		} {
			t.Run(name, func(t *testing.T) {
				all, err := db.Connections(t.Context(), c.f)
				must(t, err)
				var got []string
				for _, c := range all {
					got = append(got, c.Integration+"/"+c.ID)
				}
				same(t, "connections", got, c.want)
			})
		}
	})
}

func TestPagesOfOneMomentOverlapNowhere(t *testing.T) {
	both(t, func(t *testing.T, s *site) {
		db := s.open()
		for _, id := range []string{"b", "B", "a", "_", "c", "é"} {
			for _, integration := range []string{"y", "X"} {
				c := aConnection(integration, id)
				c.Tags = map[string]string{"k": "v"}
				mustCreate(t, db, c)
			}
		}
		order := []string{"B X", "B y", "_ X", "_ y", "a X", "a y", "b X", "b y", "c X", "c y", "é X", "é y"}
		for name, f := range map[string]ConnectionFilter{
			"all": {}, "tag": {Tags: map[string]string{"k": "v"}}, "integrations": {Integrations: []string{"X", "y"}},
		} {
			var got []string
			for f.Limit = 5; f.Offset < 15; f.Offset += f.Limit {
				page, err := db.Connections(t.Context(), f)
				must(t, err)
				for _, c := range page {
					got = append(got, fmt.Sprintf("%s %s", c.ID, c.Integration))
				}
			}
			same(t, name, got, order)
		}
	})
}
