-- When keys of connections are tried, and what is known of their age.

-- +goose Up

-- unverified: the upstream gave no verdict on the key when it was entered, nor
-- since. verify_at: when the key is due to be tried, 0 for at once. age_told: how
-- far the key's running out of its integration's max_age was told.
ALTER TABLE connections ADD COLUMN unverified BOOLEAN NOT NULL DEFAULT false;
ALTER TABLE connections ADD COLUMN verify_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE connections ADD COLUMN age_told BIGINT NOT NULL DEFAULT 0;
CREATE INDEX connections_by_verification ON connections (integration, verify_at);
CREATE INDEX connections_by_key_age ON connections (integration, age_told, key_updated_at);

-- +goose Down
DROP INDEX connections_by_key_age;
DROP INDEX connections_by_verification;
ALTER TABLE connections DROP COLUMN age_told;
ALTER TABLE connections DROP COLUMN verify_at;
ALTER TABLE connections DROP COLUMN unverified;
