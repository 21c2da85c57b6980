-- Since which version of its key a connection leads where it leads now.

-- +goose Up

-- An older version was entered for another origin or connection_config, and is
-- not sent there. 0: every version is for the same.
ALTER TABLE connections ADD COLUMN bound_since BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE connections DROP COLUMN bound_since;
