package iterator

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// nsec3 is an NSEC3 record under a hash, which need not be one.
func nsec3(label string) rrset.Set {
	rd := append([]byte{1, 0, 0, 0, 0, 20}, make([]byte, 20)...)
	return rrset.Set{Name: n(label + ".example.com."), Type: wire.TypeNSEC3, TTL: 300, Data: rrset.Packed(nil).Append(append(rd, 0, 1, 0x40))}
}

// expandedFrom is a set with a signature of fewer labels than its name.
func expandedFrom(s rrset.Set, labels int) rrset.Set {
	s.Sigs = s.Sigs.Append(signature(s.Type, labels, 1))
	return s
}

// kept shows entries: kind, name, type and signatures, then the proof.
func kept(list []cache.Entry) string {
	var b strings.Builder
	for _, e := range list {
		fmt.Fprintf(&b, "%s %s %s %d+%d", [...]string{"data", "nodata", "nxdomain"}[e.Kind], e.Name, e.Type, e.Set.Data.Len(), e.Set.Sigs.Len())
		for _, p := range e.Proof {
			fmt.Fprintf(&b, ", %s %s %d+%d", p.Name, p.Type, p.Data.Len(), p.Sigs.Len())
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// Whatever is needed to validate an answer stays with it: signatures of data and
// proofs, the records that deny, those that say what a wildcard stands for.
func TestWhatAValidatorNeedsIsKept(t *testing.T) {
	soa := signed(set("example.com.", 300, "SOA", "ns1.example.com. host.example.com. 60"))
	nsec := func(name string) rrset.Set { return signed(set(name, 300, "NSEC", "z.example.com.")) }
	keys := rrset.Set{Name: n("example.com."), Type: wire.TypeDNSKEY, TTL: 300}
	for i := range 3 {
		keys.Data = keys.Data.Append(append([]byte{1, byte(i & 1), 3, byte(13 + i)}, make([]byte, 64)...))
	}
	keys.Sigs = keys.Sigs.Append(signature(wire.TypeDNSKEY, 2, 1)).Append(signature(wire.TypeDNSKEY, 2, 2))
	ns := signed(set("example.com.", 300, "NS", "ns1.example.com."))
	nx := wire.RcodeNXDomain
	for _, c := range []struct {
		what, name, typ   string
		zone              string
		rcode             wire.Rcode
		answer, authority []rrset.Set
		want              string
	}{
		{what: "answer", answer: []rrset.Set{signed(records(www)[0])}, authority: []rrset.Set{ns},
			want: "data www.example.com. A 1+1\n"},
		{what: "three keys, signed with two", name: "example.com.", typ: "DNSKEY", answer: []rrset.Set{keys},
			want: "data example.com. DNSKEY 3+2\n"},
		{what: "DS of the parent", name: "example.com.", typ: "DS", zone: "com.", answer: []rrset.Set{signed(set("example.com.", 300, "DS", "x"))},
			want: "data example.com. DS 1+1\n"},
		{what: "wildcard, and the proof that it is one", answer: []rrset.Set{expandedFrom(records(www)[0], 2)}, authority: []rrset.Set{ns, nsec("a.example.com.")},
			want: "data www.example.com. A 1+1, a.example.com. NSEC 1+1\n"},
		{what: "the same hashed", answer: []rrset.Set{expandedFrom(records(www)[0], 2)}, authority: []rrset.Set{signed(nsec3("aa")), ns},
			want: "data www.example.com. A 1+1, aa.example.com. NSEC3 1+1\n"},
		{what: "NODATA", authority: []rrset.Set{soa, nsec("www.example.com.")},
			want: "nodata www.example.com. A 0+0, example.com. SOA 1+1, www.example.com. NSEC 1+1\n"},
		{what: "NXDOMAIN with one record twice of use", rcode: nx, authority: []rrset.Set{nsec("example.com."), soa},
			want: "nxdomain www.example.com. TYPE0 0+0, example.com. SOA 1+1, example.com. NSEC 1+1\n"},
		{what: "NXDOMAIN, hashed", rcode: nx, authority: []rrset.Set{soa, signed(nsec3("aa")), signed(nsec3("bb")), signed(nsec3("cc"))},
			want: "nxdomain www.example.com. TYPE0 0+0, example.com. SOA 1+1, aa.example.com. NSEC3 1+1, bb.example.com. NSEC3 1+1, cc.example.com. NSEC3 1+1\n"},
		{what: "no DS, by the parent", name: "sub.example.com.", typ: "DS", authority: []rrset.Set{soa, nsec("sub.example.com.")},
			want: "nodata sub.example.com. DS 0+0, example.com. SOA 1+1, sub.example.com. NSEC 1+1\n"},
		{what: "DNAME beside what was made of it", name: "a.d.example.com.",
			answer: []rrset.Set{signed(set("d.example.com.", 300, "DNAME", "example.net.")), set("a.d.example.com.", 300, "CNAME", "a.example.net.")},
			want:   "data d.example.com. DNAME 1+1\n"},
		{what: "denial behind an alias", rcode: nx, answer: []rrset.Set{signed(set("www.example.com.", 300, "CNAME", "b.example.com."))}, authority: []rrset.Set{soa, nsec("a.example.com.")},
			want: "data www.example.com. CNAME 1+1\nnxdomain b.example.com. TYPE0 0+0, example.com. SOA 1+1, a.example.com. NSEC 1+1\n"},
		{what: "denial behind an alias that a wildcard made", answer: []rrset.Set{expandedFrom(set("www.example.com.", 300, "CNAME", "b.example.com."), 2)}, authority: []rrset.Set{soa, nsec("a.example.com."), nsec("b.example.com.")},
			want: "data www.example.com. CNAME 1+1, a.example.com. NSEC 1+1, b.example.com. NSEC 1+1\n" +
				"nodata b.example.com. A 0+0, example.com. SOA 1+1, a.example.com. NSEC 1+1, b.example.com. NSEC 1+1\n"},
		{what: "question for signatures, denied", typ: "RRSIG", authority: []rrset.Set{soa, nsec("a.example.com.")},
			want: "nodata www.example.com. RRSIG 0+0, example.com. SOA 1+1, a.example.com. NSEC 1+1\n"},
	} {
		name, typ := "www.example.com.", wire.TypeA
		if c.name != "" {
			name = c.name
		}
		if c.typ != "" {
			typ, _ = wire.ParseType(c.typ)
		}
		a := askedFor(name, typ)
		if c.zone != "" {
			a.zone = n(c.zone)
		}
		v := judged(t, &reply{aa: true, rcode: c.rcode, answer: c.answer, authority: c.authority}, a)
		if got := kept(entries(v.message, &v.class, v.asked)); got != c.want || v.soft {
			t.Errorf("%s: %s, got\n%swant\n%s", c.what, seen(v), got, c.want)
		}
	}
}

// A server of both sides of a cut may give the lower zone's denial where the upper
// one's is wanted, which proves nothing: others are asked before it is believed.
func TestDenialOfDSByTheChildIsDoubtful(t *testing.T) {
	lower := signed(set("sub.example.com.", 300, "SOA", "ns1.example.com. host.example.com. 60"))
	for _, c := range []struct {
		name    string
		typ     wire.Type
		zone    string
		forward bool
		soft    bool
	}{
		{"sub.example.com.", wire.TypeDS, "example.com.", false, true},
		{"sub.example.com.", wire.TypeDS, "example.com.", true, false},
		{"sub.example.com.", wire.TypeDS, "sub.example.com.", false, false},
		{"sub.example.com.", wire.TypeA, "example.com.", false, false},
		{"a.sub.example.com.", wire.TypeDS, "example.com.", false, false},
	} {
		a := askedFor(c.name, c.typ)
		a.zone, a.forward, a.lenient = n(c.zone), c.forward, c.forward
		v := judged(t, &reply{aa: true, authority: []rrset.Set{lower}}, a)
		if v.soft != c.soft || !v.denied {
			t.Errorf("%+v: %s", c, seen(v))
		}
	}
}

// A set lives no longer than its signatures (RFC 4035 §5.3.3).
func TestSignaturesBoundTheTTL(t *testing.T) {
	var b wire.Builder
	b.Reset(nil, wire.MaxMessage, wire.Header{Response: true, AA: true})
	b.Question(n("www.example.com."), wire.TypeA, wire.ClassIN)
	b.Record(wire.AnswerSection, n("www.example.com."), wire.TypeA, wire.ClassIN, 300, []byte{198, 51, 100, 1})
	b.Record(wire.AnswerSection, n("www.example.com."), wire.TypeRRSIG, wire.ClassIN, 200, signature(wire.TypeA, 3, 1))
	b.Record(wire.AnswerSection, n("www.example.com."), wire.TypeRRSIG, wire.ClassIN, 100, signature(wire.TypeA, 3, 2))
	v, err := wire.Read(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	lim := Limits{}.withDefaults()
	m := read(new(replyRoom), v, event.Question{Type: wire.TypeA}, &lim)
	if s := get(m.answer, dnsname.MustParse("www.example.com."), wire.TypeA); s.TTL != 100 || s.Sigs.Len() != 2 {
		t.Errorf("TTL %d, %d signatures", s.TTL, s.Sigs.Len())
	}
}

// DS records are the parent's to give, whatever is known of the child, and keys the
// child's (RFC 4035 §3.1.4.1); both with what is known and without.
func TestWhoIsAskedForLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, small).start()
		add := func(addr, zone string, s rrset.Set) {
			zones := w.server(addr).zones
			zones[n(zone)] = append(zones[n(zone)], signed(s))
		}
		add("192.0.2.2", "com.", set("example.com.", 300, "DS", "x"))
		for _, addr := range []string{"192.0.2.11", "192.0.2.12"} {
			add(addr, "example.com.", set("example.com.", 300, "DNSKEY", "key.example."))
			add(addr, "example.com.", set("example.com.", 300, "DS", "y")) // not theirs to give
		}
		for _, typ := range []string{"DS", "DNSKEY", "DS", "DNSKEY"} {
			res := w.resolve("example.com.", typ)
			child := strings.HasPrefix(res.From.String(), "192.0.2.1")
			if got := kept(res.Entries); got != "data example.com. "+typ+" 1+1\n" || child != (typ == "DNSKEY") {
				t.Errorf("%s from %v: %s", typ, res.From, got)
			}
		}
		for _, asked := range w.asked() {
			if strings.HasSuffix(asked, " DS") && asked != "192.0.2.2 example.com. DS" {
				t.Errorf("asked %s", asked)
			}
		}
	})
}
