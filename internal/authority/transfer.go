package authority

import (
	"encoding/binary"
	"slices"

	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/wire"
)

// Bounds of zone transfers.
const (
	keptVersions    = 8       // of a zone, for incremental transfers
	transferMessage = 8 << 10 // octets of one message, so that small zones take several
)

// keep remembers a zone that is replaced by another of a newer serial.
func (st *state) keep(old *Zone) {
	versions := slices.Clone(st.past[old.origin])
	versions = append(versions, old)
	st.past[old.origin] = versions[max(0, len(versions)-keptVersions):]
}

// wantsTransfer tells whether the question is for a zone transfer that is given.
func (r *request) wantsTransfer() bool {
	t := r.question.Type
	return r.server.options.Transfers && r.transport == event.TCP && (t == wire.TypeAXFR || t == wire.TypeIXFR) && r.name == r.zone.origin
}

// transfer writes a zone transfer (RFC 5936, RFC 1995): the first message behind
// dst, the others into r.more.
func (r *request) transfer(dst []byte) []byte {
	var b wire.Builder
	into, first := dst, true
	for rest := r.transferred(); len(rest) > 0; into, first = nil, false {
		b.Reset(into, transferMessage, wire.Header{ID: r.ID(), Response: true, AA: true})
		b.Question(r.name, r.question.Type, r.question.Class)
		fits := 0
		for _, rec := range rest {
			mark := b.Mark()
			if !b.Record(wire.AnswerSection, rec.Name, rec.Type, wire.ClassIN, rec.TTL, rec.Data) {
				b.Rewind(mark)
				if fits > 0 {
					break
				}
				b.Limit(wire.MaxMessage) // one record that is larger than the others
				b.Record(wire.AnswerSection, rec.Name, rec.Type, wire.ClassIN, rec.TTL, rec.Data)
			}
			fits++
		}
		if rest = rest[fits:]; first {
			dst = b.Bytes()
		} else {
			r.more = append(r.more, b.Bytes())
		}
	}
	return dst
}

// transferred lists the records of the transfer in order.
func (r *request) transferred() []Record {
	z := r.zone
	soa, others := z.split()
	if have, ok := r.held(); ok {
		if have == z.Serial() {
			return []Record{soa}
		}
		for _, old := range r.server.state.Load().past[z.origin] {
			if old.Serial() == have {
				return difference(old, z)
			}
		}
	}
	return slices.Concat([]Record{soa}, others, []Record{soa})
}

// held is the serial that an incremental transfer starts from.
func (r *request) held() (serial uint32, ok bool) {
	if r.question.Type != wire.TypeIXFR {
		return 0, false
	}
	for c := r.Records(); c.Next(); {
		rec := c.Record()
		if rec.Section != wire.AuthoritySection || rec.Type != wire.TypeSOA {
			continue
		}
		data, err := rec.AppendRdata(nil)
		if err != nil || len(data) < 20 {
			return 0, false
		}
		return binary.BigEndian.Uint32(data[len(data)-20:]), true
	}
	return 0, false
}

// split gives the zone's SOA record and all others.
func (z *Zone) split() (soa Record, others []Record) {
	for _, rec := range z.records {
		if rec.Type == wire.TypeSOA && rec.Name == z.origin {
			soa = rec
		} else {
			others = append(others, rec)
		}
	}
	return soa, others
}

// recordKey is what makes a record that record.
type recordKey struct {
	name dnsname.Name
	t    wire.Type
	ttl  uint32
	data string
}

func keysOf(records []Record) map[recordKey]bool {
	keys := make(map[recordKey]bool, len(records))
	for _, rec := range records {
		keys[rec.key()] = true
	}
	return keys
}

func (r Record) key() recordKey { return recordKey{r.Name, r.Type, r.TTL, string(r.Data)} }

// difference lists what leads from one version of a zone to another (RFC 1995 §4).
func difference(from, to *Zone) []Record {
	oldSOA, before := from.split()
	newSOA, after := to.split()
	had, has := keysOf(before), keysOf(after)
	list := []Record{newSOA, oldSOA}
	for _, rec := range before {
		if !has[rec.key()] {
			list = append(list, rec)
		}
	}
	list = append(list, newSOA)
	for _, rec := range after {
		if !had[rec.key()] {
			list = append(list, rec)
		}
	}
	return append(list, newSOA)
}
