package rootzone

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

// messages puts the records of a transfer into as many messages as chance wants.
func messages(t testing.TB, r *rand.Rand, asked wire.Type, records []Record) (all [][]byte) {
	t.Helper()
	for first := true; len(records) > 0; first = false {
		var b wire.Builder
		b.Reset(nil, wire.MaxMessage, wire.Header{Response: true, AA: true})
		if first || r.IntN(2) == 0 { // RFC 5936 §2.2.1
			b.Question(dnsname.Root, asked, wire.ClassIN)
		}
		n := min(len(records), 1+r.IntN(20))
		for _, rec := range records[:n] {
			if !b.Record(wire.AnswerSection, rec.Name, rec.Type, wire.ClassIN, rec.TTL, rec.Data) {
				t.Fatal("no room")
			}
		}
		records = records[n:]
		all = append(all, b.Bytes())
	}
	return all
}

// receive has the messages of a transfer read.
func receive(t testing.TB, have *Data, all [][]byte) (*Data, error) {
	t.Helper()
	in := NewTransfer(have)
	for i, msg := range all {
		v, err := wire.Read(msg)
		if err != nil {
			t.Fatal(err)
		}
		done, err := in.Add(v)
		if err != nil {
			return nil, err
		}
		if done != (i == len(all)-1) {
			t.Fatalf("message %d of %d: done %v", i+1, len(all), done)
		}
	}
	return in.Data()
}

// whole is the content of a transfer of the whole zone.
func whole(records []Record) []Record {
	isSOA := func(r Record) bool { return r.Type == wire.TypeSOA }
	soa := records[slices.IndexFunc(records, isSOA)]
	rest := slices.DeleteFunc(slices.Clone(records), isSOA)
	return slices.Concat([]Record{soa}, rest, []Record{soa})
}

func TestTransferWhole(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for range 100 {
		records := randomZone(t, r, 1+r.Uint32N(1000))
		have := (*Data)(nil)
		asked := wire.TypeAXFR
		if r.IntN(2) == 0 { // a server may always send all of it (RFC 1995 §4)
			have, asked = build(t, randomZone(t, r, 0)), wire.TypeIXFR
		}
		got, err := receive(t, have, messages(t, r, asked, whole(records)))
		if err != nil || !got.same(build(t, records)) {
			t.Fatalf("asked %s: %v", asked, err)
		}
	}
}

// step is what changes from one version of a zone to the next, with the two SOA
// records in front (RFC 1995 §4).
func step(from, to []Record) (out []Record) {
	contains := func(list []Record, r Record) bool {
		return slices.ContainsFunc(list, func(o Record) bool {
			return o.Name == r.Name && o.Type == r.Type && o.TTL == r.TTL && bytes.Equal(o.Data, r.Data)
		})
	}
	half := func(a, b []Record) {
		out = append(out, a[slices.IndexFunc(a, func(r Record) bool { return r.Type == wire.TypeSOA })])
		for i, r := range a {
			if r.Type != wire.TypeSOA && !contains(b, r) && !contains(a[:i], r) {
				out = append(out, r)
			}
		}
	}
	half(from, to)
	half(to, from)
	return out
}

// TestTransferDifferences: what the differences of one to five versions lead to is
// the last one, to the octet.
func TestTransferDifferences(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for range 150 {
		serial := r.Uint32() // over the end of the numbers too
		first := randomZone(t, r, serial)
		last, changes := first, []Record(nil)
		for range 1 + r.IntN(5) {
			serial += 1 + r.Uint32N(1<<20)
			next := randomZone(t, r, serial)
			for _, rec := range last { // much stays
				if same := slices.ContainsFunc(next, func(o Record) bool { return o.Name == rec.Name && o.Type == rec.Type }); !same && r.IntN(4) > 0 {
					next = append(next, rec)
				}
			}
			changes, last = append(changes, step(last, next)...), next
		}
		soa := last[slices.IndexFunc(last, func(r Record) bool { return r.Type == wire.TypeSOA })]
		all := slices.Concat([]Record{soa}, changes, []Record{soa})
		have := build(t, first)
		before := have.Encode(signedAt)
		got, err := receive(t, have, messages(t, r, wire.TypeIXFR, all))
		if err != nil || !got.same(build(t, last)) {
			t.Fatal(err)
		}
		if !bytes.Equal(have.Encode(signedAt), before) {
			t.Fatal("the zone that was held has changed")
		}
	}
}

func soaOf(t testing.TB, serial string) Record {
	t.Helper()
	return parse(t, ".", ". 86400 IN SOA ns. admin. "+serial+" 1800 900 604800 86400")[0]
}

func TestTransferRefuses(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	one, two, three := soaOf(t, "1"), soaOf(t, "2"), soaOf(t, "3")
	ns := parse(t, ".", "aa. 60 IN NS ns.\nbb. 60 IN NS ns.")
	have := build(t, []Record{two, ns[0]})
	for _, tc := range []struct {
		what    string
		have    *Data
		records []Record
		want    string
	}{
		{"no SOA first", nil, []Record{ns[0], one}, "does not begin with"},
		{"another SOA last", nil, []Record{one, ns[0], two}, "not complete"},
		{"more behind the end", nil, []Record{one, ns[0], one, ns[1]}, "behind the end"},
		{"no end", nil, []Record{one, ns[0]}, "not complete"},
		{"the same serial", have, []Record{two}, ErrSame.Error()},
		{"an older serial", have, []Record{one}, ErrOlder.Error()},
		{"differences from another serial", have, []Record{three, one, two, two, three, three}, "they are from serial 1, not 2"},
		{"removal of what is not there", have, []Record{three, two, ns[1], three, three}, "there is no such bb. NS to remove"},
		{"addition of what is there", have, []Record{three, two, three, ns[0], three}, "that aa. NS to add is there"},
		{"differences that lead elsewhere", have, []Record{three, two, soaOf(t, "3"), ns[1], soaOf(t, "4")}, "its last SOA record is not its first"},
		{"differences without end", have, []Record{three, two, three, ns[1]}, "not complete"},
	} {
		in := NewTransfer(tc.have)
		asked := in.asked()
		var err error
		for _, msg := range messages(t, r, asked, tc.records) {
			v, _ := wire.Read(msg)
			if _, err = in.Add(v); err != nil {
				break
			}
		}
		if err == nil {
			_, err = in.Data()
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.what, err, tc.want)
		}
	}
}

