package inject

import (
	"fmt"
	"regexp"
	"strings"
)

// configPrefix begins the placeholders that read a connection's config.
const configPrefix = "connectionConfig."

// caddyPlaceholder matches what Caddy's replacer would expand. The values of
// this package never see that replacer, so it can only be a mistake.
var caddyPlaceholder = regexp.MustCompile(`\{(\$[A-Za-z_]|(?:env|file|system|time|http|vars|tls|header|query|path|host|method|uri|err|rp|re|args)\b)`)

// checkLiteral refuses what no configured text may hold: control characters
// and placeholders of Caddy. Its errors quote nothing of s: a key that was
// pasted where it does not belong must not go on into a log.
func checkLiteral(s string) error {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] == 0x7f {
			return fmt.Errorf("has a control character at byte %d", i)
		}
	}
	for _, m := range caddyPlaceholder.FindAllStringIndex(s, -1) {
		if m[0] > 0 && s[m[0]-1] == '$' {
			continue // ${...} is ours, and is checked as such
		}
		return fmt.Errorf("holds the Caddy placeholder %s…, which is not expanded here; "+
			"write {$NAME} in a Caddyfile to take a value from the environment while parsing (never a secret)",
			s[m[0]:m[1]])
	}
	return nil
}

// validFieldName tells whether s can name a connectionConfig field: letters,
// digits, `_` and `-`.
func validFieldName(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == ""
}

// CheckConfigValue refuses a connectionConfig entry that no template could
// use: a name with other than letters, digits, `_` and `-`, an empty value, or
// one with control characters.
func CheckConfigValue(name, value string) error {
	if !validFieldName(name) {
		return fmt.Errorf("%q is no name; letters, digits, _ and - are allowed", name)
	}
	if value == "" {
		return fmt.Errorf("%s is empty", name)
	}
	if err := checkLiteral(value); err != nil {
		return fmt.Errorf("%s %w", name, err)
	}
	return nil
}
