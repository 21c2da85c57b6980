package seal

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

func TestNewTouchesNothing(t *testing.T) {
	dir := t.TempDir()
	s := newStore(dir)
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 0 {
		t.Errorf("there is %v, %v", names, err)
	}
}

func TestTheFirstCallOpens(t *testing.T) {
	s := newStore(t.TempDir())
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := s.Get(t.Context(), address); !errors.Is(err, store.ErrNotFound) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if !s.KeysetMade() {
		t.Error("it does not say that it made a keyset")
	}
	if err := s.Healthy(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestKeysSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	mustPut(t, s, address, "1", 0)
	for range 2 { // the second does nothing
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for name, err := range map[string]error{
		"get": errOf(s.Get(t.Context(), address)), "put": errOf(s.Put(t.Context(), address, key("2"), 1)),
		"list": errOf(s.List(t.Context())), "delete": s.Delete(t.Context(), address), "healthy": s.Healthy(t.Context()),
	} {
		if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, errClosed) {
			t.Errorf("%s after the close: %v", name, err)
		}
	}
	again := openStore(t, dir)
	wantKey(t, again, address, "1")
	if again.KeysetMade() {
		t.Error("it says that it made a keyset, there was one")
	}
}

func errOf[T any](_ T, err error) error { return err }

func TestAKeysetIsMadeOnlyForAnEmptyDatabase(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	if err := os.Remove(keysetPath(dir)); err != nil {
		t.Fatal(err)
	}
	again := openStore(t, dir) // holds no key: a new keyset takes its place
	mustPut(t, again, address, "1", 0)
	if err := s.Healthy(t.Context()); !errors.Is(err, errDoesNotOpen) {
		t.Errorf("the store with the lost keyset says %v", err)
	}
	if err := os.Remove(keysetPath(dir)); err != nil {
		t.Fatal(err)
	}
	third := newStore(dir)
	err := third.Open(t.Context())
	if !errors.Is(err, ErrNoKeyset) || !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), keysetPath(dir)) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(keysetPath(dir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a keyset was made: %v", err)
	}
}

func TestWithoutCreateNoKeysetIsMade(t *testing.T) {
	dir := t.TempDir()
	s := New(Config{Open: opener(dir), Keyset: Source{Path: keysetPath(dir)}})
	if err := s.Open(t.Context()); !errors.Is(err, ErrNoKeyset) {
		t.Errorf("got %v", err)
	}
	if err := Create(keysetPath(dir), generated(t)); err != nil {
		t.Fatal(err)
	}
	if err := s.Open(t.Context()); err != nil { // an error is not for ever
		t.Error(err)
	}
	_ = s.Close(t.Context())
}

func TestAWrongKeysetIsFoundAtTheStart(t *testing.T) {
	dir := t.TempDir()
	right := openStore(t, dir)
	mustPut(t, right, address, "1", 0)
	v := text(t, generated(t))
	wrong := New(Config{Open: opener(dir), Keyset: Source{Text: v}})
	err := wrong.Open(t.Context())
	if !errors.Is(err, store.ErrUnavailable) || !strings.Contains(err.Error(), "not the one") || strings.Contains(err.Error(), material(t, v)) {
		t.Errorf("got %v", err)
	}
	same := New(Config{Open: opener(dir), Keyset: Source{Text: text(t, right.ready.Load().keys())}})
	wantKey(t, same, address, "1")
	_ = same.Close(t.Context())
}

func TestATakenAwayCheckIsFoundAtTheStart(t *testing.T) {
	dir := t.TempDir()
	mustPut(t, openStore(t, dir), address, "1", 0)
	mustExec(t, rawDB(t, dir), `DELETE FROM keyset_check`)
	if err := newStore(dir).Open(t.Context()); err == nil {
		t.Error("no error")
	}
}

func TestClaimNeverOverwritesAnotherKeysetsKeys(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	mustPut(t, s, address, "1", 0) // comes between the look for keys and the claim
	late := &opened{db: rawDB(t, dir)}
	late.keyset.Store(generated(t))
	if err := late.claim(t.Context()); err == nil {
		t.Error("no error")
	}
	if err := s.Healthy(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestADatabaseThatDoesNotOpenIsAnOutage(t *testing.T) {
	gone := errors.New("gone")
	s := New(Config{Open: func(context.Context) (Database, error) { return nil, gone }})
	for name, err := range map[string]error{
		"open": s.Open(t.Context()), "get": errOf(s.Get(t.Context(), address)), "put": errOf(s.Put(t.Context(), address, key("1"), 0)),
		"list": errOf(s.List(t.Context())), "delete": s.Delete(t.Context(), address), "healthy": s.Healthy(t.Context()),
	} {
		if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, gone) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhoWaitsForTheOpeningObeysItsContext(t *testing.T) {
	s := newStore(filepath.Join(t.TempDir()))
	s.gate <- struct{}{} // somebody opens
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Get(ctx, address); !errors.Is(err, context.Canceled) || !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if err := s.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
