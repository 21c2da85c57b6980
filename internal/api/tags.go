package api

// This file holds the tags of a connection: those it is given, and those that
// its end user adds, so that both can be searched for alike.

import (
	"maps"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

// userTags returns the tags that an end user adds.
func userTags(u *catalog.EndUser) map[string]string {
	tags := make(map[string]string)
	if u == nil {
		return tags
	}
	add := func(name, value string) {
		if value != "" {
			tags[name] = value
		}
	}
	add("end_user_id", u.ID)
	add("end_user_email", u.Email)
	add("end_user_display_name", u.DisplayName)
	if u.Organization != nil {
		add("organization_id", u.Organization.ID)
		add("organization_display_name", u.Organization.DisplayName)
	}
	return tags
}

// retag sets the end user and tags of a connection. Nil for either keeps what
// is there. Tags that are given win over those that the end user adds.
func retag(c *catalog.Connection, user *endUserFields, given map[string]string) {
	if user == nil {
		describe(c, nil, nil, given)
		return
	}
	describe(c, user.user(), user.Tags, given)
}

// describe is [retag] with the end user as it is kept, and its tags.
func describe(c *catalog.Connection, user *catalog.EndUser, ofUser, given map[string]string) {
	tags := maps.Clone(given)
	if given == nil {
		tags = ownTags(c)
	}
	if user != nil {
		c.EndUser = user
		fill(tags, ofUser)
	}
	fill(tags, userTags(c.EndUser))
	c.Tags = tags
}

// ownTags returns the tags of a connection without those that its end user
// adds.
func ownTags(c *catalog.Connection) map[string]string {
	added, tags := userTags(c.EndUser), make(map[string]string)
	for name, value := range c.Tags {
		if added[name] != value {
			tags[name] = value
		}
	}
	return tags
}

// fill adds what is not there yet.
func fill(dst, src map[string]string) {
	for name, value := range src {
		if _, ok := dst[name]; !ok {
			dst[name] = value
		}
	}
}
