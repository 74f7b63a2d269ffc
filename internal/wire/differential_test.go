package wire

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/miekg/dns"

	"lastgood/internal/dnsname"
)

// TestReadAgainstLibrary packs random messages with a general DNS library:
// what a View reads is what was packed.
func TestReadAgainstLibrary(t *testing.T) {
	samples := sampleRecords(t)
	r := rand.New(rand.NewPCG(3, 4))
	for range 800 {
		m, packed := randomMessage(t, r, samples)
		v, err := Read(packed)
		if err != nil {
			t.Fatalf("%v\n%v", err, m)
		}
		compareHeader(t, v, m)
		var sections [3][]dns.RR
		copy(sections[:], [][]dns.RR{m.Answer, m.Ns, m.Extra})
		for c := v.Records(); c.Next(); {
			rec := c.Record()
			s := &sections[rec.Section-AnswerSection]
			if len(*s) == 0 {
				t.Fatalf("a record too many in section %v", rec.Section)
			}
			compareRecord(t, rec, (*s)[0])
			*s = (*s)[1:]
		}
		if len(sections[0])+len(sections[1])+len(sections[2]) != 0 {
			t.Fatal("records were not read")
		}
	}
}

func compareHeader(t *testing.T, v View, m *dns.Msg) {
	t.Helper()
	got := dns.MsgHdr{
		Id: v.ID(), Response: v.IsResponse(), Opcode: int(v.Opcode()), Authoritative: v.AA(), Truncated: v.TC(),
		RecursionDesired: v.RD(), RecursionAvailable: v.RA(), AuthenticatedData: v.AD(), CheckingDisabled: v.CD(),
		Rcode: int(v.Rcode()),
	}
	if got != m.MsgHdr {
		t.Fatalf("header %v, want %v", got, m.MsgHdr)
	}
	q, ok := v.Question()
	if want := m.Question[0]; !ok || string(dnsname.AppendText(nil, q.Name)) != want.Name || uint16(q.Type) != want.Qtype ||
		uint16(q.Class) != want.Qclass {
		t.Fatalf("question %v, want %v", q, want)
	}
	e, ok := v.EDNS()
	opt := m.IsEdns0()
	if ok != (opt != nil) || ok && (e.DO != opt.Do() || e.UDPSize != opt.UDPSize() || e.Version != opt.Version()) {
		t.Fatalf("EDNS %v, want %v", e, opt)
	}
	if ok {
		nsid, has := e.Option(OptionNSID)
		if !has || !bytes.Equal(nsid, []byte{0xc0, 0xff, 0xee}) {
			t.Fatalf("NSID %x", nsid)
		}
	}
}

func compareRecord(t *testing.T, r Record, rr dns.RR) {
	t.Helper()
	h := rr.Header()
	owner, err := r.AppendName(nil)
	if err != nil || string(dnsname.AppendText(nil, owner)) != h.Name {
		t.Fatalf("owner %q, %v; want %s", owner, err, h.Name)
	}
	if uint16(r.Type) != h.Rrtype || uint16(r.Class) != h.Class || r.TTL != h.Ttl {
		t.Fatalf("%v %v %d, want %v", r.Type, r.Class, r.TTL, h)
	}
	rdata, err := r.AppendRdata(nil)
	if want := plainRdata(t, rr); err != nil || !bytes.Equal(rdata, want) {
		t.Fatalf("data of %v:\n%x, %v; want\n%x", rr, rdata, err, want)
	}
	if err := CheckRdata(r.Type, rdata); err != nil {
		t.Fatalf("%v: %v", rr, err)
	}
}

// TestBuildAgainstLibrary writes the same messages with a Builder: the library
// unpacks what it packed itself, and ours is no longer than its own.
func TestBuildAgainstLibrary(t *testing.T) {
	samples := sampleRecords(t)
	r := rand.New(rand.NewPCG(5, 6))
	for range 800 {
		m, packed := randomMessage(t, r, samples)
		v, err := Read(packed)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := rebuild(v, nil, MaxMessage)
		if err != nil {
			t.Fatalf("%v\n%v", err, m)
		}
		var got, want dns.Msg
		if err := got.Unpack(ours); err != nil {
			t.Fatalf("the library refuses: %v\n%v", err, m)
		}
		if err := want.Unpack(packed); err != nil {
			t.Fatal(err)
		}
		if !sameMessage(t, &got, &want) {
			t.Fatalf("built\n%v\nfrom\n%v", &got, &want)
		}
		if len(ours) > len(packed) {
			t.Fatalf("%d octets, the library needs %d\n%v", len(ours), len(packed), m)
		}
	}
}

// sameMessage compares by content: a name that was compressed to one that
// differs in case may have either.
func sameMessage(t *testing.T, a, b *dns.Msg) bool {
	t.Helper()
	if a.MsgHdr != b.MsgHdr || !slices.Equal(a.Question, b.Question) {
		return false
	}
	return slices.EqualFunc(slices.Concat(a.Answer, a.Ns, a.Extra), slices.Concat(b.Answer, b.Ns, b.Extra), func(x, y dns.RR) bool {
		return bytes.EqualFold([]byte(x.String()), []byte(y.String()))
	})
}
