package seal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/mac"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

func generated(t *testing.T) *Keyset {
	t.Helper()
	k, err := Generate()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func text(t *testing.T, k *Keyset) secret.Value {
	t.Helper()
	v, err := k.Text()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// material is the key bytes in a keyset's text, as they stand there.
func material(t *testing.T, v secret.Value) string {
	t.Helper()
	_, rest, ok := strings.Cut(v.Reveal(), `"value":"`)
	m, _, end := strings.Cut(rest, `"`)
	if !ok || !end || len(m) < 32 {
		t.Fatal("no key material found in the keyset's text")
	}
	return m
}

func TestKeysetOpensWhatItSealed(t *testing.T) {
	k := generated(t)
	again, err := Parse(text(t, k))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := k.seal([]byte("plain"), []byte("place"))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := again.open(sealed, []byte("place")); err != nil || string(plain) != "plain" {
		t.Errorf("got %q, %v", plain, err)
	}
	if _, err := again.open(sealed, []byte("elsewhere")); !errors.Is(err, errDoesNotOpen) {
		t.Errorf("at another place: %v", err)
	}
	if _, err := generated(t).open(sealed, []byte("place")); !errors.Is(err, errDoesNotOpen) {
		t.Errorf("with another keyset: %v", err)
	}
}

func TestANewPrimaryKeyStillOpensOlderRows(t *testing.T) {
	k := generated(t)
	sealed, err := k.seal([]byte("plain"), nil)
	if err != nil {
		t.Fatal(err)
	}
	m := keyset.NewManagerFromHandle(k.handle)
	id, err := m.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		t.Fatal(err)
	}
	if err := m.SetPrimary(id); err != nil {
		t.Fatal(err)
	}
	h, err := m.Handle()
	if err != nil {
		t.Fatal(err)
	}
	rotated, err := newKeyset(h)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rotated.open(sealed, nil); err != nil {
		t.Error(err)
	}
}

func TestParseRefusesWithoutQuoting(t *testing.T) {
	good := text(t, generated(t))
	h, err := keyset.NewHandle(mac.HMACSHA256Tag256KeyTemplate())
	if err != nil {
		t.Fatal(err)
	}
	other := text(t, &Keyset{handle: h})
	for name, v := range map[string]string{
		"nothing":                "",
		"no JSON":                material(t, good),
		"half a keyset":          good.Reveal()[:len(good.Reveal())/2],
		"an unknown field first": `{"` + material(t, good) + `":1}`,
		"no keys":                `{"primaryKeyId":1,"key":[]}`,
		"a keyset for a MAC":     other.Reveal(),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(Source{Text: secret.New(v)})
			if !errors.Is(err, errNotKeyset) {
				t.Fatalf("got %v", err)
			}
			if strings.Contains(err.Error(), material(t, good)) || (v != "" && strings.Contains(err.Error(), v)) {
				t.Error("the error quotes the keyset")
			}
		})
	}
}

func TestKeysetPrintsAsAFixedString(t *testing.T) {
	k := generated(t)
	type holder struct{ K *Keyset }
	j, err := json.Marshal(holder{k})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "keyset", k)
	s := New(Config{Keyset: Source{Text: text(t, k)}})
	o := new(opened)
	o.keyset.Store(k)
	s.ready.Store(o)
	m := material(t, text(t, k))
	for name, out := range map[string]string{
		"%v": fmt.Sprintf("%v", k), "%+v": fmt.Sprintf("%+v", k), "%#v": fmt.Sprintf("%#v", k), "%s": fmt.Sprint(k),
		"json": string(j), "slog": log.String(), "in a holder": fmt.Sprintf("%+v %#v", holder{k}, holder{k}),
		"in a store": fmt.Sprintf("%+v %#v", s, s),
	} {
		if strings.Contains(out, m) {
			t.Errorf("%s shows the key", name)
		}
		if name != "in a store" && name != "in a holder" && !strings.Contains(out, redacted) {
			t.Errorf("%s printed %q", name, out)
		}
	}
}

func TestCreateWritesAPrivateFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "keyset")
	k := generated(t)
	if err := Create(path, k); err != nil {
		t.Fatal(err)
	}
	loaded, err := Load(Source{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if text(t, loaded).Reveal() != text(t, k).Reveal() {
		t.Error("another keyset came back")
	}
	names, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(names) != 1 {
		t.Errorf("beside the keyset there is something left: %v, %v", names, err)
	}
	if runtime.GOOS == "windows" {
		return // modes mean nothing there
	}
	for name, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		if fi, err := os.Stat(name); err != nil || fi.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v (%v)", name, fi.Mode().Perm(), want, err)
		}
	}
}

func TestOneOfManyMakersWins(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyset")
	var (
		wg  sync.WaitGroup
		mu  sync.Mutex
		won []*Keyset
	)
	for range 8 {
		k := generated(t)
		wg.Go(func() {
			err := Create(path, k)
			if errors.Is(err, fs.ErrExist) {
				return
			}
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			won = append(won, k)
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Fatalf("%d makers believe that theirs is the keyset", len(won))
	}
	k, err := Load(Source{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if text(t, k).Reveal() != text(t, won[0]).Reveal() {
		t.Error("the file holds a keyset that lost")
	}
}

func TestLoadRefusesFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := text(t, generated(t)).Reveal()
	for name, c := range map[string]struct{ path, want string }{
		"that are not there":      {filepath.Join(dir, "none"), "no keyset at " + filepath.Join(dir, "none")},
		"that the group can read": {write("group", good, 0o640), "chmod 600"},
		"that others can read":    {write("others", good, 0o604), "chmod 600"},
		"that are directories":    {dir, "not a regular file"},
		"that are too large":      {write("large", strings.Repeat(" ", maxKeysetSize)+good, 0o600), "larger than"},
		"that hold no keyset":     {write("junk", "junk", 0o600), "junk"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(Source{Path: c.path})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q in it", err, c.want)
			}
		})
	}
}
