package api

// This file holds what a token may learn of itself, so that a page need not offer
// what would be refused.

type tokenAnswer struct {
	Data tokenData `json:"data" required:"true"`
}

type tokenData struct {
	Name         string   `json:"name" required:"true"`
	Scopes       []string `json:"scopes" required:"true" nullable:"false"`
	Integrations []string `json:"integrations" required:"true" nullable:"false" description:"The unique keys it is limited to. Empty: all."`
	Connections  []string `json:"connections" required:"true" nullable:"false" description:"The ids it is limited to. Empty: all."`
}

func (a *API) getToken(c *call, _ *nothing) (*tokenAnswer, error) {
	d := tokenData{Name: c.token.Name, Scopes: c.token.Scopes, Integrations: c.token.Integrations, Connections: c.token.Connections}
	if len(d.Scopes) == 0 {
		d.Scopes = Scopes()
	}
	if d.Integrations == nil {
		d.Integrations = []string{}
	}
	if d.Connections == nil {
		d.Connections = []string{}
	}
	return &tokenAnswer{d}, nil
}
