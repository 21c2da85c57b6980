// This file holds how a connection becomes rows.

package catalog

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

const connectionColumns = `c.integration, c.id, c.config, c.metadata, c.tags, c.end_user, c.webhook_url_override,
	c.origin, c.bound_since, c.fingerprint, c.key_version, c.key_updated_at, c.disabled,
	c.auth_failed_version, c.last_auth_failure_at, c.last_used_at, c.unverified, c.verify_at, c.key_expires_at,
	c.created_at, c.updated_at, c.revision`

// insertConnection writes a new connection and sets its times and revision.
func (t *tx) insertConnection(ctx context.Context, c *Connection) error {
	c.CreatedAt, c.UpdatedAt, c.Revision, c.BoundSince = t.now, t.now, 1, c.KeyVersion
	n, err := t.putConnection(ctx, `
		INSERT INTO connections (integration, id, config, metadata, tags, end_user, end_user_id, organization_id, search,
			webhook_url_override, origin, fingerprint, key_version, key_updated_at, disabled, updated_at, revision, bound_since, unverified, verify_at, key_expires_at, created_at)
		VALUES `+tuples(1, make([]string, 22)...)+` ON CONFLICT DO NOTHING`, c, toMillis(c.CreatedAt))
	if err != nil {
		return err
	}
	if n == 0 {
		return ErrExists
	}
	return t.tagConnection(ctx, c)
}

// updateConnection writes a connection of the revision that was read, and sets
// its times and revision. The columns of traffic are not touched: they may have
// moved on since then.
func (t *tx) updateConnection(ctx context.Context, c *Connection) error {
	current, err := scanConnection(t.QueryRowContext(ctx, "SELECT "+connectionColumns+" FROM connections c WHERE c.integration = $1 AND c.id = $2", c.Integration, c.ID))
	if err != nil {
		return found(err)
	}
	if current.Revision != c.Revision {
		return ErrConflict
	}
	c.CreatedAt, c.UpdatedAt, c.Revision = current.CreatedAt, t.now, current.Revision+1
	c.AuthFailedVersion, c.LastAuthFailureAt, c.LastUsedAt = current.AuthFailedVersion, current.LastAuthFailureAt, current.LastUsedAt
	c.BoundSince = current.BoundSince
	if c.KeyVersion == current.KeyVersion { // what is known of the key stays
		c.Unverified, c.VerifyAt = current.Unverified, current.VerifyAt
	} else if _, err := t.ExecContext(ctx, "UPDATE connections SET age_told = 0 WHERE integration = $1 AND id = $2", c.Integration, c.ID); err != nil {
		return err
	}
	if c.Origin != current.Origin || !maps.Equal(c.Config, current.Config) {
		c.BoundSince = c.KeyVersion
	}
	if _, err := t.putConnection(ctx, `
		UPDATE connections SET config = $3, metadata = $4, tags = $5, end_user = $6, end_user_id = $7, organization_id = $8,
			search = $9, webhook_url_override = $10, origin = $11, fingerprint = $12, key_version = $13, key_updated_at = $14,
			disabled = $15, updated_at = $16, revision = $17, bound_since = $18, unverified = $19, verify_at = $20, key_expires_at = $21
		WHERE integration = $1 AND id = $2`, c); err != nil {
		return err
	}
	if !maps.Equal(current.Tags, c.Tags) {
		if _, err := t.ExecContext(ctx, "DELETE FROM connection_tags WHERE integration = $1 AND connection_id = $2", c.Integration, c.ID); err != nil {
			return err
		}
		return t.tagConnection(ctx, c)
	}
	t.changed(c.Integration, c.ID)
	return nil
}

// putConnection runs a query whose first parameters are what c says, and
// returns how many rows it changed.
func (t *tx) putConnection(ctx context.Context, query string, c *Connection, more ...any) (int64, error) {
	config, err := toJSON(c.Config, len(c.Config) == 0)
	if err != nil {
		return 0, err
	}
	tags, err := toJSON(c.Tags, len(c.Tags) == 0)
	if err != nil {
		return 0, err
	}
	user, err := toJSON(c.EndUser, c.EndUser == nil)
	if err != nil {
		return 0, err
	}
	who, organization := c.owner()
	return t.count(ctx, query, append([]any{
		c.Integration, c.ID, config, string(c.Metadata), tags, user, who.ID, organization,
		fold(strings.Join([]string{c.ID, who.ID, who.Email, who.DisplayName}, "\n")),
		c.WebhookURLOverride, c.Origin, c.Fingerprint, c.KeyVersion, toMillis(c.KeyUpdatedAt), c.Disabled,
		toMillis(c.UpdatedAt), c.Revision, c.BoundSince, c.Unverified, toMillis(c.VerifyAt), toMillis(c.KeyExpiresAt),
	}, more...)...)
}

// tagConnection writes c's tags where they are found by, and notes the change.
func (t *tx) tagConnection(ctx context.Context, c *Connection) error {
	t.changed(c.Integration, c.ID)
	if len(c.Tags) == 0 {
		return nil
	}
	args := make([]any, 0, 5*len(c.Tags))
	for _, name := range slices.Sorted(maps.Keys(c.Tags)) {
		args = append(args, c.Integration, c.ID, name, c.Tags[name], toMillis(c.CreatedAt))
	}
	_, err := t.ExecContext(ctx, "INSERT INTO connection_tags (integration, connection_id, name, value, created_at) VALUES "+
		tuples(len(c.Tags), "", "", "", "", ""), args...)
	return err
}

// owner returns c's end user, and the id of the organization.
func (c *Connection) owner() (EndUser, string) {
	switch {
	case c.EndUser == nil:
		return EndUser{}, ""
	case c.EndUser.Organization == nil:
		return *c.EndUser, ""
	}
	return *c.EndUser, c.EndUser.Organization.ID
}

// fold makes texts comparable that differ in case. The databases' own ways
// differ, so it is done here for both.
func fold(s string) string { return strings.ToLower(s) }

func scanConnection(row scanner) (*Connection, error) {
	var (
		c                                                               Connection
		config, metadata, tags, user                                    string
		keyUpdated, lastFailure, used, verify, expires, created, update int64
	)
	err := row.Scan(&c.Integration, &c.ID, &config, &metadata, &tags, &user, &c.WebhookURLOverride,
		&c.Origin, &c.BoundSince, &c.Fingerprint, &c.KeyVersion, &keyUpdated, &c.Disabled,
		&c.AuthFailedVersion, &lastFailure, &used, &c.Unverified, &verify, &expires, &created, &update, &c.Revision)
	if err != nil {
		return nil, err
	}
	if metadata != "" {
		c.Metadata = json.RawMessage(metadata)
	}
	c.KeyUpdatedAt, c.LastAuthFailureAt, c.LastUsedAt = fromMillis(keyUpdated), fromMillis(lastFailure), fromMillis(used)
	c.VerifyAt, c.KeyExpiresAt = fromMillis(verify), fromMillis(expires)
	c.CreatedAt, c.UpdatedAt = fromMillis(created), fromMillis(update)
	if err := fromJSON(config, &c.Config); err != nil {
		return nil, err
	}
	if err := fromJSON(tags, &c.Tags); err != nil {
		return nil, err
	}
	if err := fromJSON(user, &c.EndUser); err != nil {
		return nil, err
	}
	return &c, nil
}
