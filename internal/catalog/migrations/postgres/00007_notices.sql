-- What is to be told of connections and stores to the outside, and who tells.

-- +goose Up

-- Webhooks that were not delivered yet, each written with the change that it
-- tells of.
CREATE TABLE outbox (
	id          TEXT COLLATE "C" NOT NULL PRIMARY KEY, -- the same at each attempt
	integration TEXT COLLATE "C" NOT NULL,
	connection  TEXT COLLATE "C" NOT NULL,
	operation   TEXT             NOT NULL,
	success     BOOLEAN          NOT NULL,
	reason      TEXT             NOT NULL,
	key_version BIGINT           NOT NULL,
	provider    TEXT             NOT NULL,
	tags        TEXT             NOT NULL, -- as in connections, as they were then
	end_user    TEXT             NOT NULL,
	url         TEXT             NOT NULL, -- the connection's own; empty: the configured one
	made_at     BIGINT           NOT NULL,
	due_at      BIGINT           NOT NULL, -- nobody takes it before; who does sets it ahead
	tries       BIGINT           NOT NULL
);
CREATE INDEX outbox_by_due ON outbox (due_at);

-- What is wrong, one row for each thing that can be, until its end was told.
CREATE TABLE alerts (
	subject     TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	kind        TEXT             NOT NULL,
	integration TEXT COLLATE "C" NOT NULL,
	connection  TEXT COLLATE "C" NOT NULL,
	store       TEXT             NOT NULL,
	key_version BIGINT           NOT NULL,
	reason      TEXT             NOT NULL,
	state       BIGINT           NOT NULL, -- see alerts.go
	opened_at   BIGINT           NOT NULL,
	seen_at     BIGINT           NOT NULL, -- when it was last found to be wrong
	resolved_at BIGINT           NOT NULL
);
CREATE INDEX alerts_by_state ON alerts (state, opened_at);

-- When somebody last said that he tells of them: what nobody tells is not
-- written down.
CREATE TABLE tellers (
	name    TEXT             NOT NULL PRIMARY KEY,
	owner   TEXT             NOT NULL,
	seen_at BIGINT           NOT NULL
);

-- +goose Down
DROP TABLE tellers;
DROP TABLE alerts;
DROP TABLE outbox;
