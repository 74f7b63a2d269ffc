package rootzone

import (
	"bytes"
	"errors"
	"fmt"

	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// Errors that callers tell apart.
var (
	// ErrSame: the source has the serial that is held.
	ErrSame = errors.New("the source has the same serial")
	// ErrOlder: what the source has is older (RFC 1982), and is not taken.
	ErrOlder = errors.New("the source has an older serial")
	// ErrDifference: differences do not fit what is held. The whole zone is wanted.
	ErrDifference = errors.New("the differences do not fit")
)

// AppendRequest appends the query for a zone transfer: of the whole (RFC 5936
// §2.1), or of what changed since the zone that is held (RFC 1995 §3).
func AppendRequest(dst []byte, id uint16, have *Data) []byte {
	var b wire.Builder
	b.Reset(dst, wire.MaxMessage, wire.Header{ID: id})
	if have == nil {
		b.Question(dnsname.Root, wire.TypeAXFR, wire.ClassIN)
		return b.Bytes()
	}
	b.Question(have.origin, wire.TypeIXFR, wire.ClassIN)
	apex, _ := have.at(have.origin)
	soa, _ := apex.set(wire.TypeSOA)
	b.Record(wire.AuthoritySection, soa.Name, soa.Type, wire.ClassIN, soa.TTL, soa.Data.First())
	return b.Bytes()
}

// Transfer reads the messages of a zone transfer. It is for one goroutine. That
// the messages belong to the query, by id and connection, is the caller's to see.
type Transfer struct {
	have  *Data // nil: the whole zone was asked for
	whole loader
	diff  *difference // nil: the reply is the whole zone
	first []byte      // the SOA record that the reply begins and ends with
	want  soa
	read  int // records
	state phase
	buf   []byte // of one record's data
}

// phase is what the next record may be.
type phase uint8

const (
	atStart  phase = iota
	atSecond       // the old SOA record, a record of the whole zone, or the end
	inWhole
	inDeletions
	inAdditions
	finished
)

// NewTransfer begins one. With have it is incremental, though a server may send
// the whole zone all the same.
func NewTransfer(have *Data) *Transfer {
	t := &Transfer{have: have, whole: loader{origin: dnsname.Root}}
	if have != nil {
		t.whole.origin = have.origin
	}
	return t
}

var (
	errReply    = errors.New("not a reply to the request for a transfer")
	errTrailing = errors.New("records behind the end of the transfer")
	errStart    = errors.New("the transfer does not begin with the zone's SOA record")
	errShort    = errors.New("the transfer is not complete")
)

// Add reads one message and tells whether it was the last. The view is not kept.
// An incremental transfer ends with ErrSame or ErrOlder as soon as the serial is
// known, when there is nothing newer to have (RFC 1995 §2).
func (t *Transfer) Add(v wire.View) (done bool, err error) {
	switch {
	case !v.IsResponse() || v.Opcode() != wire.OpcodeQuery:
		return false, errReply
	case v.Rcode() != wire.RcodeNoError:
		return false, fmt.Errorf("the transfer was answered with %s", v.Rcode())
	case v.TC(): // RFC 5936 §2.2
		return false, fmt.Errorf("%w: it is truncated", errReply)
	}
	if q, ok := v.Question(); ok && (string(q.Name) != string(t.whole.origin) || q.Type != t.asked() || q.Class != wire.ClassIN) {
		return false, errReply
	}
	before := t.read
	for c := v.Records(); c.Next(); {
		r := c.Record()
		if r.Section != wire.AnswerSection {
			break
		}
		if err := t.record(r); err != nil {
			return false, err
		}
	}
	if t.read == before { // it could go on for ever
		return false, fmt.Errorf("%w: a message has no records", errShort)
	}
	return t.state == finished, nil
}

func (t *Transfer) asked() wire.Type {
	if t.have != nil {
		return wire.TypeIXFR
	}
	return wire.TypeAXFR
}

// compare tells how a serial stands to the one that is held (RFC 1982 §3.2).
func compare(serial, held uint32) error {
	switch {
	case serial == held:
		return ErrSame
	case !Newer(serial, held):
		return ErrOlder
	}
	return nil
}

// Newer tells whether serial a is later than b (RFC 1982 §3.2): false where that
// is not defined.
func Newer(a, b uint32) bool { return int32(a-b) > 0 }

// record takes the next record of the answer.
func (t *Transfer) record(in wire.Record) error {
	if t.read++; t.read > 2*MaxRecords {
		return errManyRecords
	}
	r, err := readRecord(in, t.buf[:0])
	if err != nil {
		return err
	}
	t.buf = r.Data
	isSOA := r.Type == wire.TypeSOA && r.Name == t.whole.origin
	switch t.state {
	case atStart:
		return t.start(r, isSOA)
	case atSecond:
		return t.second(r, isSOA)
	case inWhole:
		if isSOA {
			return t.finish(r)
		}
		return t.whole.add(r)
	case inDeletions, inAdditions:
		return t.change(r, isSOA)
	}
	return errTrailing
}

// readRecord takes a record out of its message. The data is put into buf.
func readRecord(in wire.Record, buf []byte) (Record, error) {
	name, err := in.Name()
	if err != nil {
		return Record{}, err
	}
	if in.Class != wire.ClassIN {
		return Record{}, fmt.Errorf("%s %s: class %s", name, in.Type, in.Class)
	}
	data, err := in.AppendRdata(buf)
	if err != nil {
		return Record{}, fmt.Errorf("%s %s: %w", name, in.Type, err)
	}
	return Record{name, in.Type, in.TTL, data}, nil
}

func (t *Transfer) start(r Record, isSOA bool) error {
	if !isSOA {
		return errStart
	}
	t.want, _ = readSOA(r.Data) // its shape was checked as it was read
	if t.have != nil {
		if err := compare(t.want.serial, t.have.soa.serial); err != nil {
			return err
		}
	}
	t.first = rrset.AppendCanonical(nil, r.Type, r.Data)
	t.state = atSecond
	return t.whole.add(r)
}

// second is where the two kinds of reply part (RFC 1995 §4): differences begin
// with the SOA record of what is held.
func (t *Transfer) second(r Record, isSOA bool) error {
	if !isSOA {
		t.state = inWhole
		return t.whole.add(r)
	}
	old, _ := readSOA(r.Data)
	if t.have == nil || old.serial == t.want.serial {
		return t.finish(r) // a zone of nothing else
	}
	if old.serial != t.have.soa.serial {
		return fmt.Errorf("%w: they are from serial %d, not %d", ErrDifference, old.serial, t.have.soa.serial)
	}
	t.diff, t.state = newDifference(t.have), inDeletions
	return t.diff.remove(r)
}

// change takes a record of the differences: an SOA record begins what is added,
// the next what is removed from there on, and the newest one is the end.
func (t *Transfer) change(r Record, isSOA bool) error {
	switch {
	case !isSOA && t.state == inDeletions:
		return t.diff.remove(r)
	case !isSOA:
		return t.diff.insert(r)
	case t.state == inDeletions:
		t.state = inAdditions
		return t.diff.insert(r)
	case t.diff.soa == t.want.serial:
		return t.finish(r)
	}
	t.state = inDeletions
	return t.diff.remove(r)
}

// finish takes the last record, which is the first one again.
func (t *Transfer) finish(r Record) error {
	if !bytes.Equal(rrset.AppendCanonical(nil, r.Type, r.Data), t.first) {
		return fmt.Errorf("%w: its last SOA record is not its first", errShort)
	}
	t.state = finished
	return nil
}

// Data is the zone that was transferred, once Add said that it is complete.
func (t *Transfer) Data() (*Data, error) {
	switch {
	case t.state != finished:
		return nil, errShort
	case t.diff != nil:
		return t.diff.build(t.first)
	}
	return t.whole.build()
}
