package apikeyinject

// This file holds what is logged when a key or a store changes state: once
// for each change, never for each request.

import (
	"go.uber.org/zap"

	"github.com/apikeyinject/caddy-apikey-inject/internal/directory"
	"github.com/apikeyinject/caddy-apikey-inject/internal/keyring"
	"github.com/apikeyinject/caddy-apikey-inject/internal/notice"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// logEvent logs what a ring tells.
func (a *App) logEvent(storeName string, e keyring.Event) {
	fields := []zap.Field{zap.String("store", storeName), zap.String("event", string(e.Kind))}
	if e.Address.Path != "" {
		fields = append(fields, zap.String("key", e.Address.String()))
	}
	if e.Field != "" {
		fields = append(fields, zap.String("field", e.Field))
	}
	if e.Version != 0 {
		fields = append(fields, zap.Int("version", e.Version))
	}
	if e.Class != "" {
		fields = append(fields, zap.String("class", e.Class))
	}
	if e.Err != nil {
		fields = append(fields, zap.Error(e.Err))
	}
	if !e.Expires.IsZero() {
		fields = append(fields, zap.Time("ends_at", e.Expires))
	}
	text := eventText[e.Kind]
	if e.Field == store.ExpiresField {
		text = "nobody can tell when a key runs out"
	}
	switch e.Kind { //nolint:exhaustive // the others are no good news
	case keyring.KeyChanged, keyring.KeyRecovered, keyring.KeyAccepted, keyring.StoreUp:
		a.logger.Info(text, fields...)
	default:
		a.logger.Warn(text, fields...)
	}
}

// logToken logs that the login at a store ends, or no longer does.
func (a *App) logToken(n *notice.Notice, err error) {
	fields := []zap.Field{zap.String("store", n.Store), zap.String("event", string(n.Kind))}
	if n.Kind == notice.TokenReplaced {
		a.logger.Info("the login at the store no longer ends soon", fields...)
		return
	}
	fields = append(fields, zap.Time("ends_at", n.Ends))
	if err != nil {
		fields = append(fields, zap.Error(err))
	}
	a.logger.Warn("the login at the store ends soon, and there is no other", fields...)
}

// eventText says what happened to a person who reads the log.
var eventText = map[keyring.Kind]string{
	keyring.KeyChanged:     "a key was read",
	keyring.KeyDeleted:     "a key was deleted in the store and is not served any longer",
	keyring.KeyDenied:      "the store's policy denies a key",
	keyring.KeyInvalid:     "a key's new value cannot be used; the former one stays in use",
	keyring.KeyUnusable:    "a key cannot be used, and no former one is held",
	keyring.KeyFailing:     "a key cannot be read",
	keyring.KeyRecovered:   "a key can be read again",
	keyring.KeyRejected:    "the upstream refuses the newest key, and no other helped",
	keyring.KeyAccepted:    "the upstream takes the key again",
	keyring.KeyExpiring:    "a key runs out",
	keyring.KeyExpired:     "a key has run out, and stays in use",
	keyring.StoreDown:      "the store is away; keys already held stay in use",
	keyring.StoreUp:        "the store is back",
	keyring.StoreThrottled: "the store asks to be left alone for a while",
}

// logCatalog logs when the catalog goes and comes, and when an upstream
// refuses or takes again the key of a connection. It belongs to the process, as
// the catalog does.
func logCatalog(e directory.Event) {
	logger := processLogger("apikey_inject")
	fields := []zap.Field{zap.String("event", string(e.Kind))}
	if e.Sighting.Integration != "" {
		fields = append(fields, zap.String("integration", e.Sighting.Integration), zap.String("connection", e.Sighting.ID), zap.Int("key_version", e.Sighting.Version))
	}
	if e.Err != nil {
		fields = append(fields, zap.Error(e.Err))
	}
	if !e.Ends.IsZero() {
		fields = append(fields, zap.Time("ends_at", e.Ends))
	}
	switch e.Kind {
	case directory.CatalogAway:
		logger.Warn("the catalog is away; what is known of it stays in use", fields...)
	case directory.CatalogBack:
		logger.Info("the catalog is back", fields...)
	case directory.ConnectionRefused:
		logger.Warn("the upstream refuses the key of a connection", fields...)
	case directory.ConnectionExpiring:
		logger.Warn("the key of a connection will soon be older than its integration's max_age", fields...)
	case directory.ConnectionExpired:
		logger.Warn("the key of a connection is older than its integration's max_age, and stays in use", fields...)
	case directory.ConnectionAccepted:
		logger.Info("the upstream takes the key of a connection again", fields...)
	}
}
