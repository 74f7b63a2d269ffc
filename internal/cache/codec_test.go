package cache

import (
	"math/rand/v2"
	"testing"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// use calls every method of a hit.
func use(h *Hit) int {
	n := len(h.Data()) + len(h.Sigs()) + len(h.Name()) + len(h.Cut()) + h.ProofLen() + int(h.TTL(1))
	s := h.Set()
	n += len(s.Data) + int(h.State(1)) + int(h.Rank()) + int(h.Security()) + int(h.Kind()) + h.Valid().Day()
	for i := range h.ProofLen() + 1 {
		p := h.ProofAt(i)
		n += len(p.Name) + len(p.Data) + len(p.Sigs)
	}
	e := h.Entry()
	return n + len(e.Proof)
}

func TestEncodeThenDecode(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 4))
	names := []dnsname.Name{dnsname.Root, name("example."), name("a.example."), name("b.a.example."), name("other.test.")}
	for i := range 1000 {
		e := randomEntry(r, names)
		st := stamp{tag: r.Uint32(), gen: r.Uint32(), ttl: 1 + r.Uint32N(1<<20), stored: at(0)}
		st.until = st.expiry().Add(onPolicy.Max)
		rec := encode(nil, &e, st)
		var h Hit
		if !decode(&h, rec) {
			t.Fatalf("%d: not decoded: %+v", i, e)
		}
		got := h.Entry()
		e.TTL, e.Stored, e.Expiry, e.StaleUntil = st.ttl, st.stored, st.expiry(), st.until
		if !same(got, e) || h.gen != st.gen {
			t.Fatalf("%d: %+v\nwant %+v", i, got, e)
		}
		for cut := range min(len(rec), 200) {
			if decode(&h, rec[:cut]) {
				use(&h)
			}
		}
	}
}

// What a reader copies while a writer is at it is anything at all.
func FuzzDecode(f *testing.F) {
	e := address(name("www.example."), 300)
	e.Proof = denial(NoData, e.Name, wire.TypeA, 300).Proof
	e.Proof[0].Sigs = e.Set.Data
	f.Add(encode(nil, e, stamp{ttl: 1}))
	e.Security, e.Valid = rrset.Secure, time.Unix(1<<31, 0)
	f.Add(encode(nil, e, stamp{ttl: 1}))
	e.Cut = name("elsewhere.test.")
	f.Add(encode(nil, e, stamp{ttl: 1<<32 - 1, gen: 1, stored: 1 << 62}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, rec []byte) {
		var h Hit
		if !decode(&h, rec) {
			return
		}
		if use(&h) < 0 {
			t.Fatal("negative length")
		}
	})
}
