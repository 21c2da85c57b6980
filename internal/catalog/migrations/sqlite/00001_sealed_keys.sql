-- Keys of the local store, sealed, and the proof that a keyset is theirs.

-- +goose Up

-- Addresses are kept as they were given and compared byte by byte (BINARY):
-- ids that differ only in case, space or Unicode normal form are two rows.
CREATE TABLE sealed_keys (
	namespace           TEXT    COLLATE BINARY NOT NULL,
	mount               TEXT    COLLATE BINARY NOT NULL,
	path                TEXT    COLLATE BINARY NOT NULL CHECK (path <> ''),
	version             INTEGER NOT NULL CHECK (version > 0),
	sealed              BLOB    NOT NULL,
	created_at          INTEGER NOT NULL, -- milliseconds since 1970, UTC
	previous            BLOB,             -- version - 1, for the rotation window
	previous_created_at INTEGER,
	PRIMARY KEY (namespace, mount, path)
) STRICT;

-- One row, sealed with the keyset of the rows above, so that a wrong keyset is
-- found at the start and not at the first request.
CREATE TABLE keyset_check (
	id     INTEGER PRIMARY KEY CHECK (id = 1),
	sealed BLOB    NOT NULL
) STRICT;

-- +goose Down
DROP TABLE keyset_check;
DROP TABLE sealed_keys;
