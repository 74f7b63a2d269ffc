package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"lastgood/internal/dnsname"
)

// message puts a header with these counts before parts of a message.
func message(qd, an, ns, ar uint16, parts ...string) []byte {
	b := []byte{0x12, 0x34, 0x01, 0x00}
	for _, n := range []uint16{qd, an, ns, ar} {
		b = binary.BigEndian.AppendUint16(b, n)
	}
	return append(b, strings.Join(parts, "")...)
}

// record is a record in wire form; owner is in wire form too.
func record(owner string, t Type, rdata string) string {
	b := binary.BigEndian.AppendUint16([]byte(owner), uint16(t))
	b = append(b, 0, 1, 0, 0, 0, 5)
	return string(binary.BigEndian.AppendUint16(b, uint16(len(rdata)))) + rdata
}

const (
	question = "\x03www\x07example\x00\x00\x01\x00\x01"
	www      = "\xc0\x0c" // a pointer to the question's name
)

func TestReadRefuses(t *testing.T) {
	long := strings.Repeat("\x3f"+strings.Repeat("a", 63), 3)
	for _, tc := range []struct {
		why string
		msg []byte
		err error
	}{
		{"empty", nil, ErrShort},
		{"11 octets", make([]byte, 11), ErrShort},
		{"65536 octets", make([]byte, 65536), ErrLong},
		{"no question where one is counted", message(1, 0, 0, 0), ErrShort},
		{"question cut in its name", message(1, 0, 0, 0, "\x03ww"), ErrShort},
		{"question cut before its class", message(1, 0, 0, 0, "\x03www\x00\x00\x01\x00"), ErrShort},
		{"question's name a pointer to itself", message(1, 0, 0, 0, "\xc0\x0c\x00\x01\x00\x01"), ErrPointer},
		{"question's name a pointer into the header", message(1, 0, 0, 0, "\x01a\xc0\x00\x00\x01\x00\x01"), ErrPointer},
		{"question's name a pointer ahead", message(1, 0, 0, 0, "\xc0\x10\x00\x01\x00\x01\x00"), ErrPointer},
		{"label of kind 01", message(1, 0, 0, 0, "\x41"+strings.Repeat("a", 65)+"\x00\x00\x01\x00\x01"), errBadLabelLen},
		{"label of kind 10", message(1, 0, 0, 0, "\x80\x00\x00\x01\x00\x01"), errBadLabelLen},
		{"name of 256 octets", message(1, 0, 0, 0, long+"\x3e"+strings.Repeat("a", 62)+"\x00\x00\x01\x00\x01"), ErrName},
		{"record cut in its name", message(1, 1, 0, 0, question, "\xc0"), ErrShort},
		{"record cut in its fixed part", message(1, 1, 0, 0, question, www, "\x00\x01\x00\x01\x00\x00\x00\x05\x00"), ErrShort},
		{"record cut in its data", message(1, 1, 0, 0, question, www, "\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04abc"), ErrShort},
		{"fewer records than counted", message(1, 2, 0, 0, question, record(www, TypeA, "abcd")), ErrShort},
		{"two OPT", message(1, 0, 0, 2, question, record("\x00", TypeOPT, ""), record("\x00", TypeOPT, "")), ErrTwoOPT},
		{"OPT with an owner", message(1, 0, 0, 1, question, record(www, TypeOPT, "")), ErrOPT},
		{"OPT in the answer", message(1, 1, 0, 0, question, record("\x00", TypeOPT, "")), ErrOPT},
		{"option header cut", message(1, 0, 0, 1, question, record("\x00", TypeOPT, "\x00\x0a\x00")), ErrOPT},
		{"option longer than its record", message(1, 0, 0, 1, question, record("\x00", TypeOPT, "\x00\x0a\x00\x02x")), ErrOPT},
	} {
		v, err := Read(tc.msg)
		if !errors.Is(err, tc.err) {
			t.Errorf("%s: %v, want %v", tc.why, err, tc.err)
		}
		if len(tc.msg) >= HeaderLen && v.ID() != binary.BigEndian.Uint16(tc.msg) {
			t.Errorf("%s: the header cannot be read", tc.why)
		}
		if len(tc.msg) >= HeaderLen {
			walkAll(t, v)
		}
	}
}

func TestReadAccepts(t *testing.T) {
	longest := strings.Repeat("\x3f"+strings.Repeat("a", 63), 3) + "\x3d" + strings.Repeat("a", 61) + "\x00"
	for _, tc := range []struct {
		why string
		msg []byte
	}{
		{"a header alone", message(0, 0, 0, 0)},
		{"name of 255 octets", message(1, 0, 0, 0, longest, "\x00\x01\x00\x01")},
		{"question for the root", message(1, 0, 0, 0, "\x00\x00\x02\x00\x01")},
		{"empty options", message(1, 0, 0, 1, question, record("\x00", TypeOPT, "\xff\xff\x00\x00\x00\x0a\x00\x00"))},
		{"empty data", message(1, 1, 0, 0, question, record(www, TypeNULL, ""))},
	} {
		if v, err := Read(tc.msg); err != nil || v.Trailing() != 0 {
			t.Errorf("%s: %v, %d octets left", tc.why, err, v.Trailing())
		}
	}
}

