// This file holds whom the server runs as: it refuses to be root.

package pgtest

import (
	"errors"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// account returns who we are, or when that is root another user. The server is
// in a group of its own: an interrupt of the tests must not reach who tidies up.
func account() (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if os.Getuid() != 0 {
		return attr, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return nil, err
		}
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		return attr, nil
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is no user postgres or nobody")
}

// place returns where the data go: root's own temporary folder may be closed to
// others.
func place() string {
	if os.Getuid() == 0 {
		return "/tmp"
	}
	return os.TempDir()
}

// give makes files who's.
func give(who *syscall.SysProcAttr, names ...string) error {
	if who.Credential == nil {
		return nil
	}
	for _, name := range names {
		if err := os.Chown(name, int(who.Credential.Uid), int(who.Credential.Gid)); err != nil {
			return err
		}
	}
	return nil
}
