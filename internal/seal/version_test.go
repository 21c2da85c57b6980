package seal

import (
	"errors"
	"testing"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

func TestTheVersionIsWhatTheNextWriteGives(t *testing.T) {
	s := openStore(t, t.TempDir())
	other := address
	other.Path += "x"
	mustPut(t, s, other, "x", 0)
	if _, err := s.Version(t.Context(), address); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("before the first write: %v", err)
	}
	for cas := range 3 {
		mustPut(t, s, address, "k", cas)
		if v, err := s.Version(t.Context(), address); v != cas+1 || err != nil {
			t.Errorf("after a write upon %d: %d, %v", cas, v, err)
		}
	}
	if err := s.Delete(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Version(t.Context(), address); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("after the deletion: %v", err)
	}
	if _, err := s.Version(t.Context(), store.Address{}); !errors.Is(err, store.ErrMisconfigured) {
		t.Errorf("of no address: %v", err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Version(t.Context(), address); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("after the close: %v", err)
	}
}
