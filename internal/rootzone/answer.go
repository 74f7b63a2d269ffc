package rootzone

import (
	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// Query is one question of class IN.
type Query struct {
	ID   uint16
	Name dnsname.Name
	Type wire.Type
	DO   bool // signatures and proofs are wanted (RFC 3225)
}

// Sizes of the reply's OPT record: what it takes, and the size of datagrams that
// a root server would offer.
const (
	optLen  = 11
	udpSize = 1232
)

// Answer appends the message that a root server would send: a referral with
// glue, and DS or proof that there is none; data of the apex; or a denial with SOA
// and NSEC records. No message is cut short: it may have up to 65,535 octets. It
// takes O(log n) for each label of the name, and no lock.
func (z *Zone) Answer(dst []byte, q Query) []byte {
	w := writer{zone: z, query: q}
	w.b.Reset(dst, wire.MaxMessage-optLen, wire.Header{ID: q.ID, Response: true, AA: true})
	w.b.Question(q.Name, q.Type, wire.ClassIN)
	after := w.b.Mark()
	if w.answer(); w.full {
		w.b.Rewind(after)
		w.header(wire.RcodeServFail, false)
	}
	if q.DO {
		w.b.Limit(wire.MaxMessage)
		w.b.OPT(wire.EDNS{UDPSize: udpSize, DO: true}, 0)
	}
	return w.b.Bytes()
}

// writer writes one reply.
type writer struct {
	zone  *Zone
	query Query
	b     wire.Builder
	full  bool // something that must not be missing had no room
}

func (w *writer) header(rcode wire.Rcode, aa bool) {
	w.b.SetHeader(wire.Header{ID: w.query.ID, Response: true, AA: aa, Rcode: rcode})
}

// answer goes down from the apex towards the name (RFC 1034 §4.3.2): to a cut on
// the way, or to the last name that exists.
func (w *writer) answer() {
	d, q := w.zone.Data, &w.query
	if q.Type.IsMeta() && q.Type != wire.TypeANY {
		w.header(wire.RcodeRefused, false)
		return
	}
	n, _ := d.at(d.origin)
	for labels := d.origin.Labels() + 1; labels <= q.Name.Labels(); labels++ {
		name := q.Name.Suffix(labels)
		i, ok := d.search(name)
		switch {
		case ok:
			n = d.node(i)
		case i < d.count() && d.nameOf(i).Below(name):
			n = node{name: name} // an empty non-terminal (RFC 4592 §2.2.2)
		default:
			w.noName(name.Parent())
			return
		}
		if n.has(wire.TypeNS) && (name != q.Name || q.Type != wire.TypeDS) {
			w.refer(n)
			return
		}
	}
	w.data(n)
}

// data answers with what a name has of the type, or that it has nothing.
func (w *writer) data(n node) {
	if t := w.query.Type; t == wire.TypeANY || t == wire.TypeRRSIG {
		w.many(n)
		return
	}
	s, ok := n.set(w.query.Type)
	if !ok {
		w.soa()
		w.proof(n.name)
		return
	}
	if w.must(wire.AnswerSection, s); s.Type == wire.TypeNS {
		w.glue(s, func(dnsname.Name) bool { return true }) // as for priming (RFC 8109 §4)
	}
}

// many answers with all that a name has, or all signatures.
func (w *writer) many(n node) {
	found := false
	for s := range n.all() {
		if w.query.Type == wire.TypeRRSIG {
			s = rrset.Set{Name: s.Name, Type: wire.TypeRRSIG, TTL: s.TTL, Data: s.Sigs}
		}
		if !s.Empty() {
			found = true
			w.must(wire.AnswerSection, s)
		}
	}
	if !found {
		w.soa()
		w.proof(n.name)
	}
}

// refer answers with the delegation at a cut (RFC 4035 §3.1.4).
func (w *writer) refer(n node) {
	w.header(wire.RcodeNoError, false)
	ns, _ := n.set(wire.TypeNS)
	w.must(wire.AuthoritySection, ns)
	if ds, ok := n.set(wire.TypeDS); !ok {
		w.proof(n.name)
	} else if w.query.DO {
		w.must(wire.AuthoritySection, ds)
	}
	// What a resolver cannot do without comes first (RFC 9471 §3.1).
	w.glue(ns, func(host dnsname.Name) bool { return host.Under(n.name) })
	w.glue(ns, func(host dnsname.Name) bool { return !host.Under(n.name) })
}

// rootWildcard is what nearly all denials are about: to make it takes memory.
const rootWildcard = dnsname.Name("\x01*\x00")

// noName answers that the name does not exist, nor a wildcard below the closest
// encloser (RFC 4035 §3.1.3.2).
func (w *writer) noName(encloser dnsname.Name) {
	w.header(wire.RcodeNXDomain, true)
	w.soa()
	first := w.proof(w.query.Name)
	wildcard, fits := rootWildcard, true
	if !encloser.IsRoot() {
		w, err := encloser.Prepend("*")
		wildcard, fits = w, err == nil
	}
	if fits && w.query.DO && w.zone.covering(wildcard) != first {
		w.proof(wildcard)
	}
}

// soa is the SOA record of a denial, which lives as long as the denial may (RFC
// 2308 §3).
func (w *writer) soa() {
	apex, _ := w.zone.at(w.zone.origin)
	s, _ := apex.set(wire.TypeSOA)
	s.TTL = min(s.TTL, w.zone.Data.soa.minimum)
	w.must(wire.AuthoritySection, s)
}

// proof adds the NSEC record of a name, or else that which covers it, and tells
// which it was.
func (w *writer) proof(name dnsname.Name) int {
	i := w.zone.covering(name)
	if w.query.DO {
		s, _ := w.zone.node(i).set(wire.TypeNSEC)
		w.must(wire.AuthoritySection, s)
	}
	return i
}

// covering is the node of the last NSEC record at or before a name.
func (z *Zone) covering(name dnsname.Name) int {
	i, ok := find(len(z.chain), func(i int) int { return dnsname.Compare(z.nameOf(int(z.chain[i])), name) })
	if !ok {
		i-- // never below 0: the apex is the least name of its zone
	}
	return int(z.chain[max(0, i)])
}

// glue adds the addresses of those name servers that are wanted, as far as the
// zone has them and there is room.
func (w *writer) glue(ns rrset.Set, wanted func(dnsname.Name) bool) {
	for rdata := range ns.Data.All() {
		host := dnsname.Alias(rdata) // in canonical form
		if !wanted(host) {
			continue
		}
		n, ok := w.zone.at(host)
		if !ok {
			continue
		}
		for _, t := range [...]wire.Type{wire.TypeA, wire.TypeAAAA} {
			if s, ok := n.set(t); ok && !w.put(wire.AdditionalSection, s) {
				return
			}
		}
	}
}

func (w *writer) must(section wire.Section, s rrset.Set) {
	if !w.put(section, s) {
		w.full = true
	}
}

// put adds a set with its signatures, all of it or nothing.
func (w *writer) put(section wire.Section, s rrset.Set) bool {
	mark := w.b.Mark()
	for rdata := range s.Data.All() {
		if !w.b.Record(section, s.Name, s.Type, wire.ClassIN, s.TTL, rdata) {
			w.b.Rewind(mark)
			return false
		}
	}
	if !w.query.DO {
		return true
	}
	for rdata := range s.Sigs.All() {
		if !w.b.Record(section, s.Name, wire.TypeRRSIG, wire.ClassIN, s.TTL, rdata) {
			w.b.Rewind(mark)
			return false
		}
	}
	return true
}
