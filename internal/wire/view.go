// Package wire reads and writes DNS messages (RFC 1035 §4, RFC 6891) in place.
//
// A [View] reads a message without copying or allocating; a [Builder] writes
// one into a buffer of the caller's. Neither interprets: what a record means is
// the business of rrset and of those above.
package wire

import (
	"encoding/binary"
	"errors"
)

// HeaderLen is the size of a message's header in octets.
const HeaderLen = 12

// MaxMessage is the largest message, in octets: the TCP length field's limit.
const MaxMessage = 65535

// Section numbers the parts of a message.
type Section uint8

// The sections, in the order of the message.
const (
	QuestionSection Section = iota
	AnswerSection
	AuthoritySection
	AdditionalSection
)

func (s Section) String() string {
	return [...]string{"question", "answer", "authority", "additional"}[s&3]
}

// Errors of reading.
var (
	ErrShort       = errors.New("message shorter than it says")
	ErrLong        = errors.New("message longer than 65535 octets")
	ErrName        = errors.New("name longer than 255 octets")
	ErrPointer     = errors.New("compression pointer that does not lead back, or one too many")
	ErrTwoOPT      = errors.New("more than one OPT record")
	ErrOPT         = errors.New("malformed OPT record")
	ErrRdata       = errors.New("malformed rdata")
	errBadLabelLen = errors.New("label of a reserved kind")
)

// Bits of the header's second word.
const (
	bitQR = 1 << 15
	bitAA = 1 << 10
	bitTC = 1 << 9
	bitRD = 1 << 8
	bitRA = 1 << 7
	bitAD = 1 << 5
	bitCD = 1 << 4
)

// View reads a message in place. It aliases the buffer it was made of and is
// valid while that buffer is unchanged. Copy it freely; it holds no memory.
type View struct {
	msg       []byte
	questions uint16 // offset behind the question section; 0 when it did not parse
	qname     uint16 // length of the first question's name, 0 without a question
	opt       uint16 // offset of the OPT record's fixed part (type field), 0 without one
	end       uint16 // offset behind the last record
}

// ReadHeader makes a View of which only the header methods may be used: enough
// to tell FORMERR to a client whose message Read refuses. It needs 12 octets.
func ReadHeader(msg []byte) (View, error) {
	if len(msg) < HeaderLen {
		return View{}, ErrShort
	}
	return View{msg: msg}, nil
}

// Read checks the structure of a whole message: every record lies inside,
// names are well formed where they stand, compression pointers lead back, there
// is at most one OPT and it is well formed. What a pointer leads to, and data,
// are checked when they are read.
//
// Octets behind the last record are tolerated, as BIND and Unbound do: some
// servers and middleboxes pad what they send, nothing here ever looks there,
// and to refuse would turn an answer into a failure. See [View.Trailing].
func Read(msg []byte) (View, error) {
	v, err := ReadHeader(msg)
	if err != nil {
		return v, err
	}
	if len(msg) > MaxMessage {
		return v, ErrLong
	}
	if err := v.readQuestions(); err != nil {
		return v, err
	}
	if v.bare() {
		return v, nil
	}
	return v, v.walk()
}

// bare takes in what nearly every query has behind its question: nothing, or an
// OPT record. False leaves the message to walk, a malformed one too.
func (v *View) bare() bool {
	msg, off := v.msg, int(v.questions)
	switch binary.BigEndian.Uint64(msg[4:]) & (1<<48 - 1) { // the counts of records
	case 0:
		v.end = uint16(off)
		return true
	case 1:
		const fixed = 11 // the root's name and what stands before the options
		if len(msg) < off+fixed || msg[off] != 0 || Type(binary.BigEndian.Uint16(msg[off+1:])) != TypeOPT {
			return false
		}
		end := off + fixed + int(binary.BigEndian.Uint16(msg[off+fixed-2:]))
		if end > len(msg) || !validOptions(msg[off+fixed:end]) {
			return false
		}
		v.opt, v.end = uint16(off+1), uint16(end)
		return true
	}
	return false
}

// readQuestions finds the end of the question section and the first name,
// which no pointer can be part of: there is nothing before it to lead to.
func (v *View) readQuestions() error {
	off := HeaderLen
	for i := range v.Count(QuestionSection) {
		end, err := skipName(v.msg, off)
		if err != nil {
			return err
		}
		if end+4 > len(v.msg) {
			return ErrShort
		}
		if i == 0 {
			v.qname = uint16(end - off)
		}
		off = end + 4
	}
	v.questions = uint16(off)
	return nil
}

// walk checks every record and notes where the OPT record is.
func (v *View) walk() error {
	c := v.Records()
	for c.Next() {
		r := &c.rec
		if r.Type != TypeOPT {
			continue
		}
		if v.opt != 0 {
			return ErrTwoOPT
		}
		// RFC 6891 §6.1.2: the owner is the root; options fill the rdata.
		if r.Section != AdditionalSection || v.msg[r.name] != 0 || !validOptions(r.Rdata()) {
			return ErrOPT
		}
		v.opt = uint16(r.name + 1)
	}
	v.end = uint16(c.off)
	return c.err
}

// Bytes is the message.
func (v View) Bytes() []byte { return v.msg }

func (v View) flags() uint16 { return binary.BigEndian.Uint16(v.msg[2:]) }

// ID is the message's identifier.
func (v View) ID() uint16 { return binary.BigEndian.Uint16(v.msg) }

// IsResponse is the QR bit; the other one-bit methods are named likewise.
func (v View) IsResponse() bool { return v.flags()&bitQR != 0 }

// AA is the authoritative-answer bit.
func (v View) AA() bool { return v.flags()&bitAA != 0 }

// TC is the truncation bit.
func (v View) TC() bool { return v.flags()&bitTC != 0 }

// RD is the recursion-desired bit.
func (v View) RD() bool { return v.flags()&bitRD != 0 }

// RA is the recursion-available bit.
func (v View) RA() bool { return v.flags()&bitRA != 0 }

// AD is the authentic-data bit.
func (v View) AD() bool { return v.flags()&bitAD != 0 }

// CD is the checking-disabled bit.
func (v View) CD() bool { return v.flags()&bitCD != 0 }

// Opcode is the kind of message.
func (v View) Opcode() Opcode { return Opcode(v.flags() >> 11 & 15) }

// Rcode is the response code, with the high bits of the OPT record if any.
func (v View) Rcode() Rcode {
	low := Rcode(v.flags() & 15)
	if v.opt != 0 {
		low |= Rcode(v.msg[v.opt+4]) << 4
	}
	return low
}

// Count is how many entries the header says a section has.
func (v View) Count(s Section) int {
	return int(binary.BigEndian.Uint16(v.msg[4+2*int(s&3):]))
}

// Question is the first entry of the question section. Name aliases the
// message: uncompressed wire form in the sender's case.
type Question struct {
	Name  []byte
	Type  Type
	Class Class
}

// Trailing is how many octets stand behind the last record: not part of the
// message, 0 in most.
func (v View) Trailing() int { return len(v.msg) - int(v.end) }

// Question gives the question, false unless there is exactly one.
func (v View) Question() (Question, bool) {
	if v.qname == 0 || v.Count(QuestionSection) != 1 {
		return Question{}, false
	}
	end := HeaderLen + int(v.qname)
	return Question{
		Name:  v.msg[HeaderLen:end],
		Type:  Type(binary.BigEndian.Uint16(v.msg[end:])),
		Class: Class(binary.BigEndian.Uint16(v.msg[end+2:])),
	}, true
}
