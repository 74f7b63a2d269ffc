package wire

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"lastgood/internal/dnsname"
)

var wwwExample = dnsname.MustParse("www.example.")

// started is a Builder with the question www.example. A.
func started(t testing.TB, limit int) *Builder {
	t.Helper()
	b := new(Builder)
	b.Reset(nil, limit, Header{ID: 1, Response: true})
	if !b.Question(wwwExample, TypeA, ClassIN) {
		t.Fatal("the question does not fit")
	}
	return b
}

func TestHeaderRoundTrip(t *testing.T) {
	for _, h := range []Header{
		{}, {ID: 0xffff}, {Opcode: OpcodeUpdate}, {Response: true}, {AA: true}, {TC: true}, {RD: true}, {RA: true},
		{AD: true}, {CD: true}, {Rcode: RcodeRefused},
	} {
		var b Builder
		b.Reset([]byte("before"), 12, h)
		msg, ok := bytes.CutPrefix(b.Bytes(), []byte("before"))
		v, err := Read(msg)
		got := Header{v.ID(), v.Opcode(), v.IsResponse(), v.AA(), v.TC(), v.RD(), v.RA(), v.AD(), v.CD(), v.Rcode()}
		if err != nil || !ok || got != h || b.Len() != HeaderLen {
			t.Errorf("%v became %v, %v", h, got, err)
		}
	}
}

// TestCompression compares with messages that were written by hand.
func TestCompression(t *testing.T) {
	type rr struct {
		owner string
		t     Type
		rdata string
	}
	for _, tc := range []struct {
		why     string
		records []rr
		want    string // behind the question
	}{
		{"owner is the question", []rr{{"www.example.", TypeA, "abcd"}}, record("\xc0\x0c", TypeA, "abcd")},
		{"parent of the question", []rr{{"example.", TypeA, "abcd"}}, record("\xc0\x10", TypeA, "abcd")},
		{"sibling", []rr{{"ns.example.", TypeA, "abcd"}}, record("\x02ns\xc0\x10", TypeA, "abcd")},
		{"no relative", []rr{{"test.", TypeA, "abcd"}}, record("\x04test\x00", TypeA, "abcd")},
		{"the root", []rr{{".", TypeNS, "\x00"}}, record("\x00", TypeNS, "\x00")},
		{"name in data", []rr{{"www.example.", TypeCNAME, "\x01a\x07example\x00"}}, record("\xc0\x0c", TypeCNAME, "\x01a\xc0\x10")},
		{
			"name from data", []rr{{"www.example.", TypeMX, "\x00\x01\x01m\x01x\x00"}, {"m.x.", TypeA, "abcd"}, {"x.", TypeA, "abcd"}},
			record("\xc0\x0c", TypeMX, "\x00\x01\x01m\x01x\x00") + record("\xc0\x2b", TypeA, "abcd") + record("\xc0\x2d", TypeA, "abcd"),
		},
		{
			"data of a type that must not be compressed", []rr{{"www.example.", TypeSRV, "123456\x07example\x00"}, {"www.example.", TypeDNAME, "\x07example\x00"}},
			record("\xc0\x0c", TypeSRV, "123456\x07example\x00") + record("\xc0\x0c", TypeDNAME, "\x07example\x00"),
		},
		{"another case", []rr{{"EXAMPLE.", TypeA, "abcd"}}, record("\xc0\x10", TypeA, "abcd")},
		{"the case of what is written stays", []rr{{"Ns.EXAMPLE.", TypeA, "abcd"}}, record("\x02Ns\xc0\x10", TypeA, "abcd")},
		{"data that is not of its shape", []rr{{"www.example.", TypeMX, "\x00\x01\x05ab"}}, record("\xc0\x0c", TypeMX, "\x00\x01\x05ab")},
		{"the same labels elsewhere", []rr{{"www.test.", TypeA, "abcd"}}, record("\x03www\x04test\x00", TypeA, "abcd")},
	} {
		b := started(t, 512)
		for _, r := range tc.records {
			if !b.Record(AnswerSection, name(r.owner), r.t, ClassIN, 5, []byte(r.rdata)) {
				t.Fatalf("%s: no room", tc.why)
			}
		}
		if got := string(b.Bytes()[HeaderLen+len(question):]); got != tc.want {
			t.Errorf("%s:\n%q, want\n%q", tc.why, got, tc.want)
		}
	}
}

// name is a name without escapes in wire form that keeps its case.
func name(text string) dnsname.Name {
	if text == "." {
		return dnsname.Root
	}
	var n []byte
	for label := range strings.SplitSeq(text, ".") {
		n = append(append(n, byte(len(label))), label...)
	}
	return dnsname.Name(n)
}

