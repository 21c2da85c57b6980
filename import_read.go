package apikeyinject

// This file holds how a file of integrations and connections is read: an export
// of ours, or the answers of a Nango server.

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// importItem is an integration or a connection in a file.
type importItem struct {
	n          int    // its place in the file
	where      string // "line 12"
	connection bool
	raw        json.RawMessage
	err        error // what is no item of ours
}

// errNotAnItem says what a line must be. What it is instead may hold a key, and
// is not repeated.
var errNotAnItem = errors.New(`is no JSON object with an integration ("unique_key") or a connection ("provider_config_key" and "connection_id")`)

// readInput returns what a file holds; - is standard input.
func readInput(file string) ([]byte, error) {
	if file == "-" {
		b, err := io.ReadAll(os.Stdin)
		if err != nil {
			return nil, fmt.Errorf("reading standard input: %w", err)
		}
		return b, nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the file: %w", err)
	}
	return b, nil
}

// readObject reads a file that holds one JSON object.
func readObject(file string) (map[string]any, error) {
	b, err := readInput(file)
	if err != nil {
		return nil, err
	}
	var object map[string]any
	if json.Unmarshal(b, &object) != nil || object == nil { // whose error quotes a letter
		return nil, fmt.Errorf("%s holds no JSON object", file)
	}
	return object, nil
}

// readItems parts a file: an item to a line, or one document of JSON that has
// them in lists, as a Nango server answers.
func readItems(text []byte) []importItem {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")) // of an editor on Windows
	if json.Valid(text) {
		return itemsOf("line 1", text)
	}
	var items []importItem
	for n, line := range bytes.Split(text, []byte("\n")) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		where := fmt.Sprintf("line %d", n+1)
		if !json.Valid(line) {
			items = append(items, importItem{where: where, err: errNotAnItem})
			continue
		}
		items = append(items, itemsOf(where, line)...)
	}
	return items
}

// itemsOf finds the items in a value: itself, what it wraps, or what it lists.
func itemsOf(where string, raw json.RawMessage) []importItem {
	if trimmed := bytes.TrimSpace(raw); len(trimmed) > 0 && trimmed[0] == '[' {
		var list []json.RawMessage
		_ = json.Unmarshal(raw, &list) // it is valid
		items := make([]importItem, 0, len(list))
		for n, v := range list {
			items = append(items, itemsOf(fmt.Sprintf("%s, item %d", where, n+1), v)...)
		}
		return items
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return []importItem{{where: where, err: errNotAnItem}}
	}
	switch {
	case fields["connection_id"] != nil && fields["provider_config_key"] != nil:
		return []importItem{{where: where, connection: true, raw: raw}}
	case fields["unique_key"] != nil:
		return []importItem{{where: where, raw: raw}}
	}
	// Wrappers: of a line of ours, of one integration, and of Nango's lists.
	var items []importItem
	for _, name := range []string{"integration", "connection", "data", "configs", "integrations", "connections"} {
		if v := fields[name]; v != nil {
			items = append(items, itemsOf(where, v)...)
		}
	}
	if items == nil && len(fields) != 1 {
		return []importItem{{where: where, err: errNotAnItem}}
	}
	return items
}
