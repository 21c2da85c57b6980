package seal

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// leave puts what a killed writer may have left beside the keyset, and what is
// somebody else's.
func leave(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{".keyset-123", ".keyset-old", "keyset-of-mine", ".keyset.bak"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, ".keyset-folder"), 0o700); err != nil {
		t.Fatal(err)
	}
}

// wantLeft fails unless these are there beside the keyset, and no others.
func wantLeft(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	want = append(want, ".keyset-folder", ".keyset.bak", "keyset-of-mine")
	for _, name := range want {
		if !slices.Contains(names, name) {
			t.Errorf("%s is gone", name)
		}
	}
	if n := slices.IndexFunc(names, func(name string) bool {
		return (name == ".keyset-123" || name == ".keyset-old") && !slices.Contains(want, name)
	}); n >= 0 {
		t.Errorf("%s is still there", names[n])
	}
}

func TestAKeysetThatAKilledWriterLeftIsRemoved(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	fill(t, s, 1)
	beside := filepath.Dir(keysetPath(dir))
	leave(t, beside)
	mustRotate(t, s, Rotation{})
	wantLeft(t, beside)
	leave(t, beside)
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir)
	wantLeft(t, beside)

	// Of several nodes another one may be just writing it.
	leave(t, beside)
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	shared := New(Config{Open: opener(dir), Keyset: Source{Path: keysetPath(dir)}})
	t.Cleanup(func() { _ = shared.Close(t.Context()) })
	if err := shared.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantLeft(t, beside, ".keyset-123", ".keyset-old")
}
