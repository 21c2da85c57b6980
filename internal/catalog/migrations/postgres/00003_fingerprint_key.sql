-- What fingerprints of keys are made with: see the column connections.fingerprint.

-- +goose Up

-- One row, made on first use.
CREATE TABLE fingerprint_key (
	id  BIGINT  PRIMARY KEY CHECK (id = 1),
	key BYTEA   NOT NULL CHECK (octet_length(key) = 32)
);

-- +goose Down
DROP TABLE fingerprint_key;
