-- Descriptions: integrations and connections made through the API, what was
-- changed of them, key writes under way, and connect sessions that were used.

-- +goose Up

-- Names and ids are compared byte by byte. Times are milliseconds since 1970,
-- UTC, 0 for never. Objects are JSON, empty for none.

CREATE TABLE integrations (
	unique_key       TEXT COLLATE BINARY NOT NULL PRIMARY KEY CHECK (unique_key <> ''),
	provider         TEXT                NOT NULL,
	display_name     TEXT                NOT NULL,
	forward_webhooks INTEGER             NOT NULL,
	base_url         TEXT                NOT NULL,
	key_placement    TEXT                NOT NULL,
	key_name         TEXT                NOT NULL,
	value_template   TEXT                NOT NULL,
	key_label        TEXT                NOT NULL,
	connect_texts    TEXT                NOT NULL,
	verification     TEXT                NOT NULL,
	max_age          INTEGER             NOT NULL, -- nanoseconds
	disabled         INTEGER             NOT NULL,
	created_at       INTEGER             NOT NULL,
	updated_at       INTEGER             NOT NULL,
	revision         INTEGER             NOT NULL
) STRICT;

-- integration is no foreign key: integrations of the Caddy config have
-- connections, too, and are not in the table above.
CREATE TABLE connections (
	integration          TEXT COLLATE BINARY NOT NULL CHECK (integration <> ''),
	id                   TEXT COLLATE BINARY NOT NULL CHECK (id <> ''),
	config               TEXT                NOT NULL,
	metadata             TEXT                NOT NULL, -- byte for byte as it came
	tags                 TEXT                NOT NULL, -- the same as in connection_tags
	end_user             TEXT                NOT NULL,
	end_user_id          TEXT COLLATE BINARY NOT NULL, -- out of end_user, as is the next
	organization_id      TEXT COLLATE BINARY NOT NULL,
	search               TEXT COLLATE BINARY NOT NULL, -- folded: ids, email and name
	webhook_url_override TEXT                NOT NULL,
	origin               TEXT                NOT NULL,
	fingerprint          TEXT                NOT NULL,
	key_version          INTEGER             NOT NULL,
	key_updated_at       INTEGER             NOT NULL,
	disabled             INTEGER             NOT NULL,
	auth_failed_version  INTEGER             NOT NULL DEFAULT 0, -- this and the next two: noted by traffic
	last_auth_failure_at INTEGER             NOT NULL DEFAULT 0,
	last_used_at         INTEGER             NOT NULL DEFAULT 0,
	created_at           INTEGER             NOT NULL,
	updated_at           INTEGER             NOT NULL,
	revision             INTEGER             NOT NULL,
	PRIMARY KEY (integration, id)
) STRICT;

-- An index for each way of listing, each in the order of the list, so that a
-- page is read without sorting.
CREATE INDEX connections_by_age ON connections (created_at DESC, id, integration);
CREATE INDEX connections_by_integration ON connections (integration, created_at DESC, id);
CREATE INDEX connections_by_id ON connections (id, created_at DESC, integration);
CREATE INDEX connections_by_end_user ON connections (end_user_id, created_at DESC, id, integration);
CREATE INDEX connections_by_organization ON connections (organization_id, created_at DESC, id, integration);

-- Finds connections by tag. created_at is the connection's and never changes.
CREATE TABLE connection_tags (
	integration   TEXT COLLATE BINARY NOT NULL,
	connection_id TEXT COLLATE BINARY NOT NULL,
	name          TEXT COLLATE BINARY NOT NULL,
	value         TEXT COLLATE BINARY NOT NULL,
	created_at    INTEGER             NOT NULL,
	PRIMARY KEY (integration, connection_id, name),
	FOREIGN KEY (integration, connection_id) REFERENCES connections (integration, id) ON DELETE CASCADE
) STRICT;
CREATE INDEX connection_tags_by_value ON connection_tags (name, value, created_at DESC, connection_id, integration);

-- The number of the last change. Who writes updates this row in the same
-- transaction, so writers take turns and numbers are in order of commit.
CREATE TABLE change_counter (
	id  INTEGER PRIMARY KEY CHECK (id = 1),
	seq INTEGER NOT NULL
) STRICT;
INSERT INTO change_counter (id, seq) VALUES (1, 0);

CREATE TABLE changes (
	seq         INTEGER             PRIMARY KEY,
	integration TEXT COLLATE BINARY NOT NULL,
	connection  TEXT COLLATE BINARY NOT NULL, -- empty: the integration itself
	changed_at  INTEGER             NOT NULL
) STRICT;
CREATE INDEX changes_by_time ON changes (changed_at);

-- What is under way between a store and this database: at most one key write
-- or deletion for each connection.
CREATE TABLE pending_keys (
	integration TEXT COLLATE BINARY NOT NULL,
	id          TEXT COLLATE BINARY NOT NULL,
	token       TEXT                NOT NULL, -- whose
	deletion    INTEGER             NOT NULL,
	version     INTEGER             NOT NULL, -- in the store when it began
	description TEXT                NOT NULL, -- the connection to write, JSON
	began_at    INTEGER             NOT NULL,
	PRIMARY KEY (integration, id)
) STRICT;
CREATE INDEX pending_keys_by_time ON pending_keys (began_at);

-- Ids of connect sessions that were used, until their tokens expire.
CREATE TABLE used_sessions (
	id         TEXT COLLATE BINARY NOT NULL PRIMARY KEY,
	expires_at INTEGER             NOT NULL
) STRICT;
CREATE INDEX used_sessions_by_expiry ON used_sessions (expires_at);

-- +goose Down
DROP TABLE used_sessions;
DROP TABLE pending_keys;
DROP TABLE changes;
DROP TABLE change_counter;
DROP TABLE connection_tags;
DROP TABLE connections;
DROP TABLE integrations;
