package api

// This file holds what must be true of an integration, whoever made it and by
// which request. What it is for is told apart from how it is written: the
// messages are Nango's, the details say more.

import (
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"

	"golang.org/x/net/http/httpguts"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/inject"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// queryWarning goes with every answer about an integration that places its key
// in the query.
const queryWarning = "keys in a query can show in upstream, proxy and CDN logs; prefer header"

// maxAge is the longest max_age: ten years, beyond which a typing error is
// likelier than a wish.
const maxAge = 10 * 365 * 24 * 3600e9

// MinInterval is the shortest interval of a verification. Each costs a request for
// every key.
const MinInterval = 10 * time.Second

// checkIntegration reports everything that is wrong with an integration.
func (a *API) checkIntegration(i *catalog.Integration, fs *faults) {
	// The pattern lets a dot alone through, and blanks that the header of the
	// gateway would lose: "a " would be called as "a", another one.
	if store.CheckSegment(i.UniqueKey) != nil || strings.TrimSpace(i.UniqueKey) != i.UniqueKey {
		fs.add(wrongFormat, "Unique key has an invalid format", "unique_key")
	}
	checkLine(i.DisplayName, "Display name", fs, "display_name")
	checkLine(i.KeyLabel, "Key label", fs, "integration_config", "keyLabel")
	a.checkBase(i.BaseURL, fs)
	checkPlacement(i, fs)
	checkConnect(i.Connect, fs)
	checkVerification(i.Verification, fs)
	if i.MaxAge > maxAge {
		fs.add(tooBig, "Max age must be at most 3650d", "max_age")
	}
	for n, status := range i.RefusedStatuses {
		if !Refusal(status) {
			fs.add(wrongValue, "Refused statuses must be from 400 to 499", "refused_statuses", n)
		}
	}
}

// Refusal tells whether a status can say that a key is refused: it says also that
// nothing was done.
func Refusal(status int) bool { return status >= 400 && status <= 499 }

// checkLine refuses text that would not be one line.
func checkLine(s, label string, fs *faults, path ...any) {
	if strings.ContainsFunc(s, unicode.IsControl) {
		fs.add(wrongFormat, label+" has an invalid format", path...)
	}
}

func (a *API) checkBase(s string, fs *faults) {
	wrong := func(code, message, detail string) {
		fs.addDetail(code, message, detail, "integration_config", "baseUrl")
	}
	switch {
	case s == "":
		wrong(wrongType, "Base URL is required", "")
	case len(s) > 8192:
		wrong(tooBig, "Base URL must have at most 8192 characters", "")
	case !httpScheme(s):
		wrong(wrongFormat, "Base URL has an invalid format", "it must begin with https:// or http://")
	default:
		if err := a.cfg.CheckBaseURL(s); err != nil {
			wrong(wrongFormat, "Base URL must be a valid URL", err.Error())
		}
	}
}

// httpScheme tells whether s begins as a base URL may, which is also with
// a placeholder for its whole beginning.
func httpScheme(s string) bool {
	lower := strings.ToLower(s)
	return strings.HasPrefix(lower, "https://") || strings.HasPrefix(lower, "http://") || strings.HasPrefix(s, "${")
}

func checkPlacement(i *catalog.Integration, fs *faults) {
	wrong := func(field, code, message string, err error) {
		fs.addDetail(code, message, err.Error(), "integration_config", field)
	}
	if err := inject.CheckKind(i.KeyPlacement); err != nil {
		wrong("keyPlacement", wrongValue, "Key placement must be one of: header, query", err)
	}
	if i.KeyName == "" {
		fs.add(wrongType, "Key name is required", "integration_config", "keyName")
	} else if err := inject.CheckName(i.KeyPlacement, i.KeyName); err != nil {
		wrong("keyName", wrongFormat, "Key name has an invalid format", err)
	}
	if _, err := inject.ParseTemplate(i.ValueTemplate); err != nil {
		wrong("valueTemplate", wrongFormat, "Value template has an invalid format", err)
	}
	if i.Provider != asBearer {
		return
	}
	fixed := newIntegration(asBearer, i.UniqueKey)
	for _, f := range []struct{ field, label, is, want string }{
		{"keyPlacement", "Key placement", i.KeyPlacement, fixed.KeyPlacement},
		{"keyName", "Key name", i.KeyName, fixed.KeyName},
		{"valueTemplate", "Value template", i.ValueTemplate, fixed.ValueTemplate},
	} {
		if f.is != f.want {
			wrong(f.field, wrongValue, fmt.Sprintf("%s must be %s for private-api-bearer", f.label, f.want), fmt.Errorf("use %s to choose it", generic))
		}
	}
}

func checkConnect(t *catalog.ConnectTexts, fs *faults) {
	if t == nil {
		return
	}
	if strings.ContainsFunc(t.HelpText, func(r rune) bool { return unicode.IsControl(r) && r != '\n' }) {
		fs.add(wrongFormat, "Help text has an invalid format", "connect", "help_text")
	}
	for _, f := range []struct{ name, label, value string }{
		{"help_url", "Help URL", t.HelpURL}, {"logo_url", "Logo URL", t.LogoURL},
	} {
		if f.value != "" && !IsHTTPS(f.value) {
			fs.add(wrongFormat, f.label+" must be an https URL", "connect", f.name)
		}
	}
}

// IsHTTPS tells whether a page may link to s: an https URL without a password.
func IsHTTPS(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "https" && u.Hostname() != "" && u.User == nil
}

func checkVerification(v *catalog.Verification, fs *faults) {
	if v == nil {
		return
	}
	if !Relative(v.Path) {
		fs.add(wrongFormat, "Verification path must be a path below the base URL", "verification", "path")
	}
	for name, value := range v.Headers {
		if inject.CheckName(inject.Header, name) != nil || !httpguts.ValidHeaderFieldValue(value) || strings.Contains(value, "${") {
			fs.add(wrongFormat, "Verification header has an invalid format", "verification", "headers", name)
		}
	}
	if v.Interval != 0 && (v.Interval < MinInterval || v.Interval > maxAge) {
		fs.add(wrongValue, "Verification interval must be from 10s to 3650d", "verification", "interval")
	}
	for n, status := range v.Success {
		if status < 200 || status > 599 {
			fs.add(wrongValue, "Verification success must be a status from 200 to 599", "verification", "success", n)
		}
	}
}

// Relative tells whether s can only lead below a base URL. It may have a query.
func Relative(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.IsAbs() || u.Host != "" || u.User != nil || strings.Contains(s, "#") || strings.HasPrefix(s, "//") {
		return false
	}
	return inject.CheckPath("/"+strings.TrimPrefix(u.EscapedPath(), "/")) == nil
}
