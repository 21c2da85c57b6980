-- When keys of connections run out, where who entered them said so.

-- +goose Up

-- Also beside the key in its document. 0: not said.
ALTER TABLE connections ADD COLUMN key_expires_at BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE connections DROP COLUMN key_expires_at;
