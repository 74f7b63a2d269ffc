package rootzone

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
	"lastgood/internal/ede"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// reply is an answer in words: what is in each section, sorted.
type reply struct {
	rcode    int
	aa       bool
	sections [3][]string
}

func (r reply) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s aa=%v\n", dns.RcodeToString[r.rcode], r.aa)
	for i, s := range r.sections {
		fmt.Fprintf(&b, "%s:\n  %s\n", []string{"answer", "authority", "additional"}[i], strings.Join(s, "\n  "))
	}
	return b.String()
}

// ask asks the zone, and has a general library read the answer.
func ask(t *testing.T, z *Zone, q Query) reply {
	t.Helper()
	msg := z.Answer(nil, q)
	if _, err := wire.Read(msg); err != nil {
		t.Fatalf("%s %s: %v", q.Name, q.Type, err)
	}
	var m dns.Msg
	if err := m.Unpack(msg); err != nil {
		t.Fatalf("%s %s: %v", q.Name, q.Type, err)
	}
	if m.Id != q.ID || !m.Response || m.RecursionAvailable || m.Truncated || len(m.Question) != 1 ||
		m.Question[0].Name != q.Name.String() || m.Question[0].Qtype != uint16(q.Type) || (m.IsEdns0() != nil) != q.DO {
		t.Fatalf("%s %s: wrong head or question:\n%s", q.Name, q.Type, &m)
	}
	out := reply{rcode: m.Rcode, aa: m.Authoritative}
	for i, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range section {
			if rr.Header().Rrtype != dns.TypeOPT {
				out.sections[i] = append(out.sections[i], rr.String())
			}
		}
		slices.Sort(out.sections[i])
	}
	return out
}

// model answers from a list of records, looking at all of them for everything.
type model struct {
	t       *testing.T
	records []Record
	reply   reply
	do      bool
}

func (m *model) find(name dnsname.Name, typ wire.Type) (found []Record) {
	for _, r := range m.records {
		if r.Name == name && r.Type == typ {
			found = append(found, r)
		}
	}
	return found
}

// add puts a set into a section, with signatures if they are wanted.
func (m *model) add(section int, name dnsname.Name, typ wire.Type) bool {
	set := m.find(name, typ)
	if m.do {
		for _, r := range m.find(name, wire.TypeRRSIG) {
			if len(set) > 0 && wire.Type(uint16(r.Data[0])<<8|uint16(r.Data[1])) == typ {
				set = append(set, r)
			}
		}
	}
	for _, r := range set {
		rr := toRR(m.t, r)
		if typ == wire.TypeSOA && section == 1 {
			rr.Header().Ttl = min(rr.Header().Ttl, toRR(m.t, m.find(name, typ)[0]).(*dns.SOA).Minttl)
		}
		if s := rr.String(); !slices.Contains(m.reply.sections[section], s) {
			m.reply.sections[section] = append(m.reply.sections[section], s)
		}
	}
	return len(set) > 0
}

// prove adds the NSEC record that matches or covers a name.
func (m *model) prove(name dnsname.Name) {
	if !m.do || m.add(1, name, wire.TypeNSEC) {
		return
	}
	for _, r := range m.records {
		if r.Type != wire.TypeNSEC {
			continue
		}
		next, _ := rrset.Target(wire.TypeNSEC, r.Data)
		if dnsname.Compare(r.Name, name) < 0 && (next.IsRoot() || dnsname.Compare(name, next) < 0) {
			m.add(1, r.Name, wire.TypeNSEC)
		}
	}
}

func (m *model) glue(owner dnsname.Name) {
	for _, ns := range m.find(owner, wire.TypeNS) {
		host, _ := rrset.Target(wire.TypeNS, ns.Data)
		m.add(2, host, wire.TypeA)
		m.add(2, host, wire.TypeAAAA)
	}
}

func (m *model) exists(name dnsname.Name) bool {
	return slices.ContainsFunc(m.records, func(r Record) bool { return r.Name.Under(name) })
}

