// This file holds what a status page may know.

package directory

// Status is the state of a directory.
type Status struct {
	// Loaded says that the integrations were loaded once.
	Loaded bool

	// Outage says since when the catalog is away, and why. Nil: it is there.
	Outage *Outage

	// Integrations and Connections are how many are held, Changed how many of
	// the connections are still to be read again, and Unknown how many ids are
	// remembered as unknown.
	Integrations, Connections, Changed, Unknown int

	// Unwritten is how many notes are still to be written down, Dropped how
	// many never will be: too many were waiting.
	Unwritten int
	Dropped   uint64
}

// Status returns the state of the directory.
func (d *Directory) Status() Status {
	s := Status{Loaded: d.Loaded(), Outage: d.outage.Load(), Integrations: len(*d.integrations.Load())}
	d.mu.Lock()
	s.Connections, s.Unknown = len(d.ring), len(d.unknown.ends)
	for _, slot := range d.ring {
		if slot.row.changed.Load() {
			s.Changed++
		}
	}
	d.mu.Unlock()
	d.notes.mu.Lock()
	defer d.notes.mu.Unlock()
	s.Unwritten, s.Dropped = len(d.notes.uses)+len(d.notes.verdicts), d.notes.dropped
	return s
}

// Integrations yields the integrations that are held, in no order.
func (d *Directory) Integrations(yield func(*Integration) bool) {
	for _, i := range *d.integrations.Load() {
		if !yield(i) {
			return
		}
	}
}

// All yields the connections that are held, in no order. Such as come or go
// meanwhile may be missed, or yielded although they are gone. It is no use of
// them.
func (d *Directory) All(yield func(*Connection) bool) {
	d.connections.Range(func(_, c any) bool { return yield(c.(*Connection)) })
}