func TestTrailing(t *testing.T) {
	v, err := Read(message(1, 1, 0, 0, question, record(www, TypeA, "abcd"), "padding"))
	if err != nil || v.Trailing() != 7 {
		t.Errorf("%v, %d octets behind the message", err, v.Trailing())
	}
	if n := len(walkAll(t, v)); n != 1 {
		t.Errorf("%d records", n)
	}
}

func TestQuestion(t *testing.T) {
	v, err := Read(message(1, 0, 0, 0, "\x03WwW\x07example\x00\x00\x1c\x00\x03"))
	q, ok := v.Question()
	if err != nil || !ok || string(q.Name) != "\x03WwW\x07example\x00" || q.Type != TypeAAAA || q.Class != ClassCH {
		t.Errorf("%v, %v, %v", q, ok, err)
	}
	for _, msg := range [][]byte{message(0, 0, 0, 0), message(2, 0, 0, 0, question, question), message(2, 0, 0, 0, question, www+"\x00\x01\x00\x01")} {
		if v, err := Read(msg); err != nil {
			t.Error(err)
		} else if q, ok := v.Question(); ok {
			t.Errorf("%d questions: %v", v.Count(QuestionSection), q)
		}
	}
}

func TestHeader(t *testing.T) {
	v, _ := ReadHeader([]byte{0xab, 0xcd, 0xff, 0xff, 0, 1, 0, 2, 0, 3, 0, 4, 9})
	if v.ID() != 0xabcd || v.Opcode() != 15 || v.Rcode() != 15 || v.Count(AdditionalSection) != 4 || v.Count(QuestionSection) != 1 {
		t.Errorf("%v %v %v", v.ID(), v.Opcode(), v.Rcode())
	}
	bits := []func(View) bool{View.IsResponse, View.AA, View.TC, View.RD, View.RA, View.AD, View.CD}
	for i, word := range []uint16{1 << 15, 1 << 10, 1 << 9, 1 << 8, 1 << 7, 1 << 5, 1 << 4} {
		v, _ := ReadHeader(binary.BigEndian.AppendUint16([]byte{0, 0}, word))
		if v.msg != nil {
			t.Fatal("4 octets are a header")
		}
		v, _ = ReadHeader(append(binary.BigEndian.AppendUint16([]byte{0, 0}, word), make([]byte, 8)...))
		for j, bit := range bits {
			if bit(v) != (i == j) {
				t.Errorf("flags %04x: bit %d is %v", word, j, bit(v))
			}
		}
	}
}

// walkAll reads everything that a View gives, and returns owner and data of
// each record that could be read.
func walkAll(t testing.TB, v View) []string {
	t.Helper()
	var out []string
	if q, ok := v.Question(); ok && dnsname.WireLen(q.Name) != len(q.Name) {
		t.Fatalf("question's name is %x", q.Name)
	}
	if e, ok := v.EDNS(); ok {
		for _, data := range e.All() {
			_, _, _ = ReadEDE(data)
		}
	}
	_ = v.Rcode()
	for c := v.Records(); c.Next(); {
		r := c.Record()
		owner, err := r.Name()
		if err == nil && dnsname.WireLen([]byte(owner)) != len(owner) {
			t.Fatalf("owner is %x", string(owner))
		}
		rdata, err2 := r.AppendRdata(nil)
		if err2 == nil {
			if err := CheckRdata(r.Type, rdata); err != nil {
				t.Fatalf("%v %x: %v", r.Type, rdata, err)
			}
		}
		if err == nil && err2 == nil {
			out = append(out, string(owner)+" "+string(rdata))
		}
	}
	return out
}

// TestPrefixes cuts messages at every octet: each part is refused or safe.
func TestPrefixes(t *testing.T) {
	samples := sampleRecords(t)
	r := rand.New(rand.NewPCG(11, 12))
	for range 40 {
		_, packed := randomMessage(t, r, samples)
		for n := range packed {
			part := slices.Clip(bytes.Clone(packed[:n]))
			v, err := Read(part)
			if err == nil {
				t.Fatalf("%d of %d octets are a message", n, len(packed))
			}
			if n >= HeaderLen {
				walkAll(t, v)
			}
		}
	}
}

