package apikeyinject

// This file holds how the API's site serves the dashboard.

import (
	"io/fs"
	"net/http"
	"strings"

	"github.com/apikeyinject/caddy-apikey-inject/web"
)

// dashboardPath is where the dashboard is, below the API. Its files are there too.
const dashboardPath = "/dashboard/"

// dashboardPolicy lets the page load its own files and ask its own API, and turn no
// text into markup.
const dashboardPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// serveDashboard answers with the page, one of its files, or the way there. It
// says false for what belongs to the API.
func (a *API) serveDashboard(w http.ResponseWriter, r *http.Request) bool {
	rest, ok := strings.CutPrefix(r.URL.Path, a.StripPrefix)
	if !ok || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	if rest == strings.TrimSuffix(dashboardPath, "/") || (rest == "/" || rest == "") && strings.Contains(r.Header.Get("Accept"), "text/html") {
		w.Header().Set("Cache-Control", "no-store")
		http.Redirect(w, r, a.StripPrefix+dashboardPath, http.StatusFound)
		return true
	}
	name, ok := strings.CutPrefix(rest, dashboardPath)
	if !ok {
		return false
	}
	if name == "" {
		name = "index.html"
	}
	info, err := fs.Stat(web.Dashboard(), name)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	h := w.Header()
	h.Set("Content-Security-Policy", dashboardPolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY") // for browsers that know no policy
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if name == "index.html" { // for which ServeFileFS would send the browser elsewhere
		page, _ := fs.ReadFile(web.Dashboard(), name) // it is embedded
		h.Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(page) //nolint:gosec // embedded, and nothing of the request is in it; the client may have left
		return true
	}
	http.ServeFileFS(w, r, web.Dashboard(), name) //nolint:gosec // an embedded folder, and a file that is in it
	return true
}
