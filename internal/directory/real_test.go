package directory

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/catalog"
	"github.com/apikeyinject/caddy-apikey-inject/internal/pgtest"
	"github.com/apikeyinject/caddy-apikey-inject/internal/secret"
)

// node is one process' catalog and directory.
type node struct {
	*testing.T
	db   *catalog.DB
	dir  *Directory
	told chan Event
}

func newNode(t *testing.T, cfg catalog.Config) *node {
	t.Helper()
	db, err := catalog.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	n := &node{T: t, db: db, told: make(chan Event, 100)}
	n.dir = New(db, Options{Observe: func(e Event) { n.told <- e }})
	n.dir.Start(t.Context())
	t.Cleanup(func() { _ = n.dir.Close(ended(t)) }) // before the database
	if err := n.dir.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return n
}

// soon waits until what is asked for is so; the bound is the product's promise.
func (n *node) soon(what string, so func() bool) {
	n.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(time.Second)
	for !so() {
		select {
		case <-tick.C:
		case <-late:
			n.Fatalf("not within a second: %s", what)
		}
	}
}

func (n *node) connection(id string) (*Connection, error) {
	return n.dir.Connection(n.Context(), "acme", id)
}

func (n *node) must(err error) {
	n.Helper()
	if err != nil {
		n.Fatal(err)
	}
}

// scenario makes, changes and deletes rows on one node, and looks at another.
func scenario(t *testing.T, id string, writer, reader *node) {
	t.Helper()
	ctx := t.Context()
	found := func(origin string) func() bool {
		return func() bool {
			c, err := reader.connection(id)
			return err == nil && c.Origin == origin
		}
	}
	if _, err := reader.connection(id); !errors.Is(err, catalog.ErrNotFound) {
		t.Fatalf("got %v", err)
	}
	i := &catalog.Integration{UniqueKey: "acme", BaseURL: "https://a.example", DisplayName: "Acme"}
	writer.must(writer.db.CreateIntegration(ctx, i))
	row := &catalog.Connection{
		Integration: "acme", ID: id, Origin: "https://a.example", Config: map[string]string{"tenant": "t"},
		Tags: map[string]string{"plan": "pro"}, EndUser: &catalog.EndUser{ID: "u"}, KeyVersion: 1,
	}
	writer.must(writer.db.CreateConnection(ctx, row))
	reader.soon("a connection that was missing is found", found("https://a.example"))
	reader.soon("a new integration is found", func() bool { _, ok := reader.dir.Integration("acme"); return ok })

	c, err := reader.connection(id)
	reader.must(err)
	c.Memo.Store(1)
	row.Origin, i.BaseURL = "https://b.example", "https://b.example"
	writer.must(writer.db.UpdateConnection(ctx, row))
	writer.must(writer.db.UpdateIntegration(ctx, "acme", i))
	reader.soon("a connection has changed", found("https://b.example"))
	reader.soon("an integration has changed", func() bool {
		i, ok := reader.dir.Integration("acme")
		return ok && i.BaseURL == "https://b.example"
	})

	c, err = reader.connection(id)
	reader.must(err)
	if c.Memo.Load() != nil {
		t.Error("the memo outlived the row")
	}
	reader.dir.AuthFailed(c, 1)
	writer.soon("a refusal on another node is in the row", func() bool {
		c, err := writer.connection(id)
		return err == nil && c.AuthFailedVersion == 1
	})
	if e := <-reader.told; e.Kind != ConnectionRefused || e.Sighting.ID != id {
		t.Errorf("told %+v", e)
	}
	reader.soon("and in the row there", func() bool {
		c, err := reader.connection(id)
		return err == nil && c.AuthFailedVersion == 1
	})
	c, err = writer.connection(id)
	writer.must(err)
	writer.dir.AuthAccepted(c, 1)
	reader.soon("so is the end of it", func() bool {
		c, err := reader.connection(id)
		return err == nil && c.AuthFailedVersion == 0
	})

	if e := <-writer.told; e.Kind != ConnectionAccepted || e.Sighting.ID != id {
		t.Errorf("told %+v", e)
	}

	_, err = writer.db.DeleteIntegration(ctx, "acme", 0, true)
	writer.must(err)
	reader.soon("a deleted connection is gone", func() bool {
		_, err := reader.connection(id)
		return errors.Is(err, catalog.ErrNotFound)
	})
	reader.soon("a deleted integration is gone", func() bool { _, ok := reader.dir.Integration("acme"); return !ok })
}

func TestOnSQLite(t *testing.T) {
	n := newNode(t, catalog.Config{Path: filepath.Join(t.TempDir(), "catalog.db")})
	scenario(t, "cust-1", n, n)
}

func TestAChangeOnOneNodeIsSeenByAnotherWithinASecond(t *testing.T) {
	cfg := catalog.Config{Driver: "postgres"}
	url := pgtest.Database(t)
	cfg.URL = secret.New(url + "&application_name=a")
	a := newNode(t, cfg)
	cfg.URL = secret.New(url + "&application_name=b")
	b := newNode(t, cfg)
	scenario(t, "cust-1", a, b)
	scenario(t, "cust-2", b, a)
}

func TestAWriterReadsItsOwnWrite(t *testing.T) {
	n := newNode(t, catalog.Config{Path: filepath.Join(t.TempDir(), "catalog.db")})
	row := &catalog.Connection{Integration: "acme", ID: "cust-1", Origin: "https://0.example"}
	n.must(n.db.CreateConnection(n.Context(), row))
	for i := range 50 {
		row.Origin = "https://" + string(rune('a'+i%26)) + ".example"
		n.must(n.db.UpdateConnection(n.Context(), row))
		n.must(n.dir.Refresh(n.Context(), "acme", "cust-1"))
		c, err := n.connection("cust-1")
		n.must(err)
		if c.Origin != row.Origin || c.Revision != row.Revision {
			t.Fatalf("write %d: got %s of revision %d", i, c.Origin, c.Revision)
		}
	}
	_, err := n.db.DeleteConnection(n.Context(), "acme", "cust-1")
	n.must(err)
	n.must(n.dir.Refresh(n.Context(), "acme", "cust-1"))
	if _, err := n.connection("cust-1"); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestCloseWritesToTheRealCatalog(t *testing.T) {
	n := newNode(t, catalog.Config{Path: filepath.Join(t.TempDir(), "catalog.db")})
	row := &catalog.Connection{Integration: "acme", ID: "cust-1"}
	n.must(n.db.CreateConnection(n.Context(), row))
	c, err := n.connection("cust-1")
	n.must(err)
	n.dir.Used(c)
	n.must(n.dir.Close(n.Context()))
	written, err := n.db.Connection(n.Context(), "acme", "cust-1")
	n.must(err)
	if written.LastUsedAt.IsZero() || !written.LastUsedAt.Equal(c.LastUsed()) {
		t.Errorf("used at %s, want %s", written.LastUsedAt, c.LastUsed())
	}
}