// TestBuilderLimit fills messages to every limit: none is longer, none loses
// what was in it, and the buffer that was given is the one that comes back.
func TestBuilderLimit(t *testing.T) {
	samples := sampleRecords(t)
	r := rand.New(rand.NewPCG(15, 16))
	_, packed := randomMessage(t, r, samples)
	for len(packed) < 900 {
		_, packed = randomMessage(t, r, samples)
	}
	v, err := Read(packed)
	if err != nil {
		t.Fatal(err)
	}
	for limit := HeaderLen; limit < len(packed)+20; limit++ {
		buf := make([]byte, 3, 3+limit)
		var b Builder
		b.Reset(buf, limit, Header{})
		q, _ := v.Question()
		b.Question(dnsname.Alias(q.Name), q.Type, q.Class)
		for c := v.Records(); c.Next(); {
			rec := c.Record()
			owner, _ := rec.AppendName(nil)
			rdata, _ := rec.AppendRdata(nil)
			before := bytes.Clone(b.Bytes())
			if !b.Record(rec.Section, dnsname.Alias(owner), rec.Type, rec.Class, rec.TTL, rdata) && !bytes.Equal(before, b.Bytes()) {
				t.Fatalf("limit %d: a record that does not fit left a trace", limit)
			}
		}
		out := b.Bytes()
		if len(out) > cap(buf) || &out[0] != &buf[0] {
			t.Fatalf("limit %d: the message outgrew its buffer", limit)
		}
		if _, err := Read(out[3:]); err != nil {
			t.Fatalf("limit %d: %v", limit, err)
		}
	}
}

func TestBuilderReserve(t *testing.T) {
	b := started(t, HeaderLen+len(question)+16+11)
	b.Limit(HeaderLen + len(question) + 16)
	if b.Record(AnswerSection, wwwExample, TypeTXT, ClassIN, 5, []byte("\x04long")) {
		t.Error("the reserve was used")
	}
	if !b.Record(AnswerSection, wwwExample, TypeA, ClassIN, 5, []byte("abcd")) || b.OPT(EDNS{}, 0) {
		t.Error("wrong limit")
	}
	b.Limit(b.Len() + 11)
	if !b.OPT(EDNS{UDPSize: 1232, DO: true, Version: 1}, RcodeBadVers) {
		t.Error("the reserve was not given back")
	}
	v, err := Read(b.Bytes())
	e, ok := v.EDNS()
	if err != nil || !ok || e.UDPSize != 1232 || !e.DO || e.Version != 1 || v.Rcode() != RcodeBadVers {
		t.Errorf("%v, %v, %v, %v", e, ok, v.Rcode(), err)
	}
}

func TestSectionOrder(t *testing.T) {
	b := started(t, 512)
	add := func(s Section) bool { return b.Record(s, wwwExample, TypeA, ClassIN, 5, []byte("abcd")) }
	if add(QuestionSection) || !add(AuthoritySection) || add(AnswerSection) || b.Question(wwwExample, TypeA, ClassIN) || !add(AdditionalSection) {
		t.Error("sections can be filled in any order")
	}
	v, err := Read(b.Bytes())
	if err != nil || v.Count(QuestionSection) != 1 || v.Count(AnswerSection) != 0 || v.Count(AuthoritySection) != 1 || v.Count(AdditionalSection) != 1 {
		t.Errorf("wrong counts: %v", err)
	}
}

func TestSecondQuestion(t *testing.T) {
	b := started(t, 512)
	if !b.Question(dnsname.MustParse("a.example."), TypeNS, ClassIN) {
		t.Fatal("no room")
	}
	if got := string(b.Bytes()[HeaderLen:]); got != question+"\x01a\xc0\x10\x00\x02\x00\x01" {
		t.Errorf("%q", got)
	}
	b = new(Builder)
	b.Reset(nil, 20, Header{})
	if b.Question(wwwExample, TypeA, ClassIN) || b.Len() != HeaderLen || !b.Question(dnsname.MustParse("w."), TypeA, ClassIN) {
		t.Error("a question that did not fit left a trace")
	}
}

// TestRewind: after it a message goes on as if what was dropped had never been,
// compression included.
func TestRewind(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 18))
	names := make([]dnsname.Name, 40)
	for i := range names {
		names[i] = dnsname.MustParse(fmt.Sprintf("%c.%c.%c%s.", 'a'+r.IntN(3), 'a'+r.IntN(3), 'a'+r.IntN(3), strings.Repeat("x", r.IntN(2))))
	}
	for range 500 {
		plain, b := started(t, 1500), started(t, 1500)
		for range 20 {
			n := names[r.IntN(len(names))]
			if r.IntN(2) == 0 {
				m := b.Mark()
				for range r.IntN(3) {
					dropped := names[r.IntN(len(names))]
					b.Record(AuthoritySection, dropped, TypeNS, ClassIN, 5, []byte(names[r.IntN(len(names))]))
				}
				b.Rewind(m)
			}
			plain.Record(AnswerSection, n, TypeNS, ClassIN, 5, []byte(names[0]))
			b.Record(AnswerSection, n, TypeNS, ClassIN, 5, []byte(names[0]))
		}
		if !bytes.Equal(plain.Bytes(), b.Bytes()) {
			t.Fatalf("%x\n%x", plain.Bytes(), b.Bytes())
		}
	}
}

