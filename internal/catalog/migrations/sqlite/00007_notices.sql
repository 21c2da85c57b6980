-- What is to be told of connections and stores to the outside, and who tells.

-- +goose Up

-- Webhooks that were not delivered yet, each written with the change that it
-- tells of.
CREATE TABLE outbox (
	id          TEXT    COLLATE BINARY NOT NULL PRIMARY KEY, -- the same at each attempt
	integration TEXT    COLLATE BINARY NOT NULL,
	connection  TEXT    COLLATE BINARY NOT NULL,
	operation   TEXT                   NOT NULL,
	success     INTEGER                NOT NULL,
	reason      TEXT                   NOT NULL,
	key_version INTEGER                NOT NULL,
	provider    TEXT                   NOT NULL,
	tags        TEXT                   NOT NULL, -- as in connections, as they were then
	end_user    TEXT                   NOT NULL,
	url         TEXT                   NOT NULL, -- the connection's own; empty: the configured one
	made_at     INTEGER                NOT NULL,
	due_at      INTEGER                NOT NULL, -- nobody takes it before; who does sets it ahead
	tries       INTEGER                NOT NULL
) STRICT;
CREATE INDEX outbox_by_due ON outbox (due_at);

-- What is wrong, one row for each thing that can be, until its end was told.
CREATE TABLE alerts (
	subject     TEXT    COLLATE BINARY NOT NULL PRIMARY KEY,
	kind        TEXT                   NOT NULL,
	integration TEXT    COLLATE BINARY NOT NULL,
	connection  TEXT    COLLATE BINARY NOT NULL,
	store       TEXT                   NOT NULL,
	key_version INTEGER                NOT NULL,
	reason      TEXT                   NOT NULL,
	state       INTEGER                NOT NULL, -- see alerts.go
	opened_at   INTEGER                NOT NULL,
	seen_at     INTEGER                NOT NULL, -- when it was last found to be wrong
	resolved_at INTEGER                NOT NULL
) STRICT;
CREATE INDEX alerts_by_state ON alerts (state, opened_at);

-- When somebody last said that he tells of them: what nobody tells is not
-- written down.
CREATE TABLE tellers (
	name    TEXT    NOT NULL PRIMARY KEY,
	owner   TEXT    NOT NULL,
	seen_at INTEGER NOT NULL
) STRICT;

-- +goose Down
DROP TABLE tellers;
DROP TABLE alerts;
DROP TABLE outbox;
