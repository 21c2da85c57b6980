package api

// This file holds what the site of the Connect page has beside the session: the
// integrations that it is for, told as far as an end user needs.

import (
	"net/http"
	"slices"
	"sync"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

// publicOperations are all that there is on that site.
var publicOperations = sync.OnceValue(func() []*operation {
	list := []*operation{
		op(operation{method: "GET", path: "/integrations", id: "listPublicIntegrations", bySession: true}, (*API).listPublic),
		op(operation{method: "GET", path: "/integrations/{unique_key}", id: "getPublicIntegration", bySession: true}, (*API).getPublic),
		op(operation{method: "GET", path: "/providers/{provider}", id: "getPublicProvider", bySession: true}, (*API).getPublicProvider),
	}
	for _, o := range sessionOperations() {
		if o.bySession {
			list = append(list, o)
		}
	}
	return list
})

// publicIntegration is an integration without where it leads and how its key
// gets there.
type publicIntegration struct {
	UniqueKey        string                `json:"unique_key"`
	Provider         string                `json:"provider"`
	DisplayName      string                `json:"display_name"`
	Logo             string                `json:"logo"`
	CredentialsLabel credentialsLabel      `json:"credentials_label"`
	Connect          *catalog.ConnectTexts `json:"connect,omitempty"`
}

type publicAnswer struct {
	Data publicIntegration `json:"data"`
}

type publicListAnswer struct {
	Data []publicIntegration `json:"data"`
}

func public(i *catalog.Integration) publicIntegration {
	p := publicIntegration{
		UniqueKey: i.UniqueKey, Provider: i.Provider, DisplayName: i.DisplayName, CredentialsLabel: credentialsLabel{i.KeyLabel}, Connect: i.Connect,
	}
	if i.Connect != nil {
		p.Logo = i.Connect.LogoURL
	}
	return p
}

func (a *API) listPublic(c *call, _ *nothing) (*publicListAnswer, error) {
	all, err := a.integrations(c.r.Context())
	if err != nil {
		return nil, err
	}
	answer := &publicListAnswer{Data: []publicIntegration{}}
	for _, i := range all {
		if c.caller.Allows(i.UniqueKey) {
			answer.Data = append(answer.Data, public(i))
		}
	}
	return answer, nil
}

type publicPath struct {
	Key string `path:"unique_key"`
}

// getPublic returns one. What the session is not for is as if it were not there.
func (a *API) getPublic(c *call, in *publicPath) (*publicAnswer, error) {
	if !c.caller.Allows(in.Key) {
		return nil, noIntegration(in.Key)
	}
	i, err := a.known(c.r.Context(), in.Key, noIntegration)
	if err != nil {
		return nil, err
	}
	return &publicAnswer{public(i)}, nil
}

func (a *API) getPublicProvider(c *call, in *getProvider) (*providerAnswer, error) {
	all, err := a.integrations(c.r.Context())
	if err != nil {
		return nil, err
	}
	used := slices.ContainsFunc(all, func(i *catalog.Integration) bool { return i.Provider == in.Name && c.caller.Allows(i.UniqueKey) })
	if !used {
		return nil, refuse(http.StatusNotFound, "not_found", "Provider %q does not exist", clipped(in.Name))
	}
	return a.getProvider(c, in)
}
