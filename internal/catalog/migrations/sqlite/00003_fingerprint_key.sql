-- What fingerprints of keys are made with: see the column connections.fingerprint.

-- +goose Up

-- One row, made on first use.
CREATE TABLE fingerprint_key (
	id  INTEGER PRIMARY KEY CHECK (id = 1),
	key BLOB    NOT NULL CHECK (length(key) = 32)
) STRICT;

-- +goose Down
DROP TABLE fingerprint_key;