// answer is RFC 1034 §4.3.2 and RFC 4035 §3.1 for a zone without aliases and
// wildcards.
func (m *model) answer(name dnsname.Name, typ wire.Type) reply {
	m.reply.aa = true
	for labels := 1; labels <= name.Labels(); labels++ {
		cut := name.Suffix(labels)
		if m.find(cut, wire.TypeNS) == nil || cut == name && typ == wire.TypeDS {
			continue
		}
		m.reply.aa = false
		m.add(1, cut, wire.TypeNS)
		if m.find(cut, wire.TypeDS) == nil {
			m.prove(cut)
		} else if m.do {
			m.add(1, cut, wire.TypeDS)
		}
		m.glue(cut)
		return m.sorted()
	}
	if !m.exists(name) {
		m.reply.rcode = dns.RcodeNameError
		encloser := name
		for !m.exists(encloser) {
			encloser = encloser.Parent()
		}
		wildcard, _ := encloser.Prepend("*")
		m.add(1, dnsname.Root, wire.TypeSOA)
		m.prove(name)
		m.prove(wildcard)
	} else if !m.add(0, name, typ) {
		m.add(1, dnsname.Root, wire.TypeSOA)
		m.prove(name)
	} else if typ == wire.TypeNS {
		m.glue(name)
	}
	return m.sorted()
}

func (m *model) sorted() reply {
	for i := range m.reply.sections {
		slices.Sort(m.reply.sections[i])
	}
	return m.reply
}

// TestAnswerLikeModel compares the answers of random zones with those of a model
// that is too simple to be wrong.
func TestAnswerLikeModel(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	types := []wire.Type{wire.TypeA, wire.TypeNS, wire.TypeDS, wire.TypeSOA, wire.TypeTXT, wire.TypeNSEC, wire.TypeDNSKEY, wire.TypeZONEMD, wire.TypeAAAA}
	for range 60 {
		z := verify(t, sign(t, randomZone(t, r, r.Uint32())))
		unique := slices.Collect(z.Records())
		for range 150 {
			name := someName(r, unique)
			q := Query{ID: uint16(r.Uint32()), Name: name, Type: types[r.IntN(len(types))], DO: r.IntN(3) > 0}
			m := model{t: t, records: unique, do: q.DO}
			got, want := ask(t, z, q), m.answer(q.Name, q.Type)
			if got.String() != want.String() {
				t.Fatalf("%s %s do=%v:\n%s\nwant\n%s", q.Name, q.Type, q.DO, got, want)
			}
			if q.DO {
				proves(t, z, q)
			}
		}
	}
}

// someName is a name of the zone, or one near it, or any.
func someName(r *rand.Rand, records []Record) dnsname.Name {
	name := records[r.IntN(len(records))].Name
	switch r.IntN(5) {
	case 0:
		name = name.Parent()
	case 1:
		name, _ = name.Prepend(string(rune('a' + r.IntN(8))))
	case 2:
		name, _ = dnsname.Root.Prepend(string(rune('a'+r.IntN(8))) + string(rune('a'+r.IntN(8))))
	case 3:
		name, _ = name.Parent().Prepend("zz")
	}
	return name
}

// proves sees that a validator would believe a denial: by its records alone, with
// the code that validates what comes from elsewhere.
func proves(t *testing.T, z *Zone, q Query) {
	t.Helper()
	v, err := wire.Read(z.Answer(nil, q))
	if err != nil {
		t.Fatal(err)
	}
	var sets []rrset.Set
	answers, cut := v.Count(wire.AnswerSection), dnsname.Name("")
	ds := false
	for c := v.Records(); c.Next(); {
		rec := c.Record()
		if rec.Section != wire.AuthoritySection {
			continue
		}
		r, err := readRecord(rec, nil)
		if err != nil {
			t.Fatal(err)
		}
		switch r.Type {
		case wire.TypeNSEC:
			s := rrset.Set{Name: r.Name, Type: r.Type}
			s.Add(r.TTL, r.Data)
			sets = append(sets, s)
		case wire.TypeNS:
			cut = r.Name
		case wire.TypeDS:
			ds = true
		}
	}
	budget := dnssec.NewBudget(dnssec.Limits{})
	d := dnssec.NewDenial(dnsname.Root, sets, policy, budget)
	proof, failure := dnssec.Proven, (*ede.Error)(nil)
	switch {
	case v.Rcode() == wire.RcodeNXDomain:
		proof, failure = d.NXDomain(q.Name)
	case cut != "" && !ds:
		var kind dnssec.Cut
		if kind, proof, failure = d.NoDS(cut); kind != dnssec.Delegated {
			t.Fatalf("%s: its cut %s is %v", q.Name, cut, kind)
		}
	case cut == "" && answers == 0:
		proof, failure = d.NoData(q.Name, q.Type)
	}
	if proof != dnssec.Proven {
		t.Fatalf("%s %s: %v, %v", q.Name, q.Type, proof, failure)
	}
}

