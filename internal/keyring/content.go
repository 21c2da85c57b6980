// What one version of a document gave, and how one follows another.

package keyring

import (
	"crypto/subtle"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/apikeyinject/caddy-apikey-inject/internal/store"
)

// field is one field of a document. The empty name is the default field.
type field struct {
	name  string
	key   *Key        // nil: there never was a usable value
	bad   *fault      // the newest document has no usable value here
	asked atomic.Bool // by a request, through Entry.Key
}

// fault says why and since when a field's newest value cannot be used.
type fault struct {
	err   *store.InvalidError
	since int64
}

// content is what one version of a document gave.
type content struct {
	version int
	created time.Time
	expires time.Time // zero: the document does not say
	fields  []field
	told    atomic.Pointer[told] // nil until a field is asked for in vain
	ageTold atomic.Int32         // how far it has come to its end, as told last
	_       apart
}

func (c *content) find(name string) *field {
	if c == nil {
		return nil
	}
	for i := range c.fields {
		if c.fields[i].name == name {
			return &c.fields[i]
		}
	}
	return nil
}

// missing is the error of a field that the document does not have.
func (c *content) missing(name string) *store.InvalidError {
	names := make([]string, 0, len(c.fields))
	for i := range c.fields {
		if n := c.fields[i].name; n != "" {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	if len(names) > 8 {
		names = append(names[:8], "…")
	}
	list := "none"
	if len(names) > 0 {
		list = strings.Join(names, ", ")
	}
	return &store.InvalidError{Field: name, Reason: "is missing; the fields there are " + list}
}

// older reports whether d is an earlier state of the document than c. A deleted
// and recreated document starts at version 1 again, and then only its time
// tells; so a lower version counts when its time is later.
func (c *content) older(d *store.Document) bool {
	known := !c.created.IsZero() && !d.CreatedAt.IsZero()
	if known && d.CreatedAt.After(c.created) {
		return false
	}
	if d.Version < c.version {
		return true
	}
	return d.Version == c.version && known && d.CreatedAt.Before(c.created)
}

// build makes the content of d as it follows old, which may be nil. Faulty lists
// the fields whose good value is kept although d has none, when d is the first
// to lack it.
func build(d *store.Document, old *content, now int64, at time.Time) (c *content, faulty []*store.InvalidError) {
	names := make([]string, 0, len(d.Fields)+2)
	names = append(names, "") // first: it is the one most asked for
	for n := range d.Fields {
		names = append(names, n)
	}
	if old != nil {
		for i := range old.fields {
			f := &old.fields[i]
			// A field that nobody reads may leave; `previous` does when a
			// rotation is over.
			if _, ok := d.Fields[f.name]; !ok && f.name != "" && f.key != nil && f.asked.Load() {
				names = append(names, f.name)
			}
		}
	}
	c = &content{version: d.Version, created: d.CreatedAt, fields: make([]field, len(names))}
	c.expires, _ = d.Expires() // what cannot be read is told when it came: see accept
	def := d.DefaultName()
	for i, n := range names[1:] {
		faulty = fill(&c.fields[i+1], n, d, old, now, at, faulty)
	}
	first := &c.fields[0]
	if f := c.find(def); def != "" && f.key != nil && f.bad == nil {
		first.key = f.key // one Key for both names
		if was := old.find(""); was != nil {
			first.asked.Store(was.asked.Load())
		}
		return c, faulty
	}
	return c, fill(first, "", d, old, now, at, faulty)
}

func fill(f *field, name string, d *store.Document, old *content, now int64, at time.Time, faulty []*store.InvalidError) []*store.InvalidError {
	f.name = name
	was := old.find(name)
	if was != nil {
		f.asked.Store(was.asked.Load())
	}
	v, err := d.Key(name)
	if err == nil {
		f.key = &Key{Value: v, Version: d.Version, FetchedAt: at, CreatedAt: d.CreatedAt}
		if was != nil && was.key.same(f.key) {
			f.key = was.key
		}
		return faulty
	}
	// Document.Key gives no other error.
	f.bad = &fault{err: err.(*store.InvalidError), since: now}
	if was == nil || was.key == nil {
		return faulty
	}
	f.key = was.key
	if was.bad != nil {
		f.bad.since = was.bad.since
		if old.version == d.Version {
			return faulty // said before
		}
	}
	return append(faulty, f.bad.err)
}

// same reports whether two keys are one version with one value. One that was
// learned has no time, which only the store knows.
func (k *Key) same(o *Key) bool {
	if k == nil || k.Version != o.Version {
		return false
	}
	known := !k.CreatedAt.IsZero() && !o.CreatedAt.IsZero()
	return (!known || k.CreatedAt.Equal(o.CreatedAt)) && k.Equal(o)
}

// Equal reports whether both keys have one value.
func (k *Key) Equal(o *Key) bool {
	return k != nil && o != nil &&
		subtle.ConstantTimeCompare([]byte(k.Value.Reveal()), []byte(o.Value.Reveal())) == 1
}

// equal reports whether c says nothing that old does not: the same keys, and
// the same fields at fault.
func (c *content) equal(old *content) bool {
	if c.changed(old) {
		return false
	}
	for i := range c.fields {
		if (c.fields[i].bad == nil) != (old.find(c.fields[i].name).bad == nil) {
			return false
		}
	}
	return true
}

// changed reports whether c is another version or gives any other key than old.
func (c *content) changed(old *content) bool {
	if old == nil || c.version != old.version || len(c.fields) != len(old.fields) {
		return true
	}
	for i := range c.fields {
		was := old.find(c.fields[i].name)
		if was == nil || was.key != c.fields[i].key {
			return true
		}
	}
	return false
}
