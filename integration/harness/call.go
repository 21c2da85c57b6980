// One call of an API.

package harness

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// Call sends a request as a client of an API does: with a token, a JSON body, or
// neither where they are empty, and header lines ("Name: value"). It returns the
// answer's status, header and body. Without an answer the test ends.
func Call(t testing.TB, c *http.Client, method, url, token, body string, lines ...string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for _, l := range lines {
		name, value, _ := strings.Cut(l, ": ")
		req.Header.Add(name, value)
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(b)
}
