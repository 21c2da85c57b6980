//go:build !race

package dashboard

// many connections.
const many = 100_000