// TestAnswerSmall has some answers in full, so that model and zone cannot be wrong
// alike.
func TestAnswerSmall(t *testing.T) {
	z := verify(t, smallZone(t))
	for _, tc := range []struct {
		name string
		t    wire.Type
		want string
	}{
		{"www.aa.", wire.TypeA, `NOERROR aa=false
answer:
  
authority:
  aa.	172800	IN	NS	ns1.nic.aa.
  aa.	172800	IN	NS	ns2.nic.cc.
additional:
  ns1.nic.aa.	172800	IN	A	192.0.2.1
  ns1.nic.aa.	172800	IN	AAAA	2001:db8::1
  ns2.nic.cc.	172800	IN	A	192.0.2.3
`},
		{"aa.", wire.TypeDS, `NOERROR aa=true
answer:
  aa.	86400	IN	DS	12345 13 2 000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F
authority:
  
additional:
  
`},
		{"local.", wire.TypeA, `NXDOMAIN aa=true
answer:
  
authority:
  .	86400	IN	SOA	ns1.nic.aa. admin.nic.aa. 2026010200 1800 900 604800 86400
additional:
  
`},
		{"dd.", wire.TypeA, `NOERROR aa=true
answer:
  
authority:
  .	86400	IN	SOA	ns1.nic.aa. admin.nic.aa. 2026010200 1800 900 604800 86400
additional:
  
`},
		{"axfr.", wire.TypeAXFR, `REFUSED aa=false
answer:
  
authority:
  
additional:
  
`},
	} {
		if got := ask(t, z, Query{ID: 7, Name: dnsname.MustParse(tc.name), Type: tc.t}); got.String() != tc.want {
			t.Errorf("%s %s:\n%s\nwant\n%s", tc.name, tc.t, got, tc.want)
		}
	}
}

// TestAnswerAny gives all that the apex has, with every signature.
func TestAnswerAny(t *testing.T) {
	z := verify(t, smallZone(t))
	got := ask(t, z, Query{Name: dnsname.Root, Type: wire.TypeANY, DO: true})
	if got.rcode != 0 || len(got.sections[0]) != 1+2+1+2+1+5 {
		t.Errorf("%s", got)
	}
	got = ask(t, z, Query{Name: dnsname.Root, Type: wire.TypeRRSIG, DO: true})
	if len(got.sections[0]) != 5 {
		t.Errorf("%s", got)
	}
}

// TestAnswerTooLarge: what does not fit into a message is no answer, and is said so.
func TestAnswerTooLarge(t *testing.T) {
	records := parse(t, ".", smallRoot)
	for i := range 320 {
		text := strings.Repeat(string(rune('a'+i%26)), 200) + fmt.Sprint(i)
		records = append(records, parse(t, ".", fmt.Sprintf("large. 60 IN TXT %q", text))...)
	}
	z := verify(t, sign(t, records))
	got := ask(t, z, Query{Name: dnsname.MustParse("large."), Type: wire.TypeTXT, DO: true})
	if got.rcode != dns.RcodeServerFailure || got.aa || len(got.sections[0]) != 0 {
		t.Errorf("%s with %d records", dns.RcodeToString[got.rcode], len(got.sections[0]))
	}
}

// TestAnswerBehindBuffer: what is in the buffer stays.
func TestAnswerBehindBuffer(t *testing.T) {
	z := verify(t, smallZone(t))
	q := Query{ID: 9, Name: dnsname.MustParse("aa."), Type: wire.TypeNS, DO: true}
	alone := z.Answer(nil, q)
	if got := z.Answer([]byte("before"), q); string(got) != "before"+string(alone) {
		t.Error("the buffer was not kept")
	}
}
