package seal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

// ErrNoKeyset says that there is no keyset file where one was looked for.
var ErrNoKeyset = errors.New("no keyset")

// maxKeysetSize bounds what is read from a keyset file, in bytes. A key takes
// about 250, so this is room for hundreds of rotations.
const maxKeysetSize = 1 << 18

// Source says where a keyset is. It is either given as text or in a file.
type Source struct {
	// Text of the keyset, from an environment variable or a mounted secret.
	// Set to anything, it is used and Path is not looked at.
	Text secret.Value

	// Path of the keyset file. It should not lie beside the database: who
	// copies that directory would have both.
	Path string
}

// Load reads the keyset that src names. A missing file is an [ErrNoKeyset].
func Load(src Source) (*Keyset, error) {
	if !src.Text.IsZero() {
		k, err := Parse(src.Text)
		if err != nil {
			return nil, fmt.Errorf("reading the keyset from the configuration: %w", err)
		}
		return k, nil
	}
	text, err := readPrivate(src.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the keyset: %w at %s", ErrNoKeyset, src.Path)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the keyset: %w", err)
	}
	k, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("reading the keyset %s: %w", src.Path, err)
	}
	return k, nil
}

// readPrivate reads a file that only its owner may. Anything looser is an
// error and not a warning, as ssh has it: we made the file at 0600, so somebody
// changed that, and a warning at each start is soon not read. Mounted secrets
// with looser modes come in as text and never get here.
func readPrivate(path string) (secret.Value, error) {
	f, err := os.Open(path)
	if err != nil {
		return secret.Value{}, err
	}
	defer f.Close() //nolint:errcheck // only read
	fi, err := f.Stat()
	if err != nil {
		return secret.Value{}, err
	}
	if !fi.Mode().IsRegular() {
		return secret.Value{}, fmt.Errorf("%s is not a regular file", path)
	}
	if mode := fi.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" { // which has no such modes
		return secret.Value{}, fmt.Errorf("%s has mode %04o and is open to others than its owner: run chmod 600 on it", path, mode)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxKeysetSize+1))
	if err != nil {
		return secret.Value{}, err
	}
	if len(b) > maxKeysetSize {
		return secret.Value{}, fmt.Errorf("%s is larger than %d bytes", path, maxKeysetSize)
	}
	return secret.New(string(b)), nil
}

// Create writes k to a new file at path, mode 0600, in a directory made with
// 0700 when it is missing. The file appears whole or not at all, and a file
// that is there already is kept: the error is then an [fs.ErrExist].
func Create(path string, k *Keyset) error {
	text, err := k.Text()
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the keyset's directory: %w", err)
	}
	tmp, err := writeTemp(dir, text)
	if err != nil {
		return fmt.Errorf("writing the keyset: %w", err)
	}
	// A link and not a rename: of two processes that get here at once one must
	// lose, or the first would seal with a key that no file holds any more.
	err = os.Link(tmp, path)
	if err = errors.Join(err, os.Remove(tmp)); err != nil {
		return fmt.Errorf("writing the keyset: %w", err)
	}
	return syncDir(dir)
}

// Replace puts k into the place of the keyset file at path, in one step: the
// file is the former one or the new one, whatever happens.
func Replace(path string, k *Keyset) error {
	text, err := k.Text()
	if err != nil {
		return err
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return fmt.Errorf("replacing the keyset: %w", err)
	}
	dir := filepath.Dir(path)
	tmp, err := writeTemp(dir, text)
	if err != nil {
		return fmt.Errorf("replacing the keyset: %w", err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("replacing the keyset: %w", errors.Join(err, os.Remove(tmp)))
	}
	return syncDir(dir)
}

// tempPrefix begins the names of keysets that have no name of their own yet.
const tempPrefix = ".keyset-"

// removeTemps removes what a process left beside the keyset at path that was
// killed while it wrote one: it holds keys, and nobody reads it. Whoever calls this
// is alone with the keyset.
func removeTemps(path string) error {
	if at, err := filepath.EvalSymlinks(path); err == nil { // as Replace has it
		path = at
	}
	dir := filepath.Dir(path)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking for keysets that were left behind: %w", err)
	}
	var all error
	for _, e := range entries {
		if e.Type().IsRegular() && strings.HasPrefix(e.Name(), tempPrefix) {
			all = errors.Join(all, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	if all != nil {
		return fmt.Errorf("removing keysets that were left behind: %w", all)
	}
	return nil
}

// writeTemp writes text to a file of its own in dir and to the disk.
// os.CreateTemp makes it with mode 0600.
func writeTemp(dir string, text secret.Value) (name string, err error) {
	f, err := os.CreateTemp(dir, tempPrefix+"*")
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(text.Reveal())
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// syncDir makes the names in dir survive a loss of power.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" { // a directory cannot be synced there
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("writing the keyset's directory: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("writing the keyset's directory: %w", err)
	}
	return nil
}

// String says where the keyset is, for messages.
func (src Source) String() string {
	if !src.Text.IsZero() {
		return "of the configuration"
	}
	return src.Path
}
