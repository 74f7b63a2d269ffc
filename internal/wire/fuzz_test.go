package wire

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/miekg/dns"

	"lastgood/internal/dnsname"
)

// FuzzRead reads any octets as a message, walks it, builds it anew and reads
// that: the content is the same.
func FuzzRead(f *testing.F) {
	samples := sampleRecords(f)
	r := rand.New(rand.NewPCG(19, 20))
	for range 30 {
		_, packed := randomMessage(f, r, samples)
		f.Add(packed)
	}
	for _, rr := range samples {
		m := &dns.Msg{Answer: []dns.RR{rr}, Compress: true}
		m.SetQuestion(rr.Header().Name, rr.Header().Rrtype)
		packed, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packed)
	}
	f.Add(message(1, 1, 0, 0, question, record(www, TypeNULL, "\xc0\x0c\xc0\x1d")))
	f.Fuzz(func(t *testing.T, msg []byte) {
		v, err := Read(msg)
		if len(msg) < HeaderLen {
			return
		}
		content := walkAll(t, v)
		if err != nil || v.Count(QuestionSection) > 1 {
			return
		}
		again, err := rebuild(v, nil, MaxMessage)
		if err != nil {
			return // data that is malformed, or too long without its compression
		}
		w, err := Read(again)
		if err != nil {
			t.Fatalf("built anew it is refused: %v\n%x\n%x", err, msg, again)
		}
		if got := walkAll(t, w); !slices.EqualFunc(got, content, dnsname.EqualFold[string, string]) {
			t.Fatalf("%q\nbecame\n%q", content, got)
		}
		sameHead(t, v, w)
	})
}

func sameHead(t *testing.T, v, w View) {
	t.Helper()
	if !bytes.Equal(v.msg[:2], w.msg[:2]) || (v.flags()^w.flags())&^(1<<6) != 0 || v.Rcode() != w.Rcode() || !bytes.Equal(v.msg[4:12], w.msg[4:12]) {
		t.Fatalf("header %x became %x", v.msg[:12], w.msg[:12])
	}
	q, ok := v.Question()
	p, ok2 := w.Question()
	if ok != ok2 || q.Type != p.Type || q.Class != p.Class || !bytes.Equal(q.Name, p.Name) {
		t.Fatalf("question %v became %v", q, p)
	}
	e, ok := v.EDNS()
	d, ok2 := w.EDNS()
	if ok != ok2 || e.UDPSize != d.UDPSize || e.Version != d.Version || e.DO != d.DO || !bytes.Equal(e.Options, d.Options) {
		t.Fatalf("EDNS %v became %v", e, d)
	}
}

// FuzzAppendName expands the name at any place of any octets.
func FuzzAppendName(f *testing.F) {
	f.Add(message(1, 0, 0, 0, question, www), 12)
	f.Add(message(1, 0, 0, 0, question, www), 29)
	f.Fuzz(func(t *testing.T, msg []byte, off int) {
		if off < 0 {
			return
		}
		name, end, err := AppendName(nil, msg, off)
		if err != nil {
			return
		}
		if dnsname.WireLen(name) != len(name) || end <= off || end > len(msg) {
			t.Fatalf("%x, ends at %d", name, end)
		}
		if skipped, err := skipName(msg, off); err != nil || skipped != end {
			t.Fatalf("skipping it ends at %d, %v, reading at %d", skipped, err, end)
		}
	})
}

// FuzzOptions reads any octets as EDNS options and writes them anew.
func FuzzOptions(f *testing.F) {
	f.Add(AppendEDE(AppendOption(nil, OptionNSID, nil), 3, "stale"))
	f.Fuzz(func(t *testing.T, o []byte) {
		var again []byte
		for code, data := range (EDNS{Options: o}).All() {
			again = AppendOption(again, code, data)
			_, _, _ = ReadEDE(data)
		}
		if !bytes.HasPrefix(o, again) || validOptions(o) != (len(again) == len(o)) {
			t.Fatalf("%x reads as %x", o, again)
		}
	})
}

// FuzzRdata stores any octets as data of any type: what is accepted is whole,
// and stays itself when sent and received.
func FuzzRdata(f *testing.F) {
	for _, rr := range sampleRecords(f) {
		f.Add(rr.Header().Rrtype, plainRdata(f, rr))
	}
	f.Fuzz(func(t *testing.T, typ uint16, rdata []byte) {
		if CheckRdata(Type(typ), rdata) != nil || Type(typ) == TypeOPT || len(rdata) > 60000 {
			return
		}
		b := started(t, MaxMessage)
		if !b.Record(AnswerSection, wwwExample, Type(typ), ClassIN, 5, rdata) {
			t.Fatal("no room")
		}
		v, err := Read(b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		c := v.Records()
		c.Next()
		if got, err := c.rec.AppendRdata(nil); err != nil || !dnsname.EqualFold(got, rdata) {
			t.Fatalf("%v %x became %x, %v", Type(typ), rdata, got, err)
		}
	})
}
