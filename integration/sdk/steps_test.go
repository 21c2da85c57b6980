package sdk

// This file holds how the lines that the script prints are read.

import (
	"bufio"
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// step is one call of the SDK, as its caller sees it.
type step struct {
	Name    string   `json:"step"`
	Got     any      `json:"got"`
	Refused *refusal `json:"refused"`
}

// refusal is what the SDK throws.
type refusal struct {
	Message string            `json:"message"`
	Status  int               `json:"status"` // 0: there was no answer
	Headers map[string]string `json:"headers"`
	Data    any               `json:"data"`
}

// read returns the steps by name, of which the last counts, and their order.
func read(t *testing.T, printed []byte) (steps map[string]*step, order []string) {
	t.Helper()
	steps = map[string]*step{}
	for lines := bufio.NewScanner(bytes.NewReader(printed)); lines.Scan(); {
		s := new(step)
		if err := json.Unmarshal(lines.Bytes(), s); err != nil {
			t.Fatalf("%v: %s", err, lines.Bytes())
		}
		steps[s.Name] = s
		order = append(order, s.Name)
	}
	return steps, order
}

// at returns what stands at a path such as "data.0.name", as JSON. Of a list,
// "#" is the length and "*" what stands at the rest of the path in each element,
// sorted; of an object, "names" are its names.
func at(v any, path string) string {
	word, rest, more := strings.Cut(path, ".")
	switch of := v.(type) {
	case map[string]any:
		v = of[word]
		if word == "names" {
			v = slices.Sorted(maps.Keys(of))
		}
	case []any:
		switch n, err := strconv.Atoi(word); {
		case word == "#":
			v = len(of)
		case word == "*":
			each := make([]string, 0, len(of))
			for _, e := range of {
				each = append(each, strings.Trim(at(e, rest), `"`))
			}
			slices.Sort(each)
			v, more = each, false
		case err == nil && n < len(of):
			v = of[n]
		default:
			return "nothing"
		}
	default:
		return "nothing"
	}
	if more {
		return at(v, rest)
	}
	b, _ := json.Marshal(v)
	return string(b)
}

// faults returns what is wrong with the fields of a body: "message @ path".
func (r *refusal) faults() []string {
	data, _ := r.Data.(map[string]any)
	body, _ := data["error"].(map[string]any)
	list, _ := body["errors"].([]any)
	found := make([]string, 0, len(list))
	for _, f := range list {
		m, _ := f.(map[string]any)
		message, _ := m["message"].(string)
		var path []string
		for _, p := range m["path"].([]any) {
			path = append(path, strings.Trim(at(map[string]any{"p": p}, "p"), `"`))
		}
		found = append(found, message+" @ "+strings.Join(path, "."))
	}
	slices.Sort(found)
	return found
}
