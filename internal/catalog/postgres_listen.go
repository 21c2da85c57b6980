// This file holds how a node hears of the others' changes at once.

package catalog

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// channel is what changes are announced on. The announcement says nothing: who
// hears it reads the changes.
const channel = "apikey_inject_changes"

// relisten is how long after a lost connection the next is tried. Until then
// the poll underneath finds the changes.
const relisten = time.Second

// listen rings db's bell at every announcement until ctx ends. It keeps a
// connection of its own: one of the pool would be missing there.
func listen(ctx context.Context, db *DB) {
	for {
		listenOnce(ctx, db)
		select {
		case <-ctx.Done():
			return
		case <-db.after(relisten):
		}
	}
}

// listenOnce returns when the connection is lost. The reason is of no use to
// anyone: the poll meets the same database and tells.
func listenOnce(ctx context.Context, db *DB) {
	c, err := serverConfig(db.shared.url.Reveal())
	if err != nil {
		return
	}
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(end)
	}()
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return
	}
	db.shared.bell.ring() // for what was announced before
	for {
		if _, err := conn.WaitForNotification(ctx); err != nil {
			return
		}
		db.shared.bell.ring()
	}
}
