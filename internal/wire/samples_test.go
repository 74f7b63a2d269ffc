package wire

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"lastgood/internal/dnsname"
)

// sampleRecords reads testdata/records.txt with the library that the tests
// hold ours against.
func sampleRecords(t testing.TB) []dns.RR {
	t.Helper()
	text, err := os.ReadFile("testdata/records.txt")
	if err != nil {
		t.Fatal(err)
	}
	var rrs []dns.RR
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, ";") {
			continue
		}
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		rrs = append(rrs, rr)
	}
	return rrs
}

// plainRdata is the uncompressed data of a record as the library packs it.
func plainRdata(t testing.TB, rr dns.RR) []byte {
	t.Helper()
	buf := make([]byte, dns.MaxMsgSize)
	end, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		t.Fatalf("%v: %v", rr, err)
	}
	at := dnsname.WireLen(buf) + 10
	if n := int(binary.BigEndian.Uint16(buf[at-2:])); n != end-at {
		t.Fatalf("%v: data is %d octets, says %d", rr, end-at, n)
	}
	return buf[at:end:end]
}

// randomMessage is a compressed message with some of the sample records.
func randomMessage(t testing.TB, r *rand.Rand, samples []dns.RR) (*dns.Msg, []byte) {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(samples[r.IntN(len(samples))].Header().Name, uint16(r.IntN(300)))
	m.Id = uint16(r.Uint32())
	m.Response, m.Authoritative, m.Truncated = r.IntN(2) == 0, r.IntN(2) == 0, r.IntN(2) == 0
	m.RecursionDesired, m.RecursionAvailable = r.IntN(2) == 0, r.IntN(2) == 0
	m.AuthenticatedData, m.CheckingDisabled = r.IntN(2) == 0, r.IntN(2) == 0
	m.Opcode, m.Rcode = r.IntN(6), r.IntN(16)
	m.Compress = r.IntN(4) != 0
	for _, section := range []*[]dns.RR{&m.Answer, &m.Ns, &m.Extra} {
		for range r.IntN(8) {
			rr := dns.Copy(samples[r.IntN(len(samples))])
			rr.Header().Ttl = r.Uint32()
			if r.IntN(3) == 0 {
				rr.Header().Name = mangleCase(r, rr.Header().Name)
			}
			*section = append(*section, rr)
		}
	}
	if r.IntN(2) == 0 {
		m.SetEdns0(1232, r.IntN(2) == 0)
		opt := m.IsEdns0()
		opt.SetExtendedRcode(uint16(m.Rcode) | uint16(r.IntN(4))<<4)
		opt.Option = append(opt.Option, &dns.EDNS0_NSID{Nsid: "c0ffee"}, &dns.EDNS0_EDE{InfoCode: 3, ExtraText: "old"})
		m.Rcode = int(opt.ExtendedRcode()) | m.Rcode&15
	}
	packed, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return m, packed
}

func mangleCase(r *rand.Rand, s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'a' <= c && c <= 'z' && r.IntN(2) == 0 {
			b[i] = c - 32
		}
	}
	return string(b)
}

// rebuild writes every question and record that a View has with a Builder.
func rebuild(v View, dst []byte, limit int) ([]byte, error) {
	var b Builder
	b.Reset(dst, limit, Header{
		ID: v.ID(), Opcode: v.Opcode(), Response: v.IsResponse(), AA: v.AA(), TC: v.TC(), RD: v.RD(),
		RA: v.RA(), AD: v.AD(), CD: v.CD(), Rcode: v.Rcode(),
	})
	if q, ok := v.Question(); ok && !b.Question(dnsname.Alias(q.Name), q.Type, q.Class) {
		return nil, ErrLong
	}
	for c := v.Records(); c.Next(); {
		r := c.Record()
		if r.Type == TypeOPT {
			if e, _ := v.EDNS(); !b.OPT(e, v.Rcode()) {
				return nil, ErrLong
			}
			continue
		}
		owner, err := r.AppendName(nil)
		if err != nil {
			return nil, err
		}
		rdata, err := r.AppendRdata(nil)
		if err != nil {
			return nil, err
		}
		if !b.Record(r.Section, dnsname.Alias(owner), r.Type, r.Class, r.TTL, rdata) {
			return nil, ErrLong
		}
	}
	return b.Bytes(), nil
}
