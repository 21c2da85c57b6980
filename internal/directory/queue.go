// This file holds which rows are read in the background. The lock is held
// throughout.

package directory

// background bounds the reads of the queue at once.
const background = 4

// pump begins the next reads of the queue. Integrations go first: no request
// can read them itself.
func (d *Directory) pump() {
	for d.flying < background && d.outage.Load() == nil && !d.closed {
		k, ok := d.urgent.pop()
		if !ok {
			k, ok = d.casual.pop()
		}
		if !ok {
			return
		}
		if k.id != "" {
			if c := d.held(k); c == nil || !c.changed.Load() { // gone, or read for a request
				continue
			}
		}
		if d.flights[k] != nil { // it reads what was last
			continue
		}
		d.begin(k, true)
		d.flying++
	}
}

// unread notes that reading k has failed. It is tried again with the next good
// beat of the pulse, by [Directory.retry].
func (d *Directory) unread(k key) {
	if k.id == "" || d.held(k) != nil {
		d.failed.push(k)
	}
	d.suspect()
}

// retry puts what failed back into the queue.
func (d *Directory) retry() {
	for {
		k, ok := d.failed.pop()
		if !ok {
			break
		}
		if k.id == "" {
			d.urgent.push(k)
		} else {
			d.casual.push(k)
		}
	}
	d.pump()
}

// fifo is a queue in which each key stands once. The zero value is empty.
type fifo struct {
	keys []key
	in   map[key]struct{}
}

func (q *fifo) push(k key) {
	if _, ok := q.in[k]; ok {
		return
	}
	if q.in == nil {
		q.in = map[key]struct{}{}
	}
	q.in[k] = struct{}{}
	q.keys = append(q.keys, k)
}

func (q *fifo) pop() (key, bool) {
	if len(q.keys) == 0 {
		*q = fifo{} // gives the memory of a long queue back
		return key{}, false
	}
	k := q.keys[0]
	q.keys[0] = key{}
	q.keys = q.keys[1:]
	delete(q.in, k)
	return k, true
}