// TestCorrupted changes octets of messages: what is still read is safe to walk.
func TestCorrupted(t *testing.T) {
	samples := sampleRecords(t)
	r := rand.New(rand.NewPCG(13, 14))
	for range 800 {
		_, packed := randomMessage(t, r, samples)
		for range 1 + r.IntN(4) {
			packed[r.IntN(len(packed))] = byte(r.Uint32())
		}
		v, _ := Read(packed)
		walkAll(t, v)
	}
}

func TestAppendName(t *testing.T) {
	for _, tc := range []struct {
		why, body string // behind a header of 12 octets
		off       int
		want      string
		end       int
		err       error
	}{
		{"plain", "\x03www\x00", 12, "\x03www\x00", 17, nil},
		{"root", "\x00", 12, "\x00", 13, nil},
		{"pointer", "\x03WWW\x00\x01a\xc0\x0c", 17, "\x01a\x03WWW\x00", 21, nil},
		{"pointer to a pointer", "\x01b\x00\xc0\x0c\xc0\x0f", 17, "\x01b\x00", 19, nil},
		{"pointer to itself", "\x00\xc0\x0d", 13, "", 0, ErrPointer},
		{"pointer ahead", "\xc0\x0e\x00", 12, "", 0, ErrPointer},
		{"two pointers to each other", "\xc0\x0e\xc0\x0c", 14, "", 0, ErrPointer},
		{"loop with a label", "\x01a\xc0\x0c", 12, "", 0, ErrPointer},
		{"pointer into the header", "\xc0\x04", 12, "", 0, ErrPointer},
		{"half a pointer", "\xc0", 12, "", 0, ErrShort},
		{"label sticks out", "\x05abc", 12, "", 0, ErrShort},
		{"no end", "\x01a", 12, "", 0, ErrShort},
		{"reserved label", "\x80a", 12, "", 0, errBadLabelLen},
		{"behind the message", "\x00", 13, "", 0, ErrShort},
	} {
		got, end, err := AppendName([]byte("x"), append(make([]byte, 12), tc.body...), tc.off)
		if string(got) != "x"+tc.want || end != tc.end || !errors.Is(err, tc.err) {
			t.Errorf("%s: %q, %d, %v", tc.why, got, end, err)
		}
	}
}

// TestNameLength joins labels by pointers to names of 255 and 256 octets.
func TestNameLength(t *testing.T) {
	for last, want := range map[int]error{61: nil, 62: ErrName} {
		msg := make([]byte, 12)
		label := "\x3f" + strings.Repeat("a", 63)
		msg = append(msg, string([]byte{byte(last)})+strings.Repeat("b", last)+"\x00"...)
		at := 12
		for range 3 {
			next := len(msg)
			msg = append(msg, label+string([]byte{0xc0, byte(at)})...)
			at = next
		}
		name, _, err := AppendName(nil, msg, at)
		if !errors.Is(err, want) || err == nil && len(name) != 255 {
			t.Errorf("%d octets, %v; want %v", len(name), err, want)
		}
	}
}

// TestPointerChain bounds how often a name may jump, whatever it gathers.
func TestPointerChain(t *testing.T) {
	for jumps, want := range map[int]error{maxPointers: nil, maxPointers + 1: ErrPointer} {
		msg := append(make([]byte, 12), 0)
		at := 12
		for range jumps {
			next := len(msg)
			msg = append(msg, 0xc0|byte(at>>8), byte(at))
			at = next
		}
		if _, _, err := AppendName(nil, msg, at); !errors.Is(err, want) {
			t.Errorf("%d jumps: %v", jumps, err)
		}
	}
}

func TestRecord(t *testing.T) {
	v, err := Read(message(1, 1, 1, 1, question, record(www, TypeMX, "\x00\x0a\x04MAIL\xc0\x10"),
		record("\xc0\x10", TypeNS, "\xc0\xff"), record("\x01b\xc0\x10", 65280, www)))
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		s     Section
		name  string
		rdata string
	}{
		{AnswerSection, "www.example.", "000a044d41494c076578616d706c6500"},
		{AuthoritySection, "example.", ""}, // its data leads ahead
		{AdditionalSection, "b.example.", "c00c"},
	}
	c := v.Records()
	for _, w := range want {
		if !c.Next() {
			t.Fatal("too few records")
		}
		r := c.Record()
		name, err := r.Name()
		if err != nil || r.Section != w.s || name != dnsname.MustParse(w.name) || r.TTL != 5 || r.Class != ClassIN {
			t.Errorf("%v %v %d %v, %v", r.Section, name, r.TTL, r.Class, err)
		}
		if got, err := r.AppendRdata(nil); hex.EncodeToString(got) != w.rdata || (err == nil) != (w.rdata != "") {
			t.Errorf("%v: data %x, %v", name, got, err)
		}
	}
	if c.Next() {
		t.Error("too many records")
	}
	if AnswerSection.String() != "answer" || AdditionalSection.String() != "additional" {
		t.Error("sections have the wrong names")
	}
}
