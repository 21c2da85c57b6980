// Package directory is a stub.
package directory

import (
	"context"
	"sync/atomic"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

type Options struct{}
type Directory struct{}
type Integration struct {
	catalog.Integration
}
type Connection struct {
	catalog.Connection
	Memo atomic.Value
}

func New(db any, o Options) *Directory                                             { return nil }
func (d *Directory) Start(ctx context.Context)                                    {}
func (d *Directory) Ready(ctx context.Context) error                              { return nil }
func (d *Directory) Integration(key string) (*Integration, bool)                  { return nil, false }
func (d *Directory) Connection(ctx context.Context, i, id string) (*Connection, error) { return nil, nil }
func (d *Directory) Used(*Connection)                                             {}
func (d *Directory) AuthFailed(*Connection, int)                                  {}
func (d *Directory) AuthAccepted(*Connection, int)                                {}
func (d *Directory) Close(ctx context.Context) error                              { return nil }
