package cache

import (
	"encoding/binary"
	"slices"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/rrset"
	"lastgood/internal/stale"
	"lastgood/internal/wire"
)

// Hit is an entry as [Cache.Lookup] found it. It aliases the Reader's memory
// and ends with the Reader's next Lookup; Entry makes a copy that lasts.
// Nothing but Entry allocates.
type Hit struct {
	rec    []byte
	meta   uint64
	stored clock.Mono
	expiry clock.Mono
	until  clock.Mono
	gen    uint32
	ttl    uint32
	setTTL uint32
	// Where in rec the RRset's data, its signatures and the proof begin.
	dataAt, sigsAt, proofAt uint32

	// Where Lookup found the entry, see Claim; nil: it did not.
	from *slab
	at   ref
	due  bool
}

// Kind says what the entry holds.
func (h *Hit) Kind() Kind { return Kind(h.meta >> metaKind & 3) }

// Type is the type of the RRset, or the one that is denied; TypeNone for
// NXDomain. TypeCNAME where another type was asked for is an alias to follow.
func (h *Hit) Type() wire.Type { return wire.Type(h.meta) }

// Rank is the entry's trustworthiness.
func (h *Hit) Rank() Rank { return Rank(h.meta >> metaRank & 3) }

// Security is the validator's verdict.
func (h *Hit) Security() rrset.Security { return metaSecurityOf(h.meta) }

// Why tells why what is signed is Insecure, as [Entry] does; 0: nothing is to be told.
func (h *Hit) Why() ede.Code { return metaWhyOf(h.meta) }

// Valid is until when the signatures are that the entry is secure by, those of the
// chain of trust included; zero where none are, or nobody told.
func (h *Hit) Valid() time.Time {
	if !timed(h.Kind(), h.Security(), h.Type()) {
		return time.Time{}
	}
	s := binary.LittleEndian.Uint32(h.rec[len(h.rec)-validLen:])
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(int64(s), 0).UTC()
}

// Name is the owner.
func (h *Hit) Name() dnsname.Name { return dnsname.Alias(h.name()) }

func (h *Hit) name() []byte { return h.rec[headLen:][:h.meta>>metaName&0xff] }

// Cut is the zone that gave the entry; empty when it was not told.
func (h *Hit) Cut() dnsname.Name {
	n := h.name()
	c := cursor{b: h.rec[headLen+len(n):]}
	return dnsname.Alias(c.name(n, byte(h.meta>>metaCut)))
}

// Stored is when the entry was put.
func (h *Hit) Stored() clock.Mono { return h.stored }

// Expiry is when the entry ceases to be fresh.
func (h *Hit) Expiry() clock.Mono { return h.expiry }

// StaleUntil is from when on the entry is never served, as package stale set
// it when the entry was stored.
func (h *Hit) StaleUntil() clock.Mono { return h.until }

// OriginalTTL is the lifetime in seconds that the entry was stored with, after
// the cache's bounds.
func (h *Hit) OriginalTTL() uint32 { return h.ttl }

// TTL is what is left of the lifetime in seconds, rounded up: at least 1 while
// the entry is fresh, else 0.
func (h *Hit) TTL(now clock.Mono) uint32 {
	left := h.expiry.Sub(now)
	if left <= 0 {
		return 0
	}
	return min(h.ttl, uint32((left+time.Second-1)/time.Second))
}

// State says what the entry is at a moment. It reads nothing of the Reader's.
func (h *Hit) State(now clock.Mono) stale.State { return stale.StateOf(now, h.expiry, h.until) }

// Data is the record data of an entry of kind Data, else empty.
func (h *Hit) Data() rrset.Packed { return rrset.Packed(h.rec[h.dataAt:h.sigsAt:h.sigsAt]) }

// Sigs are the signatures that cover Data.
func (h *Hit) Sigs() rrset.Packed {
	if h.Kind() != Data {
		return nil
	}
	return rrset.Packed(h.rec[h.sigsAt:h.proofAt:h.proofAt])
}

// Set is the RRset of an entry of kind Data, with the TTL it was received with.
func (h *Hit) Set() rrset.Set {
	return rrset.Set{Name: h.Name(), Type: h.Type(), TTL: h.setTTL, Data: h.Data(), Sigs: h.Sigs()}
}

// ProofLen is the number of proof sets.
func (h *Hit) ProofLen() int { return int(h.meta >> metaProofs & 0xff) }

// ProofAt is the proof set with number i, counted from 0: the SOA comes first,
// then what proves the denial or wildcard. TTL is the one it was received
// with. The Set aliases the hit.
func (h *Hit) ProofAt(i int) rrset.Set {
	c := cursor{b: h.rec[h.proofAt:]}
	own := h.name()
	var s rrset.Set
	for range min(i+1, h.ProofLen()) {
		s.Name = dnsname.Alias(c.name(own, c.byte()))
		if t := c.take(2); t != nil {
			s.Type = wire.Type(binary.LittleEndian.Uint16(t))
		}
		s.TTL, s.Data, s.Sigs = c.set()
	}
	if c.bad || i >= h.ProofLen() {
		return rrset.Set{}
	}
	return s
}

// Entry copies the hit to memory of its own.
func (h *Hit) Entry() Entry {
	e := Entry{
		Kind: h.Kind(), Name: cloneName(h.Name()), Type: h.Type(),
		Rank: h.Rank(), Security: h.Security(), Cut: cloneName(h.Cut()), TTL: h.ttl, Valid: h.Valid(), Why: h.Why(),
		Stored: h.stored, Expiry: h.expiry, StaleUntil: h.until,
	}
	if e.Kind == Data {
		e.Set = cloneSet(h.Set())
		e.Set.Name = e.Name
	}
	for i := range h.ProofLen() {
		e.Proof = append(e.Proof, cloneSet(h.ProofAt(i)))
	}
	return e
}

// cloneSet copies a set and its name.
func cloneSet(s rrset.Set) rrset.Set {
	s.Name = cloneName(s.Name)
	s.Data, s.Sigs = slices.Clone(s.Data), slices.Clone(s.Sigs)
	return s
}
