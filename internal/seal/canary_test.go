package seal

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

// canary has bytes that each encoding spells in its own way.
const canary = "canary/7Q+x=%ü key"

// forms is canary as it could stand in a file. Base64 has three spellings of
// what stands inside of something longer; each is cut to what does not depend
// on the neighbours.
func forms() map[string][]byte {
	f := map[string][]byte{
		"plain": []byte(canary),
		"json":  []byte(strings.ReplaceAll(canary, "/", `\/`)),
		"path":  []byte(url.PathEscape(canary)),
		"query": []byte(url.QueryEscape(canary)),
		"hex":   []byte(hex.EncodeToString([]byte(canary))),
	}
	for shift, name := range []string{"base64", "base64 +1", "base64 +2"} {
		for _, e := range []struct {
			name string
			enc  *base64.Encoding
		}{{" std", base64.RawStdEncoding}, {" url", base64.RawURLEncoding}} {
			s := e.enc.EncodeToString(append(make([]byte, shift), canary...))
			f[name+e.name] = []byte(s[(shift*8+5)/6 : len(s)-1])
		}
	}
	return f
}

// find returns where below dir which of the needles stands, and how many bytes
// were searched.
func find(t *testing.T, dir string, needles map[string][]byte) (found []string, searched int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		searched += len(b)
		for name, needle := range needles {
			if bytes.Contains(b, needle) {
				found = append(found, filepath.Base(path)+": "+name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found, searched
}

func TestTheSearchFindsAPlantedKey(t *testing.T) {
	for name, needle := range forms() {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			openStore(t, dir)
			mustExec(t, rawDB(t, dir), `INSERT INTO sealed_keys (namespace, mount, path, version, sealed, created_at) VALUES ('', '', 'x', 1, $1, 0)`,
				append([]byte("before "), needle...))
			if found, _ := find(t, dir, forms()); len(found) == 0 {
				t.Error("not found")
			}
		})
	}
}

func TestNoKeyStandsInAnyFile(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	look := func(when string) {
		t.Helper()
		found, searched := find(t, dir, forms())
		if len(found) != 0 || searched < 4096 {
			t.Errorf("%s: found %v in %d bytes", when, found, searched)
		}
	}
	k := map[string]secret.Value{"apiKey": secret.New(canary), "x": secret.New("a" + canary), "yy": secret.New("ab" + canary)}
	for cas := range 3 {
		if _, err := s.Put(t.Context(), address, k, cas); err != nil {
			t.Fatal(err)
		}
		look("after a write")
	}
	if err := s.ready.Load().db.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	look("with the log in the database")
	if err := s.Delete(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	look("after the deletion")
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	look("after the close")
}

func TestTheKeysetStandsInItsFileOnly(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	mustPut(t, s, address, canary, 0)
	needle := map[string][]byte{"keyset": []byte(material(t, text(t, s.ready.Load().keys())))}
	if found, _ := find(t, filepath.Dir(keysetPath(dir)), needle); len(found) != 1 {
		t.Errorf("not in its own file: %v", found)
	}
	if found, _ := find(t, filepath.Dir(dbPath(dir)), needle); len(found) != 0 {
		t.Errorf("beside the keys: %v", found)
	}
}

func TestADeletedKeysSealedBytesAreGone(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	mustPut(t, s, address, "1", 0)
	mustPut(t, s, address, "2", 1)
	var newest, previous []byte
	if err := rawDB(t, dir).SQL().QueryRowContext(t.Context(), `SELECT sealed, previous FROM sealed_keys`).Scan(&newest, &previous); err != nil {
		t.Fatal(err)
	}
	needles := map[string][]byte{"newest": newest, "previous": previous}
	if found, _ := find(t, dir, needles); len(found) < 2 {
		t.Fatalf("before the deletion only %v is found", found)
	}
	if err := s.Delete(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	if found, _ := find(t, dir, needles); len(found) != 0 {
		t.Errorf("still there: %v", found)
	}
}
