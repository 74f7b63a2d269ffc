package iterator

import (
	"fmt"
	"testing"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// list shows record sets as "name type ttl records".
func list(sets []rrset.Set) string {
	out := ""
	for _, s := range sets {
		out += fmt.Sprintf("%s %s %d %d\n", s.Name, s.Type, s.TTL, s.Data.Len())
	}
	return out
}

func askedFor(name string, t wire.Type) asked {
	return asked{Question: event.Question{Name: n(name), Type: t}}
}

func TestScrubDropsWhatTheServerMayNotSay(t *testing.T) {
	r := reply{
		aa:     true,
		answer: records("www.example.com. 60 A 198.51.100.1\nwww.bank.example. 60 A 192.0.2.66\nexample.com. 60 CNAME b.example."),
		authority: records(`example.com. 60 NS ns1.example.com.
			bank.example. 60 NS ns.evil.example.com.
			com. 60 SOA a.example. b.example. 60`),
		additional: records(`ns1.example.com. 60 A 192.0.2.11
			ns1.bank.example. 60 A 192.0.2.66
			ns1.example.com. 60 TXT hello
			notexample.com. 60 A 192.0.2.66`),
	}
	v := judged(t, &r, askedFor("www.example.com.", wire.TypeA))
	for _, c := range []struct{ what, got, want string }{
		{"answer", list(v.answer), "www.example.com. A 60 1\nexample.com. CNAME 60 1\n"},
		{"authority", list(v.authority), "example.com. NS 60 1\n"},
		{"additional", list(v.additional), "ns1.example.com. A 60 1\n"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got\n%swant\n%s", c.what, c.got, c.want)
		}
	}
	if !v.strayNS || !v.upperSOA || v.straySOA {
		t.Error("it went unnoticed that the server speaks of other zones")
	}
	if len(v.scrubbed) != 7 {
		t.Errorf("told of %d sets dropped: %v", len(v.scrubbed), v.scrubbed)
	}
	if e := entries(v.message, &v.class, v.asked); len(e) != 1 || e[0].Name != n("www.example.com.") {
		t.Errorf("entries %v", e)
	}
}

func TestGlue(t *testing.T) {
	r := reply{
		authority: records(`sub.example.com. 60 NS ns.sub.example.com.
			sub.example.com. 60 NS ns.example.net.
			sub.example.com. 60 NS ns2.example.com.`),
		additional: records(`ns.sub.example.com. 60 A 192.0.2.11
			ns.sub.example.com. 60 AAAA 2001:db8::11
			ns.example.net. 60 A 192.0.2.66
			ns2.example.com. 60 A 192.0.2.12
			www.example.com. 60 A 192.0.2.66`),
	}
	v := judged(t, &r, askedFor("a.sub.example.com.", wire.TypeA))
	lim := Limits{}.withDefaults()
	got := fmt.Sprint(serversIn(v, &lim))
	want := fmt.Sprintf("[{%s [192.0.2.11 2001:db8::11]} {%s [192.0.2.12]} {%s []}]", n("ns.sub.example.com."), n("ns2.example.com."), n("ns.example.net."))
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestWrongClass(t *testing.T) {
	v := judged(t, &reply{aa: true, class: 3, answer: records("www.example.com. 60 A 198.51.100.1")}, askedFor("www.example.com.", wire.TypeA))
	if len(v.answer) != 0 || v.outcome == event.Answer || len(v.scrubbed) != 1 {
		t.Errorf("a record of class CH is believed: %s", seen(v))
	}
}

// many makes count records of a type at a name.
func many(name string, typ wire.Type, count int) rrset.Set {
	s := rrset.Set{Name: n(name), Type: typ, TTL: 60}
	for i := range count {
		rd := []byte{10, 0, byte(i >> 8), byte(i)}
		if typ == wire.TypeNS {
			rd = []byte(n(fmt.Sprintf("n%d.example.net.", i)))
		}
		s.Data = s.Data.Append(rd)
	}
	return s
}

func TestRecordsAreBounded(t *testing.T) {
	v := judged(t, &reply{aa: true, answer: []rrset.Set{many("www.example.com.", wire.TypeA, 2500)}}, askedFor("www.example.com.", wire.TypeA))
	if got := v.answer[0].Data.Len(); got != 2000 || !v.cutOff {
		t.Errorf("%d records kept, cut off %v", got, v.cutOff)
	}
	v = judged(t, &reply{aa: true, answer: []rrset.Set{many("www.example.com.", wire.TypeA, 2000)}}, askedFor("www.example.com.", wire.TypeA))
	if got := v.answer[0].Data.Len(); got != 2000 || v.cutOff {
		t.Errorf("%d records kept, cut off %v", got, v.cutOff)
	}
}

func TestSetsAreBounded(t *testing.T) {
	r := reply{aa: true}
	for i := range 300 {
		r.answer = append(r.answer, set(fmt.Sprintf("a%d.example.com.", i), 60, "A", "192.0.2.1"))
	}
	if v := judged(t, &r, askedFor("a0.example.com.", wire.TypeA)); len(v.answer) != 200 {
		t.Errorf("%d sets kept", len(v.answer))
	}
}

func TestNameServersAndAddressesAreBounded(t *testing.T) {
	r := reply{authority: []rrset.Set{many("sub.example.com.", wire.TypeNS, 2000)}}
	r.authority[0].Data = r.authority[0].Data.Append([]byte(n("ns.example.com.")))
	r.additional = []rrset.Set{many("ns.example.com.", wire.TypeA, 100)}
	lim := Limits{Records: 3000}.withDefaults()
	a := askedFor("a.sub.example.com.", wire.TypeA)
	a.zone = n("example.com.")
	it := &Iterator{limits: lim}
	v := it.verdict(Reply{View: r.view(t, Query{Name: a.Name, Type: a.Type})}, a, new(judgement))
	got := serversIn(v, &lim)
	if len(got) != 20 || got[0].Name != n("ns.example.com.") || len(got[0].Addrs) != 16 {
		t.Errorf("%d servers, the first %s with %d addresses", len(got), got[0].Name, len(got[0].Addrs))
	}
}

// signature is RRSIG data that covers a type, not otherwise meaningful.
func signature(covers wire.Type, labels, tag int) []byte {
	rd := make([]byte, 18, 40)
	rd[0], rd[1], rd[3], rd[17] = byte(covers>>8), byte(covers), byte(labels), byte(tag)
	rd = append(rd, n("example.com.")...)
	return append(rd, 1, 2, 3)
}

func TestSignatures(t *testing.T) {
	r := reply{aa: true, answer: records("www.example.com. 60 A 198.51.100.1")}
	for i := range 12 {
		r.answer[0].Sigs = r.answer[0].Sigs.Append(signature(wire.TypeA, 3, i))
	}
	r.answer = append(r.answer, rrset.Set{Name: n("b.example.com."), Type: wire.TypeA, TTL: 60, Sigs: rrset.Packed(nil).Append(signature(wire.TypeA, 3, 1))})
	v := judged(t, &r, askedFor("www.example.com.", wire.TypeA))
	if got := v.answer[0].Sigs.Len(); got != 8 {
		t.Errorf("%d signatures kept", got)
	}
	if len(v.answer) != 1 || len(v.scrubbed) != 2 {
		t.Errorf("answer %s, scrubbed %v", list(v.answer), v.scrubbed)
	}
	v = judged(t, &r, askedFor("www.example.com.", wire.TypeRRSIG))
	if v.outcome != event.Answer || v.chain.hops[0].Data.Len() != 12 {
		t.Errorf("question for RRSIG: %s", seen(v))
	}
}

func TestDuplicatesAndTTL(t *testing.T) {
	for _, before := range []int{0, 100} { // records before them: a plain search, and the index
		var b wire.Builder
		b.Reset(nil, wire.MaxMessage, wire.Header{Response: true, AA: true})
		b.Question(n("www.example.com."), wire.TypeA, wire.ClassIN)
		for i := range before {
			b.Record(wire.AnswerSection, n("b.example.com."), wire.TypeA, wire.ClassIN, 60, []byte{10, 0, 0, byte(i)})
		}
		for _, r := range []struct {
			ttl  uint32
			last byte
		}{{300, 1}, {200, 2}, {250, 1}, {400, 3}, {1 << 31, 4}} {
			b.Record(wire.AnswerSection, n("www.example.com."), wire.TypeA, wire.ClassIN, r.ttl, []byte{198, 51, 100, r.last})
			want := uint32(200)
			if r.ttl == 300 {
				want = 300
			}
			v, err := wire.Read(b.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			lim := Limits{}.withDefaults()
			m := read(new(replyRoom), v, event.Question{Type: wire.TypeA}, &lim)
			s := get(m.answer, n("www.example.com."), wire.TypeA)
			if s.TTL != want {
				t.Errorf("%d before, after ttl %d: %d, want %d", before, r.ttl, s.TTL, want)
			}
			if wantLen := map[byte]int{1: 1, 2: 2, 3: 3, 4: 4}[r.last]; r.ttl != 250 && s.Data.Len() != wantLen || r.ttl == 250 && s.Data.Len() != 2 {
				t.Errorf("%d before, after ttl %d: %d records", before, r.ttl, s.Data.Len())
			}
		}
	}
}

func TestTwoAliasesAtAName(t *testing.T) {
	v := judged(t, &reply{aa: true, answer: records("www.example.com. 60 CNAME a.example.com.\nwww.example.com. 60 CNAME b.example.com.")}, askedFor("www.example.com.", wire.TypeA))
	if v.chain.end != n("a.example.com.") || v.chain.hops[0].Data.Len() != 1 || len(v.scrubbed) != 1 {
		t.Errorf("%s, scrubbed %v", seen(v), v.scrubbed)
	}
}

func TestTwoSOARecords(t *testing.T) {
	v := judged(t, &reply{aa: true, authority: records(soaExample + "\nexample.com. 300 SOA ns2.example.com. host.example.com. 60")}, askedFor("www.example.com.", wire.TypeA))
	if got := seen(v); got != "nodata hops=0 end=www.example.com. denied soft" {
		t.Errorf("got %s", got)
	}
}

// TestHostileRepliesCostLittle: what fills a message must not take time in the
// square of it. The bound is far above what a slow machine needs.
func TestHostileRepliesCostLittle(t *testing.T) {
	r := reply{authority: []rrset.Set{many("sub.example.com.", wire.TypeNS, 1999)}}
	for i := range 2500 {
		r.additional = append(r.additional, set(fmt.Sprintf("n%d.example.net.", i), 60, "A", "192.0.2.1"))
	}
	began := time.Now()
	lim := Limits{}.withDefaults()
	a := askedFor("a.sub.example.com.", wire.TypeA)
	a.zone = dnsname.Root
	serversIn(judged(t, &r, a), &lim)
	if took := time.Since(began); took > time.Second {
		t.Errorf("took %v", took)
	}
}