// TestManyNames fills a message with names beyond what is remembered and
// beyond what pointers reach.
func TestManyNames(t *testing.T) {
	b := started(t, MaxMessage)
	var want []string
	for i := range 3000 {
		owner := dnsname.MustParse(fmt.Sprintf("host%d.zone%d.Example.", i%700, i%90))
		if !b.Record(AnswerSection, owner, TypeNS, ClassIN, 5, []byte(owner)) {
			break
		}
		want = append(want, string(owner)+" "+string(owner))
	}
	v, err := Read(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if got := walkAll(t, v); !slices.Equal(got, want) {
		t.Error("names were mixed up")
	}
	if b.Len() < maxPointer {
		t.Errorf("only %d octets", b.Len())
	}
}

// TestPointerReach: the last offset that a pointer can name, and the next.
func TestPointerReach(t *testing.T) {
	for _, at := range []int{maxPointer - 1, maxPointer} {
		b := started(t, MaxMessage)
		fill := at - b.Len() - 12
		b.Record(AnswerSection, wwwExample, TypeNULL, ClassIN, 5, make([]byte, fill))
		if b.Len() != at {
			t.Fatal("misplaced")
		}
		far := dnsname.MustParse("far.")
		b.Record(AnswerSection, far, TypeA, ClassIN, 5, []byte("abcd"))
		first := b.Len() - at
		b.Record(AnswerSection, far, TypeA, ClassIN, 5, []byte("abcd"))
		second := b.Len() - at - first
		if wantSecond := map[bool]int{true: first - 3, false: first}[at < maxPointer]; second != wantSecond {
			t.Errorf("name at %d: %d octets, then %d", at, first, second)
		}
		v, err := Read(b.Bytes())
		if err != nil || len(walkAll(t, v)) != 3 {
			t.Errorf("name at %d: %v", at, err)
		}
	}
}

// TestDeepNames compresses names of the most labels there can be.
func TestDeepNames(t *testing.T) {
	deep := dnsname.MustParse(strings.Repeat("a.", 127))
	var b Builder
	b.Reset(nil, MaxMessage, Header{})
	b.Question(deep, TypeA, ClassIN)
	var want []string
	for n := deep; ; n = n.Parent() {
		if !b.Record(AnswerSection, n, TypeNS, ClassIN, 5, []byte(n)) {
			t.Fatal("no room")
		}
		want = append(want, string(n)+" "+string(n))
		if n.IsRoot() {
			break
		}
	}
	v, err := Read(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if got := walkAll(t, v); !slices.Equal(got, want) {
		t.Error("names were mixed up")
	}
	if most := HeaderLen + 255 + 4 + 128*14; b.Len() > most {
		t.Errorf("%d octets, %d would do", b.Len(), most)
	}
}

// TestSetIsTheSameAsItsRecords: a set written at once is octet by octet what its
// records are when they are written one by one, and none of it is left when it
// does not fit.
func TestSetIsTheSameAsItsRecords(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 11))
	question := name("www.example.org.")
	owners := []dnsname.Name{question, name("a.b.example.org."), name("other."), dnsname.Root}
	for range 5000 {
		one, set := new(Builder), new(Builder)
		limit := 40 + r.IntN(300)
		for _, b := range []*Builder{one, set} {
			b.Reset(nil, limit, Header{ID: 1})
			b.Question(question, TypeA, ClassIN)
		}
		for range 3 {
			owner, typ := owners[r.IntN(len(owners))], []Type{TypeA, TypeNS, TypeTXT}[r.IntN(3)]
			var packed []byte
			mark, fits := one.Mark(), true
			for range r.IntN(4) {
				rdata := []byte{192, 0, 2, byte(r.IntN(256))}
				if typ == TypeNS {
					rdata = []byte(owners[r.IntN(len(owners))])
				}
				packed = append(append(packed, 0, byte(len(rdata))), rdata...)
				fits = fits && one.Record(AnswerSection, owner, typ, ClassIN, 300, rdata)
			}
			if !fits {
				one.Rewind(mark)
			}
			if set.Set(AnswerSection, owner, typ, 300, packed) != fits || !bytes.Equal(one.Bytes(), set.Bytes()) {
				t.Fatalf("fits %v\n%x one by one\n%x at once", fits, one.Bytes(), set.Bytes())
			}
		}
	}
}
