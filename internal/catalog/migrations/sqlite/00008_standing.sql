-- How each connection is doing, as far as the catalog knows, and an index to count
-- and page by it.

-- +goose Up

-- In the words of the API's status, but for origin_changed: where an integration
-- leads now is not known to its connections' rows.
ALTER TABLE connections ADD COLUMN standing TEXT COLLATE BINARY GENERATED ALWAYS AS (
	CASE
		WHEN disabled THEN 'disabled'
		WHEN auth_failed_version > 0 AND auth_failed_version = key_version THEN 'auth_failed'
		WHEN unverified THEN 'unknown'
		ELSE 'ok'
	END
) VIRTUAL;
CREATE INDEX connections_by_standing ON connections (integration, origin, standing, created_at DESC, id);

-- +goose Down
DROP INDEX connections_by_standing;
ALTER TABLE connections DROP COLUMN standing;
