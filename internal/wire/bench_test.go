package wire

import (
	"testing"

	"lastgood/internal/dnsname"
)

// aQuery is what a stub resolver sends: one question and an OPT with a cookie.
func aQuery(t testing.TB) []byte {
	t.Helper()
	var b Builder
	b.Reset(nil, 512, Header{ID: 7, RD: true})
	b.Question("\x03WwW\x07example\x03cOm\x00", TypeA, ClassIN)
	b.OPT(EDNS{UDPSize: 1232, Options: AppendOption(nil, OptionCookie, []byte("12345678"))}, 0)
	return b.Bytes()
}

func readQuery(t testing.TB, msg []byte) {
	v, err := Read(msg)
	q, ok := v.Question()
	e, ok2 := v.EDNS()
	cookie, ok3 := e.Option(OptionCookie)
	if err != nil || !ok || !ok2 || !ok3 || len(q.Name)+len(cookie) != 25 {
		t.Fatal("not the query that was sent")
	}
	var low [dnsname.MaxLen]byte
	dnsname.Lower(low[:len(q.Name)], q.Name)
	if dnsname.Alias(low[:len(q.Name)]).Labels() != 3 {
		t.Fatal("not the name that was sent")
	}
}

// aReply is a referral with glue: 1 question, 13 name servers, 13 addresses.
func aReply(t testing.TB) []byte {
	t.Helper()
	var b Builder
	buildReply(t, &b, nil)
	return b.Bytes()
}

var (
	gtld    = dnsname.MustParse("com.")
	servers = func() (n [13]dnsname.Name) {
		for i := range n {
			n[i] = dnsname.MustParse(string(rune('a'+i)) + ".gtld-servers.example.net.")
		}
		return n
	}()
	address   = []byte{192, 0, 2, 1}
	exampleNS = dnsname.MustParse("www.example.com.")
)

func buildReply(t testing.TB, b *Builder, buf []byte) {
	b.Reset(buf, 1232, Header{ID: 7, Response: true})
	ok := b.Question(exampleNS, TypeA, ClassIN)
	var rdata [dnsname.MaxLen]byte
	for _, s := range servers {
		ok = ok && b.Record(AuthoritySection, gtld, TypeNS, ClassIN, 172800, rdata[:copy(rdata[:], s)])
	}
	for _, s := range servers {
		ok = ok && b.Record(AdditionalSection, s, TypeA, ClassIN, 172800, address)
	}
	if !ok || !b.OPT(EDNS{UDPSize: 1232}, 0) {
		t.Fatal("no room")
	}
}

func buildOneAnswer(t testing.TB, b *Builder, buf []byte) {
	b.Reset(buf, 1232, Header{ID: 7, Response: true})
	if !b.Question(exampleNS, TypeA, ClassIN) || !b.Record(AnswerSection, exampleNS, TypeA, ClassIN, 300, address) ||
		!b.OPT(EDNS{UDPSize: 1232}, 0) {
		t.Fatal("no room")
	}
}

func walkReply(t testing.TB, msg, scratch []byte) {
	v, err := Read(msg)
	n := 0
	for c := v.Records(); err == nil && c.Next(); n++ {
		r := c.Record()
		if scratch, err = r.AppendName(scratch[:0]); err == nil {
			scratch, err = r.AppendRdata(scratch)
		}
	}
	if err != nil || n != 27 {
		t.Fatalf("%d records, %v", n, err)
	}
}

func BenchmarkReadQuery(b *testing.B) {
	msg := aQuery(b)
	b.ReportAllocs()
	for b.Loop() {
		readQuery(b, msg)
	}
}

func BenchmarkWalkReferral(b *testing.B) {
	msg, scratch := aReply(b), make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		walkReply(b, msg, scratch)
	}
}

func BenchmarkBuildOneAnswer(b *testing.B) {
	var w Builder
	buf := make([]byte, 0, 1232)
	b.ReportAllocs()
	for b.Loop() {
		buildOneAnswer(b, &w, buf)
	}
}

func BenchmarkBuildReferral(b *testing.B) {
	var w Builder
	buf := make([]byte, 0, 1232)
	b.ReportAllocs()
	for b.Loop() {
		buildReply(b, &w, buf)
	}
}
