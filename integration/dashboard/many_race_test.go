//go:build race

package dashboard

// many connections: the race detector looks at every byte of the database that the
// test fills, so that here there are few.
const many = 5_000
