package apikeyinject

// This file holds what is told to Caddy's events app.

import (
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"

	"github.com/apikeyinject/caddy-apikey-inject/internal/notice"
)

const (
	// queued bounds what waits to be told: an event handler that hangs must not
	// become the memory of the process.
	queued = 16384

	// eventPrefix begins the names of our events.
	eventPrefix = "apikey_"

	// comesIntoForce bounds what an event waits for the configuration, in whose
	// handlers it is handled, to be in force.
	comesIntoForce = time.Minute

	// lookForForce parts two looks.
	lookForForce = 20 * time.Millisecond
)

func init() {
	caddy.RegisterModule(new(eventOrigin))
}

// eventOrigin is the module that our events come from. Caddy takes that from the last
// module of a context, which for an app may be another one: the contexts of
// modules that are loaded from the same place share an array. This one is alone.
type eventOrigin struct{ ctx caddy.Context }

// CaddyModule returns the Caddy module information.
func (*eventOrigin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "apikey_inject.events",
		New: func() caddy.Module { return new(eventOrigin) },
	}
}

// Provision keeps the context.
func (o *eventOrigin) Provision(ctx caddy.Context) error {
	o.ctx = ctx
	return nil
}

// provisionEvents makes the context that events are emitted in. It ends with
// that of the app; its own cancel function would run the app's clean-ups.
func (a *App) provisionEvents(ctx caddy.Context) error {
	alone, _ := caddy.NewContext(ctx)
	mod, err := alone.LoadModuleByID("apikey_inject.events", nil)
	if err != nil {
		return fmt.Errorf("loading the origin of events: %w", err)
	}
	a.origin = mod.(*eventOrigin)
	return nil
}

// events are emitted in the background: their handlers run in the goroutine of
// who emits, and may take their time.
var events = notice.NewQueue(queued, emitInForce)

// useEvents remembers the events app, where the configuration has one, or
// another app has loaded it. By now all apps are there.
func (a *App) useEvents() {
	if app, err := a.ctx.AppIfConfigured("events"); err == nil {
		a.events, _ = app.(*caddyevents.App)
	}
}

// emit emits an event, if this configuration has anybody who may hear it.
func (a *App) emit(n *notice.Notice) {
	if a.events == nil || a.inForce() && !a.events.ShouldEmit(eventPrefix+string(n.Kind)) {
		return
	}
	a.kept(events.Put(eventOf{a, n}))
}

// kept says once that a queue had no room for a notice.
func (a *App) kept(room bool) {
	if !room {
		a.crowded.Do(func() { a.logger.Error("events and alerts are dropped: who takes them is too slow") })
	}
}

// eventOf is a notice and the configuration that it came up in.
type eventOf struct {
	app    *App
	notice *notice.Notice
}

// emitInForce emits an event through the events app of the configuration that is
// in force: apps start in random order, and one that is not in force yet may not
// have its handlers, nor one that was replaced its context.
func emitInForce(e eventOf) {
	a := e.app
	for wait := time.Duration(0); !a.inForce(); wait += lookForForce {
		if a.ctx.Err() != nil || wait >= comesIntoForce {
			if a = appInForce(); a == nil || a.events == nil {
				return
			}
			break
		}
		_ = pause(a.ctx, lookForForce) // which ends with a configuration that failed
	}
	a.events.Emit(a.origin.ctx, eventPrefix+string(e.notice.Kind), e.notice.Data())
}

func (a *App) inForce() bool { return appInForce() == a }

// appInForce returns our app of the configuration that is in force, nil when it
// has none.
func appInForce() *App {
	app, err := caddy.ActiveContext().AppIfConfigured("apikey_inject")
	if err != nil {
		return nil
	}
	a, _ := app.(*App)
	return a
}

// Interface guard
var _ caddy.Provisioner = (*eventOrigin)(nil)
