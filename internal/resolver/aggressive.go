package resolver

import (
	"math"
	"slices"
	"sync/atomic"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
	"lastgood/internal/rrset"
	"lastgood/internal/stale"
	"lastgood/internal/wire"
)

// What was proven of one name holds for others (RFC 8198): who asks for one that
// secure records in the cache deny, or that they say a wildcard in the cache stands
// for, is answered from them. Only what is fresh is used, and what the cache has of
// the name itself counts before it.

// synthesisHashes bounds the names that are hashed for one hop, as dnssec.Limits
// counts: a name of three labels below the zone, with the most iterations that are
// computed, or one of a dozen with few. Who asks for deeper ones asks the zone.
const synthesisHashes = 32

// madeOfProofs is what people are told of such an answer.
const madeOfProofs = "made of what is proven of other names"

// synthesis is one look at what is proven of a trail's present name.
type synthesis struct {
	t      *trail
	now    clock.Mono
	zone   cache.RangeZone
	seen   []*cache.Range // that were looked at, no more than names are hashed
	oldest clock.Mono     // of those that prove something: when it was stored
	until  clock.Mono     // the first of them expires
	valid  time.Time      // and so do its signatures
}

// synthesised makes the hop of what is proven. The cache has nothing fresh of the
// name; last is what it has past its TTL, if the state is Stale. What came into the
// cache after a record was not known to it, and makes it say nothing. Stored are the
// answers of wildcards, to be the last good ones one day, and denials that disprove
// what is past its TTL; other denials are made again when they are asked for, so that
// a flood of them displaces nothing.
func (t *trail) synthesised(now clock.Mono, last *Hop, state stale.State) (Hop, bool) {
	zone, since, ok := t.proven(now)
	if !ok {
		return Hop{}, false
	}
	gen := t.r.cache.Generation()
	s := synthesis{t: t, now: now, zone: zone, oldest: now, until: now.Add(1 << 62)}
	e, ok := s.entry()
	if !ok || since > s.oldest || s.until.Sub(now) < time.Second || state == stale.Stale && last.Entry.Stored > s.oldest {
		return Hop{}, false
	}
	stored, standing := t.r.cache.Standing(now, t.name)
	if e.Kind != cache.NoData && (standing == stale.Fresh || standing == stale.Stale && stored > s.oldest) {
		return Hop{}, false
	}
	e.TTL = uint32(s.until.Sub(s.oldest) / time.Second)
	e.Most = e.TTL
	e.Stored, e.Expiry, e.StaleUntil = s.oldest, s.until, s.until
	if t.unasked {
		h := t.step(e)
		h.made = true
		return h, true
	}
	if e.Kind == cache.Data || state == stale.Stale || e.Kind == cache.NXDomain && standing != stale.Gone {
		t.r.cache.PutSince(s.oldest, gen, &e) // as if the zone had been asked then
	}
	t.r.stats.synthesised.count(&e)
	return t.step(e), true
}

// never is before all that is stored, also in an earlier run of the program.
const never = clock.Mono(math.MinInt64)

// proven finds the zone whose records may speak for the trail's present name: no
// zone known beneath it does, nobody else is to be asked for the name, and it is
// validated now. What the zone said before since it said before the name became a cut.
func (t *trail) proven(now clock.Mono) (zone cache.RangeZone, since clock.Mono, ok bool) {
	r, name := t.r, t.name
	if r.aggressive == nil {
		return zone, never, false
	}
	switch t.q.Type {
	case wire.TypeRRSIG, wire.TypeNSEC, wire.TypeNSEC3, wire.TypeSIG, wire.TypeNXT, wire.TypeANY:
		return zone, never, false
	case wire.TypeDS:
		if !name.IsRoot() {
			name = name.Parent() // whose word it is (RFC 4035 §2.4)
		}
	}
	zone, ok = r.cache.Ranges(now, name)
	if !ok || r.uncached != nil && r.uncached(t.name) || !r.validator.Anchored(t.name, t.q.Type) {
		return zone, never, false
	}
	for _, own := range r.served {
		if t.name.Under(own) && !zone.Name().Under(own) {
			return zone, never, false
		}
	}
	since = never
	cut, known := r.cache.Closest(now, t.name)
	if known && cut.Cut == t.name && name != t.name {
		since = cut.Learned
		cut, known = r.cache.Closest(now, name)
	}
	return zone, since, !known || !cut.Cut.Below(zone.Name())
}

// entry is what the zone would say, but for its times.
func (s *synthesis) entry() (cache.Entry, bool) {
	name := s.t.name
	d := dnssec.NewDenial(s.zone.Name(), nil, s.t.r.aggressive, nil)
	if any := s.zone.AnyNSEC3(); any != nil {
		d.Like(&any.Set, dnssec.NewBudget(dnssec.Limits{Hashes: synthesisHashes}))
	}
	e := cache.Entry{Name: name, Rank: cache.RankAuthAnswer, Security: rrset.Secure, Cut: s.zone.Name()}
	sets := d.Gather(name, s.byName, s.byHash)
	what, encloser := d.Synthesise(name, s.t.q.Type)
	switch what {
	case dnssec.NoSuchName:
		e.Kind = cache.NXDomain
	case dnssec.NoSuchType:
		e.Kind, e.Type = cache.NoData, s.t.q.Type
	case dnssec.MayExpand:
		ok := s.expand(&e, encloser)
		s.prove(&e, sets)
		return e, ok
	default:
		ok := len(sets) == 0 && s.hashed(&e, d)
		return e, ok
	}
	soa := s.zone.SOA()
	if soa == nil {
		return e, false
	}
	e.Proof = append(e.Proof, soa.Set)
	s.bound(s.now, soa.Expiry, soa.Valid) // which proves nothing, however old it is
	s.prove(&e, sets)
	return e, true
}

