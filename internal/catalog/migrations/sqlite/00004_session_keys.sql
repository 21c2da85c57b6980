-- What tokens of connect sessions are sealed with.

-- +goose Up

-- The last one seals; a token of the one before is good until it expires.
CREATE TABLE session_keys (
	id      INTEGER PRIMARY KEY CHECK (id > 0),
	key     BLOB    NOT NULL CHECK (length(key) = 32),
	made_at INTEGER NOT NULL
) STRICT;

-- +goose Down
DROP TABLE session_keys;
