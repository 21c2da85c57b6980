package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
)

// lock makes the database at path this process' own until release, or until
// the process ends in whatever way. The lock is the kernel's, on a file of its
// own that stays: removing it would let two processes lock two files of the
// same name.
func lock(path string) (release func() error, err error) {
	f, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the database: %w", err)
	}
	err = flock(f)
	if errors.Is(err, errLocked) {
		return nil, errors.Join(inUse(path, f), f.Close())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("locking the database: %w", err), f.Close())
	}
	if err := sign(f); err != nil {
		return nil, errors.Join(fmt.Errorf("signing the database's lock: %w", err), f.Close())
	}
	return f.Close, nil
}

// sign writes our process id into the lock file, for the message of who comes
// second.
func sign(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// inUse says who has the database at path and what to do about it.
func inUse(path string, f *os.File) error {
	who := ""
	b := make([]byte, 20) // longer than any process id
	if n, _ := f.ReadAt(b, 0); n > 0 {
		if pid, err := strconv.Atoi(string(bytes.TrimSpace(b[:n]))); err == nil {
			who = fmt.Sprintf(" (process %d)", pid)
		}
	}
	return fmt.Errorf("locking %s: %w%s: use the running Caddy's admin API; for several nodes take postgres as the catalog, or keep the keys in Vault", path, ErrInUse, who)
}
