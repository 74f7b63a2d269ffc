package rootzone

import (
	"fmt"

	"lastgood/internal/wire"
)

// difference is a zone that is being changed, record by record, into its next
// version (RFC 1995 §4).
type difference struct {
	rows map[rowKey]row
	soa  uint32 // the serial of the SOA record that was inserted last
	load loader // checks what comes
}

// rowKey is what makes a record that record: not its TTL.
type rowKey struct {
	owner string
	t     wire.Type
	sig   bool
	data  string
}

func (r *row) key() rowKey { return rowKey{string(r.name), r.t, r.sig, string(r.data)} }

func newDifference(have *Data) *difference {
	d := &difference{rows: make(map[rowKey]row, have.records), load: loader{origin: have.origin}}
	for r := range have.Records() {
		next, err := d.load.row(r)
		if err != nil {
			continue // what is held was checked
		}
		d.rows[next.key()] = next
		d.load.size += len(next.data) + 2
	}
	return d
}

func (d *difference) remove(r Record) error {
	next, err := d.load.row(r)
	if err != nil {
		return err
	}
	if _, ok := d.rows[next.key()]; !ok {
		return fmt.Errorf("%w: there is no such %s to remove", ErrDifference, &next)
	}
	delete(d.rows, next.key())
	d.load.size -= len(next.data) + 2
	return nil
}

func (d *difference) insert(r Record) error {
	next, err := d.load.row(r)
	if err != nil {
		return err
	}
	if _, ok := d.rows[next.key()]; ok {
		return fmt.Errorf("%w: that %s to add is there", ErrDifference, &next)
	}
	if len(d.rows) == MaxRecords {
		return errManyRecords
	}
	if d.load.size += len(next.data) + 2; d.load.size > MaxSize {
		return errLarge
	}
	d.rows[next.key()] = next
	if next.t == wire.TypeSOA && !next.sig {
		s, _ := readSOA(next.data)
		d.soa = s.serial
	}
	return nil
}

// build makes the next version, whose SOA record must be the one announced.
func (d *difference) build(soa []byte) (*Data, error) {
	d.load.rows = make([]row, 0, len(d.rows))
	for _, r := range d.rows {
		d.load.rows = append(d.load.rows, r)
	}
	next, err := d.load.build()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDifference, err)
	}
	apex, _ := next.at(next.origin)
	if set, _ := apex.set(wire.TypeSOA); string(set.Data.First()) != string(soa) {
		return nil, fmt.Errorf("%w: they do not lead to the SOA record that was announced", ErrDifference)
	}
	return next, nil
}
