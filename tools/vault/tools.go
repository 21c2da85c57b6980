//go:build tools

// Package tools pins the Vault server that the tests run. It is a module of its
// own so that the server's dependencies never reach the plugin's go.sum.
package tools

import _ "github.com/hashicorp/vault"
