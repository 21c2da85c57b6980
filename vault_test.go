package apikeyinject

// This file holds tests of what the store vault refuses in JSON, where no Caddyfile
// has looked before.

import (
	"strings"
	"testing"
)

func TestAPrefixThatCannotBeginAPathIsRefused(t *testing.T) {
	for _, store := range []string{"vault", "local"} {
		for _, prefix := range []string{"/secret/keys", "../keys", "a//b", "${connectionId}"} {
			_, err := provisionApp(t, `{"stores": {"s": {"store": "`+store+`", "prefix": "`+prefix+`"}}}`)
			if err == nil || !strings.Contains(err.Error(), "prefix: ") {
				t.Errorf("%s: %q: got %v, want an error that names the field", store, prefix, err)
			}
		}
	}
}
