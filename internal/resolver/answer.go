package resolver

import (
	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// Answer is what became of a question: a whole chain, or a failure.
type Answer struct {
	Rcode  wire.Rcode
	Chain  []Hop        // in chain order; empty after a failure
	Errors []*ede.Error // what to tell the client beyond the rcode
	Extra  []rrset.Set  // additional section, when responses are not minimal
	Local  bool         // from the resolver's own names
	At     clock.Mono   // the moment that the TTLs are told for
	DO     bool         // with signatures and proofs
	Stale  bool         // a hop is past its TTL (RFC 8767)
	AD     bool         // all of it is authentic, and the client wants to be told

	room *room // that it stands in, nil for none
}

// Hop is one step of a chain: an entry, and for a DNAME the alias that it
// makes of the name asked (RFC 6672 §3.1).
type Hop struct {
	Entry  cache.Entry
	Alias  dnsname.Name // owner of the synthesised CNAME, "" when Entry is no DNAME
	Target dnsname.Name // where an alias leads, "" at the chain's end

	local   bool   // from the configuration
	refused bool   // by it: the end of a chain that is not answered
	made    bool   // of what is proven of other names: told to who only looks
	stale   bool   // past its TTL
	told    uint32 // the TTL that a stale hop is told with
}

// TTL is what is left of an entry's life at a moment, in seconds, rounded up:
// an answer never says zero for what is still fresh.
func ttlAt(e *cache.Entry, now clock.Mono) uint32 {
	left := int64(e.Expiry - now)
	if left <= 0 {
		return 0
	}
	return uint32((left + 999_999_999) / 1_000_000_000)
}

// lapses tells whether a hop that was fresh has expired by a moment, unless it came
// with no lifetime, or is not an authority's.
func (h *Hop) lapses(at clock.Mono) bool {
	return !h.local && h.Entry.Cut != "" && h.Entry.Expiry > h.Entry.Stored && h.Entry.Expiry <= at
}

// ttl is what a hop's records are told with, in seconds: what is left of a fresh
// one's life, and of a stale one what the policy says.
func (a *Answer) ttl(h *Hop) uint32 {
	if h.stale {
		return h.told
	}
	return ttlAt(&h.Entry, a.At)
}

// Write adds the answer's records behind the question that stands in b: whole
// RRsets only.
func (a *Answer) Write(b *wire.Builder) Outcome {
	o := Outcome{Rcode: a.Rcode, AA: a.Local, AD: a.AD}
	for i := range a.Chain {
		if !a.writeHop(b, i) {
			o.Truncated = true
			return o
		}
	}
	for i := range a.Chain {
		if !a.writeProof(b, i) {
			o.Truncated = true
			return o
		}
	}
	for i := range a.Extra {
		writeSet(b, wire.AdditionalSection, &a.Extra[i], a.Extra[i].TTL, a.DO)
	}
	return o
}

// writeHop writes what a hop says in the answer section, false when it does not
// fit. What an earlier hop brought is not said again (RFC 2181 §5): one DNAME may
// make two aliases.
func (a *Answer) writeHop(b *wire.Builder, i int) bool {
	h := &a.Chain[i]
	e := &h.Entry
	ttl := a.ttl(h)
	if e.Kind == cache.Data && !a.hasSet(i, &e.Set) && !writeSet(b, wire.AnswerSection, &e.Set, ttl, a.DO) {
		return false
	}
	return h.Alias == "" || h.Target == "" ||
		b.Record(wire.AnswerSection, h.Alias, wire.TypeCNAME, wire.ClassIN, ttl, []byte(h.Target))
}

// writeProof writes what proves a hop, likewise: two wildcards may be denied
// better names by one record.
func (a *Answer) writeProof(b *wire.Builder, i int) bool {
	e := &a.Chain[i].Entry
	ttl := a.ttl(&a.Chain[i])
	for j := range e.Proof {
		p := &e.Proof[j]
		if proofWanted(p.Type, a.DO) && !a.hasProof(i, p) && !writeSet(b, wire.AuthoritySection, p, ttl, a.DO) {
			return false
		}
	}
	return true
}

// hasSet tells whether a hop before the one with a number has the set.
func (a *Answer) hasSet(before int, set *rrset.Set) bool {
	for i := range a.Chain[:before] {
		e := &a.Chain[i].Entry
		if e.Kind == cache.Data && e.Set.Type == set.Type && e.Set.Name == set.Name {
			return true
		}
	}
	return false
}

// hasProof tells whether a hop before the one with a number has the proof.
func (a *Answer) hasProof(before int, set *rrset.Set) bool {
	for i := range a.Chain[:before] {
		for j := range a.Chain[i].Entry.Proof {
			if p := &a.Chain[i].Entry.Proof[j]; p.Type == set.Type && p.Name == set.Name {
				return true
			}
		}
	}
	return false
}

// proofWanted tells whether a client sees a record of a proof: the SOA always,
// NSEC and NSEC3 when it asked for DNSSEC (RFC 4035 §3.2.1).
func proofWanted(t wire.Type, do bool) bool { return t == wire.TypeSOA || do }

// writeSet writes a whole RRset or nothing.
func writeSet(b *wire.Builder, s wire.Section, set *rrset.Set, ttl uint32, do bool) bool {
	mark := b.Mark()
	if b.Set(s, set.Name, set.Type, ttl, set.Data) &&
		(!do || b.Set(s, set.Name, wire.TypeRRSIG, ttl, set.Sigs)) {
		return true
	}
	b.Rewind(mark)
	return false
}

// failed makes the answer of a question that has none.
func failed(refused bool, errors ...*ede.Error) *Answer {
	return &Answer{Rcode: failureRcode(refused), Errors: errors}
}

func failureRcode(refused bool) wire.Rcode {
	if refused {
		return wire.RcodeRefused
	}
	return wire.RcodeServFail
}