// hashed makes the answer of a wildcard in a zone whose hashes do not tell what the
// closest encloser is, which the wildcard itself does.
func (s *synthesis) hashed(e *cache.Entry, d *dnssec.Denial) bool {
	if s.zone.AnyNSEC3() == nil {
		return false
	}
	for labels := e.Name.Labels() - 1; labels >= s.zone.Name().Labels(); labels-- {
		if !s.expand(e, e.Name.Suffix(labels)) {
			continue
		}
		set := d.GatherCloser(e.Name, labels, s.byHash)
		if set == nil {
			return false
		}
		s.prove(e, []*rrset.Set{set})
		p, _ := d.Expanded(e.Name, labels)
		return p == dnssec.Proven
	}
	return false
}

// prove puts the records that were used into the proof.
func (s *synthesis) prove(e *cache.Entry, sets []*rrset.Set) {
	for _, r := range s.seen {
		if slices.Contains(sets, &r.Set) {
			s.use(e, r)
		}
	}
	e.Valid = s.valid
}

func (s *synthesis) byName(n dnsname.Name) *rrset.Set { return s.look(s.zone.NSEC(n)) }

func (s *synthesis) byHash(h []byte) *rrset.Set { return s.look(s.zone.NSEC3(h)) }

// look notes a record that was looked at.
func (s *synthesis) look(r *cache.Range) *rrset.Set {
	if r == nil {
		return nil
	}
	if !slices.Contains(s.seen, r) {
		s.seen = append(s.seen, r)
	}
	return &r.Set
}

// use makes a record a part of the proof.
func (s *synthesis) use(e *cache.Entry, r *cache.Range) {
	e.Proof = append(e.Proof, r.Set)
	s.bound(r.Stored, r.Expiry, r.Valid)
}

// bound keeps the answer within the times of something that it is made of.
func (s *synthesis) bound(stored, expiry clock.Mono, valid time.Time) {
	s.oldest, s.until = min(s.oldest, stored), min(s.until, expiry)
	if s.valid.IsZero() || valid.Before(s.valid) {
		s.valid = valid
	}
}

// expand makes the answer of a wildcard, if the cache has that, fresh and secure.
func (s *synthesis) expand(e *cache.Entry, encloser dnsname.Name) bool {
	t := s.t
	star, err := encloser.Prepend("*")
	if err != nil || !expands(t.q.Type) {
		return false
	}
	rd := t.r.readers.Get().(*cache.Reader)
	defer t.r.readers.Put(rd)
	rd.Unasked = t.unasked
	hit, ok := t.r.cache.Lookup(rd, s.now, star, t.q.Type)
	if !ok || hit.Kind() != cache.Data || hit.Security() != rrset.Secure || hit.State(s.now) != stale.Fresh || !expands(hit.Type()) {
		return false
	}
	of := hit.Entry()
	if _, ok := madeOf(&of.Set, s.zone.Name()); !ok {
		return false
	}
	e.Kind, e.Type, e.Set = cache.Data, of.Type, of.Set
	e.Set.Name = e.Name
	s.bound(of.Stored, of.Expiry, of.Valid)
	return true
}

// expands tells which types are made of wildcards: not those that say where zones
// begin and end (RFC 4592 §4), for a zone knows its cuts itself.
func expands(t wire.Type) bool {
	switch t {
	case wire.TypeNS, wire.TypeSOA, wire.TypeDS, wire.TypeDNSKEY, wire.TypeDNAME:
		return false
	}
	return true
}

// prove takes what a secure entry that is in the cache was proven by into the index
// that other names are answered from, and with the answer of a wildcard the wildcard
// itself.
func (r *Resolver) prove(now clock.Mono, gen uint32, e *cache.Entry) {
	if r.aggressive == nil || e.Security != rrset.Secure {
		return
	}
	r.cache.PutRanges(now, gen, e)
	if e.Kind != cache.Data || len(e.Proof) == 0 || !expands(e.Type) {
		return
	}
	if star, ok := madeOf(&e.Set, ""); ok && star != e.Name {
		w := cache.Entry{
			Kind: cache.Data, Name: star, Type: e.Type, Rank: e.Rank, Security: e.Security,
			Set: e.Set, Cut: e.Cut, TTL: e.TTL, Most: e.Most, Valid: e.Valid,
		}
		w.Set.Name = star
		r.cache.PutSince(now, gen, &w)
	}
}

// madeOf is the wildcard that a set was made of, or its own name: that of which all of
// its signatures are (RFC 4035 §5.3.2), which must be by a zone unless that is "".
func madeOf(set *rrset.Set, zone dnsname.Name) (dnsname.Name, bool) {
	labels, own := -1, set.Name.Labels()
	if set.Name.FirstLabel() == "*" {
		own--
	}
	for rdata := range set.Sigs.All() {
		sig, err := dnssec.ReadSignature(rdata)
		if err != nil || labels >= 0 && sig.Labels != labels || zone != "" && sig.Signer != zone {
			return "", false
		}
		labels = sig.Labels
	}
	if labels < 0 || labels >= own {
		return set.Name, labels == own
	}
	star, err := set.Name.Suffix(labels).Prepend("*")
	return star, err == nil
}

// synthesisCounters count the answers that were synthesised.
type synthesisCounters struct{ names, types, wildcards atomic.Uint64 }

func (c *synthesisCounters) count(e *cache.Entry) {
	switch e.Kind {
	case cache.NXDomain:
		c.names.Add(1)
	case cache.NoData:
		c.types.Add(1)
	default:
		c.wildcards.Add(1)
	}
}
