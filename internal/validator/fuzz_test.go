package validator

import (
	"bytes"
	"context"
	"testing"

	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
	"lastgood/internal/event"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

var fuzzed = []event.Question{ // constant in effect
	{Name: dnsname.MustParse("www.example."), Type: wire.TypeA},
	{Name: dnsname.MustParse("nowhere.example."), Type: wire.TypeA},
	{Name: dnsname.MustParse("www.example."), Type: wire.TypeTXT},
	{Name: dnsname.MustParse("a.wild.example."), Type: wire.TypeA},
	{Name: dnsname.MustParse("b.wild.nsec.example."), Type: wire.TypeTXT},
	{Name: dnsname.MustParse("www.nsec.example."), Type: wire.TypeA},
	{Name: dnsname.MustParse("nowhere.nsec.example."), Type: wire.TypeA},
	{Name: dnsname.MustParse("c.nsec.example."), Type: wire.TypeA},
	{Name: dnsname.MustParse("www.safe.out.example."), Type: wire.TypeA},
	{Name: dnsname.MustParse("www.under.slow.example."), Type: wire.TypeA},
	{Name: dnsname.MustParse("example."), Type: wire.TypeDNSKEY},
	{Name: dnsname.MustParse("nsec.example."), Type: wire.TypeDS},
	{Name: dnsname.MustParse("www.plain.example."), Type: wire.TypeA},
}

// mutation is one change of one answer, of those that a chain of trust takes.
type mutation struct {
	answer, field, how uint8
	at                 uint16
	with               []byte
}

// apply changes an entry.
func (m *mutation) apply(e *cache.Entry) {
	sets := []*rrset.Set{&e.Set}
	for i := range e.Proof {
		sets = append(sets, &e.Proof[i])
	}
	s := sets[int(m.field>>1)%len(sets)]
	data := &s.Data
	if m.field&1 == 1 {
		data = &s.Sigs
	}
	if len(*data) == 0 {
		return
	}
	at := int(m.at) % len(*data)
	old := bytes.Clone(*data)
	switch m.how % 6 {
	case 0:
		for i, c := range m.with {
			old[(at+i)%len(old)] ^= c
		}
	case 1:
		old = append(old[:at:at], append(bytes.Clone(m.with), old[at:]...)...)
	case 2:
		old = append(old[:at], old[min(len(old), at+len(m.with)):]...)
	case 3:
		*data = rrset.Packed(old).Append(m.with) // a record more
		return
	case 4:
		*data = append(rrset.Packed(nil).Append(m.with), old...) // and first
		return
	case 5:
		e.Proof = nil
		return
	}
	*data = old
}

// FuzzJudge: however an answer, or a link that it needs, is changed, nothing crashes,
// and nothing is secure that is not as its zone says.
func FuzzJudge(f *testing.F) {
	for i := range fuzzed {
		for how := range uint8(6) {
			f.Add(uint8(i), uint8(0), uint8(0), uint8(i)%4, how, uint16(7), []byte{1})
			f.Add(uint8(i), uint8(i+1), uint8(1), uint8(1), how, uint16(30*i), []byte{0x80, 0})
		}
	}
	w := newWorld(f, small)
	f.Fuzz(func(t *testing.T, question, other, answer, field, how uint8, at uint16, with []byte) {
		if len(with) > 100 {
			return
		}
		q := fuzzed[int(question)%len(fuzzed)]
		m := mutation{answer, field, how, at, with}
		own := *w
		own.memo, own.budget = map[event.Question]link{}, dnssec.NewBudget(ample)
		truth := w.answer(q)
		lies := w.answer(fuzzed[int(other)%len(fuzzed)])
		n := uint8(0)
		own.change = func(_ event.Question, list []cache.Entry) {
			if n++; n-1 == answer%12 && len(list) > 0 {
				m.apply(&list[0])
			}
		}
		entries := own.answer(q)
		if len(entries) == 0 {
			return
		}
		if len(with) > 1 && with[0]&0x80 != 0 { // what is true of another name, said of this one
			claim := lies[0]
			claim.Name, claim.Cut = q.Name, entries[0].Cut
			if claim.Kind == cache.NoData {
				claim.Type = q.Type
			}
			if claim.Kind == cache.Data {
				claim.Set.Name = q.Name
			}
			entries = []cache.Entry{claim}
		}
		v := own.v.Judge(context.Background(), &own, q, entries, own.budget)
		if v.Good > 0 && v.Failure != nil && v.Good == len(entries) {
			t.Errorf("%d good of %d, and %v", v.Good, len(entries), v.Failure)
		}
		for i := range entries[:v.Good] {
			if e := &entries[i]; e.Security == rrset.Secure {
				so(t, e, append(truth, lies...))
			}
		}
	})
}

// so fails unless an entry that is believed is one of the truth.
func so(t *testing.T, e *cache.Entry, truth []cache.Entry) {
	t.Helper()
	for i := range truth {
		o := &truth[i]
		if o.Kind == e.Kind && o.Name == e.Name && o.Type == e.Type && bytes.Equal(rrset.Canonical(o.Type, o.Set.Data), rrset.Canonical(e.Type, e.Set.Data)) {
			return
		}
	}
	t.Errorf("secure, and not so: %v %s %v %x", e.Kind, e.Name, e.Type, e.Set.Data)
}
