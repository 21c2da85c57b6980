package apikeyinject

// This file holds tests of the catalogs that outlive configurations.

import (
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/zap"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
)

// A request of a configuration that was replaced long ago may still ask: a
// catalog that was closed would stay open for ever, and lock out the next one.
func TestACatalogThatWasClosedIsNotOpenedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	p := acquireCatalog(catalog.Config{Driver: "sqlite", Path: path})
	defer p.release()
	p.close(t.Context())
	p.openNow(t.Context(), zap.NewNop())
	if p.ready.Load() != nil {
		t.Error("it is open again")
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("its file was made")
	}
}

// Who tells of what is written begins to look before there is anything to look
// at, and would rest for seconds while the first is written.
func TestACatalogRingsWhenItIsOpen(t *testing.T) {
	p := acquireCatalog(catalog.Config{Driver: "sqlite", Path: filepath.Join(t.TempDir(), "catalog.db")})
	defer p.release()
	rung := p.Rung()
	select {
	case <-rung:
		t.Fatal("it has rung before")
	default:
	}
	if err := p.open(t.Context(), zap.NewNop()); err != nil {
		t.Fatal(err)
	}
	select {
	case <-rung:
	default:
		t.Error("it has not rung")
	}
	select {
	case <-p.Rung():
		t.Error("it rings without end")
	default:
	}
	p.close(t.Context())
}

// It may also be closed while it is being opened.
func TestACatalogThatIsClosedMeanwhileIsLetGo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	p := acquireCatalog(catalog.Config{Driver: "sqlite", Path: path})
	defer p.release()
	db, err := catalog.Open(t.Context(), p.cfg)
	if err != nil {
		t.Fatal(err)
	}
	p.close(t.Context())
	if err := p.publish(t.Context(), db); err == nil || p.ready.Load() != nil {
		t.Errorf("it is in use, %v", err)
	}
	again, err := catalog.Open(t.Context(), p.cfg)
	if err != nil {
		t.Fatalf("it is still locked: %v", err)
	}
	_ = again.Close()
}

// A timer that has fired cannot be stopped: what it does may come when the catalog
// was taken up again, and let go of again.
func TestALingerThatWasEndedClosesNoCatalog(t *testing.T) {
	p := acquireCatalog(catalog.Config{Driver: "sqlite", Path: filepath.Join(t.TempDir(), "catalog.db")})
	p.release()
	ended := p.lingers
	if acquireCatalog(p.cfg) != p {
		t.Fatal("it did not linger")
	}
	p.release()
	p.expire(ended)
	again := acquireCatalog(p.cfg)
	defer again.release()
	if again != p || p.ctx.Err() != nil {
		t.Error("it was closed as soon as it was let go of")
	}
}
