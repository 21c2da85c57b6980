package seal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

func mustRotate(t *testing.T, s *Store, r Rotation) *Rotated {
	t.Helper()
	done, err := s.Rotate(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func fill(t *testing.T, s *Store, n int) (all []store.Address) {
	t.Helper()
	for i := range n {
		a := store.Address{Mount: fmt.Sprintf("m%d", i%3), Path: fmt.Sprintf("acme/%03d", i)}
		mustPut(t, s, a, "former", 0)
		mustPut(t, s, a, a.Path, 1)
		all = append(all, a)
	}
	return all
}

// wantFormer fails unless the version before is what [fill] wrote.
func wantFormer(t *testing.T, s *Store, a store.Address) {
	t.Helper()
	d, err := s.Former(t.Context(), a, 2)
	if err != nil {
		t.Fatalf("%s: %v", a, err)
	}
	if got := d.Fields[store.DefaultField].Value.Reveal(); got != "former" {
		t.Errorf("%s: the former version is %q", a, got)
	}
}

func TestARotationSealsEveryRowAnew(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	all := fill(t, s, 2*batch+7)
	former, err := Load(Source{Path: keysetPath(dir)})
	if err != nil {
		t.Fatal(err)
	}
	done := mustRotate(t, s, Rotation{})
	if *done != (Rotated{Keys: 2, Resealed: len(all), Made: true, Keyset: keysetPath(dir)}) {
		t.Errorf("got %+v", done)
	}
	for _, a := range all {
		wantKey(t, s, a, a.Path)
		wantFormer(t, s, a)
	}
	o := s.ready.Load()
	rows, err := o.rowsAfter(t.Context(), store.Address{})
	if err != nil || len(rows) != batch {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, row := range rows {
		for version, sealed := range map[int][]byte{row.version: row.sealed, row.version - 1: row.previous} {
			if _, err := former.open(sealed, place(row.Address, version)); err == nil {
				t.Fatalf("%s: the former keyset still opens version %d", row.Address, version)
			}
		}
	}
	if ok, _ := o.fits(t.Context(), former); ok {
		t.Error("the former keyset still opens the check")
	}

	t.Run("the file holds both keys until the old one is dropped", func(t *testing.T) {
		done := mustRotate(t, s, Rotation{DropOld: true})
		if *done != (Rotated{Keys: 1, Dropped: 1, Keyset: keysetPath(dir)}) {
			t.Errorf("got %+v", done)
		}
		fi, err := os.Stat(keysetPath(dir))
		if err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("the keyset: %v, %v", fi.Mode(), err)
		}
	})

	t.Run("another process opens all of it", func(t *testing.T) {
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		s := openStore(t, dir)
		for _, a := range all {
			wantKey(t, s, a, a.Path)
			wantFormer(t, s, a)
		}
	})
}

func TestARotationThatWasCutOffIsFinishedByTheNext(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	all := fill(t, s, 3)
	ctx, cancel := context.WithCancel(t.Context())
	next, err := s.ready.Load().keys().renewed()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.replace(s.ready.Load(), next); err != nil { // the first step
		t.Fatal(err)
	}
	cancel()
	if _, err := s.Rotate(ctx, Rotation{}); err == nil {
		t.Error("a rotation without time did something")
	}
	if done := mustRotate(t, s, Rotation{DropOld: true}); *done != (Rotated{Keys: 1, Resealed: 3, Dropped: 1, Keyset: keysetPath(dir)}) {
		t.Errorf("got %+v", done)
	}
	for _, a := range all {
		wantKey(t, s, a, a.Path)
	}
}

// Writers do not stop for a rotation, and none of their rows may be left to a
// key that is dropped.
func TestKeysWrittenDuringARotationStay(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	all := fill(t, s, 20)
	var wg sync.WaitGroup
	written := make([]int, len(all))
	ctx, cancel := context.WithCancel(t.Context())
	for w := range 4 {
		wg.Go(func() {
			for n := 2; ctx.Err() == nil; n++ {
				for i := w; i < len(all); i += 4 {
					if _, err := s.Put(context.Background(), all[i], key(fmt.Sprint(n+1)), n); err != nil {
						t.Errorf("%s: %v", all[i], err)
						return
					}
					written[i] = n + 1
				}
			}
		})
	}
	for range 6 {
		if _, err := s.Rotate(t.Context(), Rotation{DropOld: true}); err != nil && !errors.Is(err, ErrStillOld) {
			t.Error(err)
		}
	}
	cancel()
	wg.Wait()
	for i, a := range all {
		wantKey(t, s, a, fmt.Sprint(written[i]))
	}
}

// TestAKilledRotationLosesNoKey kills a process that rotates without a pause and
// looks at what it left. All rounds share one directory.
func TestAKilledRotationLosesNoKey(t *testing.T) {
	dir := t.TempDir()
	s := newStore(dir)
	all := fill(t, s, batch+20)
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for round := range 20 {
		killedAfter(t, dir, rotateEnv, 1+round%3)
		s := newStore(dir)
		for _, a := range all {
			wantKey(t, s, a, a.Path)
			wantFormer(t, s, a)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
}

func TestAKeysetThatIsNotOursGoesIntoAFile(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	all := fill(t, s, 3)
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	given := func(path string) Source {
		t.Helper()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return Source{Text: secret.New(string(b))}
	}
	s = New(Config{Open: opener(dir), Keyset: given(keysetPath(dir))})
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	out := func(name string) string { return filepath.Join(dir, name) }
	refused := func(r Rotation, want error) {
		t.Helper()
		if _, err := s.Rotate(t.Context(), r); !errors.Is(err, want) {
			t.Errorf("%+v: got %v, want %v", r, err, want)
		}
	}

	refused(Rotation{}, ErrNeedsOut)
	refused(Rotation{DropOld: true}, ErrNeedsOut)
	if done := mustRotate(t, s, Rotation{Out: out("both")}); *done != (Rotated{Keys: 2, Made: true, Out: out("both")}) {
		t.Errorf("got %+v", done)
	}
	refused(Rotation{Out: out("both")}, os.ErrExist)
	refused(Rotation{}, ErrNeedsOut) // nothing was put in place yet

	if err := s.Use(t.Context(), given(out("both"))); err != nil {
		t.Fatal(err)
	}
	refused(Rotation{Out: out("early"), DropOld: true}, ErrStillOld)
	if done := mustRotate(t, s, Rotation{}); *done != (Rotated{Keys: 2, Resealed: 3}) {
		t.Errorf("got %+v", done)
	}
	if done := mustRotate(t, s, Rotation{Out: out("new"), DropOld: true}); *done != (Rotated{Keys: 1, Dropped: 1, Out: out("new")}) {
		t.Errorf("got %+v", done)
	}
	if err := s.Use(t.Context(), given(out("new"))); err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		wantKey(t, s, a, a.Path)
	}
	if err := s.Use(t.Context(), given(keysetPath(dir))); err == nil || !strings.Contains(err.Error(), "is not the one") {
		t.Errorf("a keyset that opens nothing any more: %v", err)
	}
	wantKey(t, s, all[0], all[0].Path)
}

// Where several nodes share the database, all of them have to know a key before
// one of them seals with it.
func TestNodesLearnAKeyBeforeItSeals(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	all := fill(t, s, 3)
	o := s.ready.Load()
	use := func(name string) {
		t.Helper()
		if err := s.Use(t.Context(), Source{Path: filepath.Join(dir, name)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Rotate(t.Context(), Rotation{Shared: true}); !errors.Is(err, ErrNeedsOut) {
		t.Errorf("in place: %v", err)
	}
	step := func(name string) *Rotated {
		t.Helper()
		done := mustRotate(t, s, Rotation{Shared: true, Out: filepath.Join(dir, name)})
		use(name)
		return done
	}
	refuseDrop := func() {
		t.Helper()
		if _, err := s.Rotate(t.Context(), Rotation{Shared: true, DropOld: true, Out: filepath.Join(dir, "dropped")}); err == nil || !strings.Contains(err.Error(), "promote it first") {
			t.Errorf("dropping a key that does not seal yet: %v", err)
		}
	}
	before := o.keys()
	if done := step("known"); !done.Made || !done.Staged || done.Promoted {
		t.Errorf("got %+v", done)
	}
	mustPut(t, s, store.Address{Path: "acme/new"}, "new", 0)
	refuseDrop()
	after := o.keys()
	o.keyset.Store(before) // as a node that was not restarted yet
	wantKey(t, s, store.Address{Path: "acme/new"}, "new")
	o.keyset.Store(after)
	if done := step("primary"); done.Made || done.Staged || !done.Promoted {
		t.Errorf("got %+v", done)
	}
	if done := mustRotate(t, s, Rotation{Shared: true}); done.Resealed != 4 || done.Made {
		t.Errorf("got %+v", done)
	}
	for _, a := range all {
		wantKey(t, s, a, a.Path)
	}
}

// A document that was deleted and made again has the version that was read, and
// is another one.
func TestARowThatWasMadeAgainMeanwhileIsLeftAlone(t *testing.T) {
	s := openStore(t, t.TempDir())
	mustPut(t, s, address, "former", 0)
	o := s.ready.Load()
	rows, err := o.rowsAfter(t.Context(), store.Address{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, address, "new", 0)
	next, err := o.keys().renewed()
	if err != nil {
		t.Fatal(err)
	}
	primary, err := next.alone()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := o.resealBatch(t.Context(), rows, next, primary); err != nil || n != 1 {
		t.Errorf("%d rows wait for another pass, %v", n, err)
	}
	wantKey(t, s, address, "new")
}
