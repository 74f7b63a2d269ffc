package iterator

import (
	"lastgood/internal/cache"
	"lastgood/internal/wire"
)

// mostLinks bounds the referrals of one resolution whose links are kept.
const mostLinks = 8

// keepLink keeps what a referral tells of the cut's place in the chain of trust, and
// gives it, nil without any. What somebody says who is asked past the end of his
// delegation is not kept: who validates asks for it, if it is wanted.
func (t *task) keepLink(v *verdict) *cache.Entry {
	if !t.it.dnssec || t.via {
		return nil
	}
	e, ok := link(v)
	if !ok {
		return nil
	}
	t.addLink(e)
	return &e
}

// addLink keeps a link: of a cut whose parent was asked again, the later one.
func (t *task) addLink(e cache.Entry) {
	for i := range t.links {
		if t.links[i].Name == e.Name {
			t.links[i] = e
			return
		}
	}
	if len(t.links) < mostLinks {
		t.links = append(t.links, e)
	}
}

// link makes an entry of the DS records in a referral, or of the proof that the cut
// has none (RFC 4035 §3.1.4); false without either. What is not signed is neither.
func link(v *verdict) (cache.Entry, bool) {
	e := cache.Entry{Kind: cache.Data, Name: v.ns.Name, Type: wire.TypeDS, Rank: cache.RankAuthority, Cut: v.asked.zone}
	if ds := get(v.authority, v.ns.Name, wire.TypeDS); ds != nil {
		e.Set, e.TTL = *ds, ds.TTL
		return e, len(ds.Sigs) > 0
	}
	for _, p := range proofs(v.message, nil) {
		if len(p.Sigs) > 0 {
			e.Proof = append(e.Proof, p)
		}
	}
	// No SOA record says how long it is true: no longer than the delegation.
	e.Kind, e.TTL = cache.NoData, leastTTL(v.ns.TTL, e.Proof)
	return e, len(e.Proof) > 0
}
