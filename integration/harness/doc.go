// Package harness drives a real Caddy process against an upstream on a raw
// socket, for the tests of this module.
//
// Nothing here uses the plugin's own code: a test that sends exact bytes in and
// reads the exact bytes that came out at the upstream can be believed. All
// servers listen on 127.0.0.1, and all of them end with the test.
package harness
