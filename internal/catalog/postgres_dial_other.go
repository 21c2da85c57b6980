//go:build !linux

package catalog

import "syscall"

// boundSilence does nothing where there is no such option.
func boundSilence(string, string, syscall.RawConn) error { return nil }
