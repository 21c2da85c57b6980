package alert

// This file holds what people read.

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/notice"
)

// words say of a kind what is wrong, what to do, and what it is when it is over.
type words struct {
	wrong string // %s is whose it is
	todo  string
	over  string
	many  string // "of many", after a number
}

var kinds = map[notice.Kind]words{
	notice.AuthFailed: {
		"The upstream refuses the key of %s", "Enter a new key, or send its owner a Connect link.",
		"%s works again", "keys are refused by their upstreams",
	},
	notice.Deleted: {
		"The key of %s was deleted in the store", "Requests for it fail. Enter it again, or delete the connection.",
		"%s has a key again", "keys were deleted in the store",
	},
	notice.Denied: {
		"The store's policy denies the key of %s", "Let the login of this Caddy read it; a key that is held is used for five minutes more.",
		"The key of %s can be read again", "keys are denied by the store's policy",
	},
	notice.Invalid: {
		"The key of %s cannot be used", "Its document lacks the field, or the value is no key. A former key that is held stays in use.",
		"The key of %s can be used again", "keys cannot be used",
	},
	notice.Unavailable: {
		"The key of %s cannot be read", "One that is held stays in use until it is too old. Look at the log for the reason.",
		"The key of %s can be read again", "keys cannot be read",
	},
	notice.Expiring: {
		"The key of %s runs out soon", "Enter a new key, or send its owner a Connect link.",
		"%s has a new key", "keys run out soon",
	},
	notice.Expired: {
		"The key of %s has run out", "Enter a new key, or send its owner a Connect link.",
		"%s has a new key", "keys have run out",
	},
	notice.StoreDown: {
		"%s is away", "Keys that are held stay in use. See whether it is sealed, and whether this Caddy reaches it.",
		"%s is back", "stores are away",
	},
	notice.TokenExpiring: {
		"The login at %s ends soon, and there is no other", "Renew the token, or mend the credentials of this Caddy's login.",
		"The login at %s was renewed", "logins at stores end soon",
	},
	notice.CatalogAway: {
		"The catalog is away%s", "What is known of it stays in use. See whether its database is there.",
		"The catalog is back%s", "catalogs are away",
	},
}

// text makes the message.
func text(t *catalog.Telling, now time.Time) string {
	var b strings.Builder
	switch n := t.Count.Opened; {
	case n == 0:
	case n <= len(t.Opened):
		for _, a := range t.Opened {
			w := wordsOf(a.Kind)
			fmt.Fprintf(&b, ":red_circle: *%s*%s, since %s. %s\n", fmt.Sprintf(w.wrong, whose(a)), reason(a), date(a.OpenedAt), w.todo)
		}
	default:
		fmt.Fprintf(&b, ":red_circle: *%s things are wrong at once.*\n", humanize.Comma(int64(n)))
		for _, kind := range slices.Sorted(maps.Keys(t.ByKind)) {
			fmt.Fprintf(&b, "• %s %s\n", humanize.Comma(int64(t.ByKind[kind])), wordsOf(kind).many)
		}
		fmt.Fprintf(&b, "Among them %s. `caddy apikey-inject status` has all of them. When so many fail together the cause is mostly one: the upstream, or a key that they share.\n", list(t.Opened))
	}
	switch n := t.Count.Resolved; {
	case n == 0:
	case n <= len(t.Resolved):
		for _, a := range t.Resolved {
			fmt.Fprintf(&b, ":large_green_circle: *Resolved:* %s, after %s.\n", fmt.Sprintf(wordsOf(a.Kind).over, whose(a)), lasted(a, now))
		}
	default:
		fmt.Fprintf(&b, ":large_green_circle: *%s things are resolved*, among them %s.\n", humanize.Comma(int64(n)), list(t.Resolved))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func wordsOf(kind string) words {
	if w, ok := kinds[notice.Kind(kind)]; ok {
		return w
	}
	return words{"Something is wrong with %s (" + literal(kind) + ")", "", "%s is well again", literal(kind)}
}

// whose names what an alert is about.
func whose(a *catalog.Alert) string {
	switch {
	case a.Connection != "":
		return fmt.Sprintf("connection %s of %s", quote(a.Connection), quote(a.Integration))
	case a.Integration != "":
		return quote(a.Integration)
	case a.Kind == string(notice.CatalogAway):
		return ""
	}
	return "the store " + quote(a.Store)
}

func list(all []*catalog.Alert) string {
	names := make([]string, len(all))
	for i, a := range all {
		names[i] = whose(a)
		if names[i] == "" {
			names[i] = "the catalog"
		}
	}
	return strings.Join(names, ", ")
}

func reason(a *catalog.Alert) string {
	var parts []string
	if a.KeyVersion != 0 {
		parts = append(parts, fmt.Sprintf("version %d", a.KeyVersion))
	}
	if a.Reason != "" {
		parts = append(parts, literal(a.Reason))
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

// date is a time that Slack shows in the reader's zone.
func date(t time.Time) string {
	return fmt.Sprintf("<!date^%d^{date_short_pretty} {time}|%s>", t.Unix(), t.UTC().Format("2006-01-02 15:04 UTC"))
}

func lasted(a *catalog.Alert, now time.Time) string {
	end := a.ResolvedAt
	if end.IsZero() {
		end = now
	}
	return max(0, end.Sub(a.OpenedAt)).Round(time.Second).String()
}

// longest is how much of a name is shown.
const longest = 100

// quote shows a name as it is: nothing in it is markup, a link or a mention.
func quote(s string) string { return "`" + literal(s) + "`" }

// literal takes away what Slack would make of a text.
func literal(s string) string {
	if r := []rune(s); len(r) > longest {
		s = string(r[:longest]) + "…"
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '`':
			return '\''
		case r < ' ' || r == 0x7f:
			return ' '
		}
		return r
	}, s)
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}
