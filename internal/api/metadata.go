package api

// This file holds the metadata of connections: an object of the client's own,
// of which every value is kept byte for byte.

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

type metadata struct {
	_ struct{} `additionalProperties:"false"`

	IDs         oneOrMany      `json:"connection_id" required:"true" minItems:"1" maxItems:"100"`
	Integration string         `json:"provider_config_key" required:"true" minLength:"1" maxLength:"255"`
	Metadata    jsontext.Value `json:"metadata" required:"true"`
}

func (in *metadata) check(fs *faults) {
	for _, id := range in.IDs.list {
		if err := store.CheckSegment(id); err != nil {
			fs.addDetail(wrongFormat, "connection_id has an invalid format", err.Error(), "connection_id")
		}
	}
}

// metadataAnswer is what was sent, as Nango answers.
type metadataAnswer struct {
	IDs         oneOrMany      `json:"connection_id" required:"true"`
	Integration string         `json:"provider_config_key" required:"true"`
	Metadata    jsontext.Value `json:"metadata" required:"true"`
}

func (a *API) setMetadata(c *call, in *metadata) (*metadataAnswer, error) {
	return a.eachMetadata(c, in, func(jsontext.Value) jsontext.Value { return in.Metadata })
}

func (a *API) updateMetadata(c *call, in *metadata) (*metadataAnswer, error) {
	return a.eachMetadata(c, in, func(old jsontext.Value) jsontext.Value { return merged(old, in.Metadata) })
}

// eachMetadata changes the metadata of every connection that is named, or of
// none when one of them is not there.
func (a *API) eachMetadata(c *call, in *metadata, fn func(old jsontext.Value) jsontext.Value) (*metadataAnswer, error) {
	ctx := c.r.Context()
	for _, id := range in.IDs.list {
		c.note(in.Integration, id)
		if err := c.mayUseConnection(in.Integration, id); err != nil {
			return nil, err
		}
		conn, err := a.cfg.Catalog.Connection(ctx, in.Integration, id)
		if errors.Is(err, catalog.ErrNotFound) {
			return nil, noConnection(in.Integration, id)
		}
		if err != nil {
			return nil, err
		}
		if err := c.expect(conn.CreatedAt, conn.Revision); err != nil {
			return nil, err
		}
	}
	for n, id := range in.IDs.list {
		c.note(in.Integration, id)
		c.changed = in.IDs.list[:n]
		if err := a.changeMetadata(ctx, in.Integration, id, fn); err != nil {
			return nil, err
		}
	}
	return &metadataAnswer{IDs: in.IDs, Integration: in.Integration, Metadata: in.Metadata}, nil
}

func (a *API) changeMetadata(ctx context.Context, integration, id string, fn func(old jsontext.Value) jsontext.Value) error {
	return a.change(ctx, integration, id, func(row *catalog.Connection) error {
		row.Metadata = []byte(fn(jsontext.Value(row.Metadata)))
		return nil
	})
}

// merged lays the members of an object over those of another.
func merged(old, given jsontext.Value) jsontext.Value {
	var list []member
	if len(old) > 0 {
		list = members(old)
	}
	for _, m := range members(given) {
		if i := slices.IndexFunc(list, func(o member) bool { return o.name == m.name }); i >= 0 {
			list[i] = m
			continue
		}
		list = append(list, m)
	}
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		name, _ := jsontext.AppendQuote(nil, m.name) // valid, as it was read from JSON
		b.Write(name)
		b.WriteByte(':')
		b.Write(m.value)
	}
	b.WriteByte('}')
	return b.Bytes()
}
