package validator

import (
	"context"
	"strings"
	"testing"

	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
	"lastgood/internal/ede"
	"lastgood/internal/event"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// TestExplain: the chain is told of link by link, to where it ends.
func TestExplain(t *testing.T) {
	w := newWorld(t, small+"broken.example. ds=wrong\nwww A 192.0.2.80\n")
	for _, tc := range []struct{ name, want string }{
		{"www.example.", ". secure, example. secure, www.example. secure"},
		{"deep.ent.example.", ". secure, example. secure, deep.ent.example. secure"},
		{"www.safe.out.example.", ". secure, example. secure, out.example. secure, safe.out.example. secure, www.safe.out.example. secure"},
		{"www.cut.out.example.", ". secure, example. secure, out.example. secure, cut.out.example. insecure"},
		{"www.plain.example.", ". secure, example. secure, plain.example. insecure"},
		{"www.alien.example.", ". secure, example. secure, alien.example. insecure"},
		{"www.broken.example.", ". secure, example. secure, broken.example. bogus"},
		{"a.b.nowhere.example.", ". secure, example. secure"},
	} {
		_, entries := w.judge(tc.name, wire.TypeA)
		links := w.v.Explain(context.Background(), w, &entries[0], dnssec.NewBudget(ample))
		var got []string
		for _, l := range links {
			got = append(got, l.Zone.String()+" "+strings.ToLower(l.Security.String()))
			if l.Text == "" {
				t.Errorf("%s: nothing said of %s", tc.name, l.Zone)
			}
		}
		if strings.Join(got, ", ") != tc.want {
			t.Errorf("%s: %s", tc.name, strings.Join(got, ", "))
		}
	}
	_, entries := w.judge("www.example.", wire.TypeA)
	links := w.v.Explain(context.Background(), w, &entries[0], dnssec.NewBudget(ample))
	zone, answer := links[1], links[2]
	if len(zone.DS) != 1 || len(zone.Keys) != 2 || len(zone.Signed) != 1 || zone.Signed[0].Tag != zone.DS[0].Tag || len(answer.Signed) != 1 {
		t.Errorf("%+v", links)
	}
	for _, k := range zone.Keys {
		if k.Entry != (k.Tag == zone.DS[0].Tag) {
			t.Errorf("%+v", zone.Keys)
		}
	}
	if want := "from 2026-05-05T11:00:00Z until 2026-08-03T12:00:00Z"; !strings.Contains(zone.Text, want) || !strings.Contains(answer.Text, want) {
		t.Errorf("%q, %q", zone.Text, answer.Text)
	}
}

// TestRenew: when a signature is by a key that the zone's set does not have, the set is
// had anew once, and no oftener than whoever fetches lets it.
func TestRenew(t *testing.T) {
	const body = "\nwww A 192.0.2.1\n"
	w := newWorld(t, ". keys=csk1\nexample. keys=ksk1,zsk1"+body)
	if v, _ := w.judge("www.example.", wire.TypeA); v.Failure != nil {
		t.Fatal(v.Failure)
	}
	w.zones["\x07example\x00"] = newWorld(t, ". keys=csk1\nexample. keys=ksk1,zsk2"+body).zones["\x07example\x00"]
	if v, _ := w.judge("www.example.", wire.TypeA); v.Failure == nil || v.Failure.Code != ede.DNSKEYMissing {
		t.Fatalf("with the old keys: %v", v.Failure)
	}
	r := &renewing{world: w}
	q := event.Question{Name: "\x03www\x07example\x00", Type: wire.TypeA}
	entries := w.answer(q)
	v := w.v.Judge(context.Background(), r, q, entries, w.budget)
	if v.Failure != nil || v.Bogus || len(v.Links) > 0 || entries[0].Security != rrset.Secure || r.n != 1 {
		t.Errorf("with the new ones: %v, %v, %d", v.Failure, entries[0].Security, r.n)
	}
}

type renewing struct {
	*world
	n int
}

func (r *renewing) Renew(ctx context.Context, zone dnsname.Name, t wire.Type) (cache.Entry, bool) {
	r.n++
	delete(r.memo, event.Question{Name: zone, Type: t})
	e, _, err := r.Fetch(ctx, zone, t)
	return e, err == nil
}

// TestKeyTable: keys are read once for each state of a set, within a bound of memory.
func TestKeyTable(t *testing.T) {
	var table keyTable
	b := dnssec.NewBudget(ample)
	set := func(zone string, size int) *rrset.Set {
		s := &rrset.Set{Name: dnsname.MustParse(zone), Type: wire.TypeDNSKEY}
		s.Add(300, append([]byte{1, 0, 3, 15}, make([]byte, 32)...))
		s.Add(300, make([]byte, size))
		return s
	}
	first := table.read(set("a.", 10), b)
	if again := table.read(set("a.", 10), b); len(first) != 1 || again[0] != first[0] {
		t.Errorf("%d keys, read again", len(first))
	}
	if other := table.read(set("a.", 11), b); other[0] == first[0] {
		t.Error("the keys of another set")
	}
	for i := range 800 {
		table.read(set(string(rune('a'+i%26))+string(rune('a'+i/26%26))+string(rune('a'+i/676))+".", 60_000), b)
	}
	sum := 0
	for _, s := range table.sets {
		sum += s.size()
	}
	if sum != table.octets || sum > mostKeyOctets || sum < mostKeyOctets/2 {
		t.Errorf("%d octets, counted %d", sum, table.octets)
	}
}

// TestTooManyPointers: when thousands of DS records lead to none of a zone's keys, to
// say so takes no thousands of digests.
func TestTooManyPointers(t *testing.T) {
	zone := dnsname.MustParse("example.")
	set := &rrset.Set{Name: zone, Type: wire.TypeDNSKEY}
	var p pointers
	for i := range byte(200) {
		data := append([]byte{0, 0, 3, 15}, make([]byte, 200)...)
		data[200] = i
		set.Data = set.Data.Append(data)
		k, err := dnssec.ReadKey(data)
		if err != nil {
			t.Fatal(err)
		}
		p.list = append(p.list, dnssec.DS{Tag: k.Tag, Algorithm: 15, Type: dnssec.SHA256, Digest: k.Digest(zone, dnssec.SHA256)})
	}
	first := p.list[0]
	p.of, p.list = "its DS records", append(p.list[150:151], p.list...)
	if err := p.nobody(zone, set); err.Code != ede.NoZoneKeyBit {
		t.Errorf("among the first: %v", err)
	}
	p.list = p.list[:0]
	for range 5000 {
		p.list = append(p.list, dnssec.DS{Tag: first.Tag, Algorithm: 15, Type: dnssec.SHA256, Digest: make([]byte, 32)})
	}
	p.list = append(p.list, first)
	p.tags = nil
	if err := p.nobody(zone, set); err.Code != ede.DNSKEYMissing || len(err.Text) > 200 {
		t.Errorf("behind five thousand: %v", err)
	}
}
