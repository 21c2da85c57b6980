package catalog

import (
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// boundSilence bounds how long what is sent may stay without acknowledgement.
func boundSilence(network, _ string, c syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return nil
	}
	var failed error
	if err := c.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(silence.Milliseconds()))
	}); err != nil {
		return err
	}
	return failed
}
