-- Keys of the local store, sealed, and the proof that a keyset is theirs.

-- +goose Up

-- Addresses are kept as they were given and compared byte by byte (COLLATE
-- "C"): ids that differ only in case, space or Unicode normal form are two rows.
CREATE TABLE sealed_keys (
	namespace           TEXT   COLLATE "C" NOT NULL,
	mount               TEXT   COLLATE "C" NOT NULL,
	path                TEXT   COLLATE "C" NOT NULL CHECK (path <> ''),
	version             BIGINT NOT NULL CHECK (version > 0),
	sealed              BYTEA  NOT NULL,
	created_at          BIGINT NOT NULL, -- milliseconds since 1970, UTC
	previous            BYTEA,           -- version - 1, for the rotation window
	previous_created_at BIGINT,
	PRIMARY KEY (namespace, mount, path)
);

-- One row, sealed with the keyset of the rows above, so that a wrong keyset is
-- found at the start and not at the first request.
CREATE TABLE keyset_check (
	id     BIGINT PRIMARY KEY CHECK (id = 1),
	sealed BYTEA  NOT NULL
);

-- +goose Down
DROP TABLE keyset_check;
DROP TABLE sealed_keys;
