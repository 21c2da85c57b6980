-- What an integration says of refused keys.

-- +goose Up

-- refused_statuses: a list as JSON, empty text for the default. refused_after: 0 for
-- the default.
ALTER TABLE integrations ADD COLUMN refused_statuses TEXT NOT NULL DEFAULT '';
ALTER TABLE integrations ADD COLUMN refused_after INTEGER NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE integrations DROP COLUMN refused_after;
ALTER TABLE integrations DROP COLUMN refused_statuses;
