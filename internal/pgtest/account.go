// This file holds whom the server runs as: it refuses to be root.

package pgtest

import (
	"errors"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// account returns who we are, or when that is root another user.
func account() (*syscall.SysProcAttr, error) {
	if os.Getuid() != 0 {
		return nil, nil
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
		return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
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
	if who == nil {
		return nil
	}
	for _, name := range names {
		if err := os.Chown(name, int(who.Credential.Uid), int(who.Credential.Gid)); err != nil {
			return err
		}
	}
	return nil
}
