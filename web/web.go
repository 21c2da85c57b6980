// Package web holds the pages that the plugin serves.
package web

import (
	"embed"
	"html/template"
	"io/fs"
)

//go:embed connect dashboard
var files embed.FS

// ConnectData is what is particular about a Connect page.
type ConnectData struct {
	Parents []string // origins of the pages that may show it in a frame
	Brand   Brand
}

// ConnectPage is the page in which an end user enters a key. Its data are
// a [ConnectData].
var ConnectPage = template.Must(template.ParseFS(files, "connect/index.html"))

// ConnectAssets returns what the page loads. Nothing else is in it.
func ConnectAssets() fs.FS {
	assets, err := fs.Sub(files, "connect/assets")
	if err != nil {
		panic(err) // the name is ill-formed
	}
	return assets
}

// Dashboard returns the page for operators, index.html, and what it loads. Nothing
// else is in it.
func Dashboard() fs.FS {
	page, err := fs.Sub(files, "dashboard")
	if err != nil {
		panic(err) // the name is ill-formed
	}
	return page
}
