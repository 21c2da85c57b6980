-- What tokens of connect sessions are sealed with.

-- +goose Up

-- The last one seals; a token of the one before is good until it expires.
CREATE TABLE session_keys (
	id      BIGINT PRIMARY KEY CHECK (id > 0),
	key     BYTEA  NOT NULL CHECK (octet_length(key) = 32),
	made_at BIGINT NOT NULL
);

-- +goose Down
DROP TABLE session_keys;