// TestTransferMessages has messages that are none of a transfer.
func TestTransferMessages(t *testing.T) {
	message := func(h wire.Header, name dnsname.Name, typ wire.Type) []byte {
		var b wire.Builder
		b.Reset(nil, wire.MaxMessage, h)
		b.Question(name, typ, wire.ClassIN)
		soa := soaOf(t, "1")
		b.Record(wire.AnswerSection, soa.Name, soa.Type, wire.ClassIN, soa.TTL, soa.Data)
		return b.Bytes()
	}
	empty := func() []byte {
		var b wire.Builder
		b.Reset(nil, wire.MaxMessage, wire.Header{Response: true})
		return b.Bytes()
	}
	for _, tc := range []struct {
		what string
		msg  []byte
		want string
	}{
		{"good", message(wire.Header{Response: true}, dnsname.Root, wire.TypeAXFR), ""},
		{"a question", message(wire.Header{}, dnsname.Root, wire.TypeAXFR), "not a reply"},
		{"a refusal", message(wire.Header{Response: true, Rcode: wire.RcodeRefused}, dnsname.Root, wire.TypeAXFR), "answered with REFUSED"},
		{"half a message", message(wire.Header{Response: true, TC: true}, dnsname.Root, wire.TypeAXFR), "truncated"},
		{"of another zone", message(wire.Header{Response: true}, dnsname.MustParse("aa."), wire.TypeAXFR), "not a reply"},
		{"of another type", message(wire.Header{Response: true}, dnsname.Root, wire.TypeIXFR), "not a reply"},
		{"without records", empty(), "no records"},
	} {
		v, err := wire.Read(tc.msg)
		if err != nil {
			t.Fatal(err)
		}
		_, err = NewTransfer(nil).Add(v)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.what, err, tc.want)
		}
	}
}

func TestRequest(t *testing.T) {
	have := build(t, parse(t, ".", smallRoot))
	for _, tc := range []struct {
		have *Data
		t    wire.Type
		soas int
	}{{nil, wire.TypeAXFR, 0}, {have, wire.TypeIXFR, 1}} {
		v, err := wire.Read(AppendRequest(nil, 77, tc.have))
		if err != nil {
			t.Fatal(err)
		}
		q, ok := v.Question()
		if !ok || v.ID() != 77 || v.IsResponse() || string(q.Name) != string(dnsname.Root) || q.Type != tc.t || v.Count(wire.AuthoritySection) != tc.soas {
			t.Errorf("%s: question %v, %d SOA records", tc.t, q, v.Count(wire.AuthoritySection))
		}
		for c := v.Records(); c.Next(); {
			r, err := readRecord(c.Record(), nil)
			if s, ok := readSOA(r.Data); err != nil || !ok || s.serial != have.Serial() {
				t.Errorf("SOA record: %v, %+v", err, s)
			}
		}
	}
}

func TestNewer(t *testing.T) {
	for _, tc := range []struct {
		a, b uint32
		want bool
	}{
		{1, 0, true}, {0, 1, false}, {5, 5, false}, {0, 0xffffffff, true}, {0xffffffff, 0, false},
		{0x7fffffff, 0, true}, {0x80000000, 0, false}, {0, 0x80000000, false}, {100, 0xffffff00, true},
	} {
		if got := Newer(tc.a, tc.b); got != tc.want {
			t.Errorf("%d after %d: %v", tc.a, tc.b, got)
		}
	}
}

// FuzzTransfer: whatever the messages are, the end is a zone that is sound, or an
// error, and what was held stays as it was.
func FuzzTransfer(f *testing.F) {
	r := rand.New(rand.NewPCG(15, 16))
	records := randomZone(f, r, 5)
	held := randomZone(f, r, 4)
	soa := records[0]
	for _, content := range [][]Record{whole(records), slices.Concat([]Record{soa}, step(held, records), []Record{soa})} {
		for _, asked := range []wire.Type{wire.TypeAXFR, wire.TypeIXFR} {
			for _, msg := range messages(f, r, asked, content)[:1] {
				f.Add(msg, asked == wire.TypeIXFR)
			}
		}
	}
	have := build(f, held)
	before := have.Encode(signedAt)
	f.Fuzz(func(t *testing.T, msg []byte, incremental bool) {
		in := NewTransfer(nil)
		if incremental {
			in = NewTransfer(have)
		}
		v, err := wire.Read(msg)
		if err != nil {
			return
		}
		for range 3 { // the same message again: more of everything
			done, err := in.Add(v)
			if done || err != nil {
				break
			}
		}
		if d, err := in.Data(); err == nil {
			soundData(t, d)
		} else if d != nil {
			t.Fatalf("a zone, and %v", err)
		}
		if !bytes.Equal(have.Encode(signedAt), before) {
			t.Fatal("what was held has changed")
		}
	})
}
