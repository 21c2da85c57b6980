// Package deps holds modules in go.mod while the code that uses them is written.
package deps

import (
	_ "github.com/hashicorp/vault/api"
	_ "github.com/pressly/goose/v3"
	_ "github.com/tink-crypto/tink-go/v2/aead"
	_ "go.uber.org/zap"
	_ "golang.org/x/net/http/httpguts"
	_ "golang.org/x/sync/singleflight"
	_ "modernc.org/sqlite"
)
