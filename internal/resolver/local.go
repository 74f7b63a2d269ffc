package resolver

import (
	"encoding/binary"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// LocalKind says what becomes of the names of a local zone that the local data
// does not answer for. They are those of Unbound's local zones.
type LocalKind uint8

// Kinds of local zones.
const (
	LocalTransparent     LocalKind = iota // names without data are resolved as usual; types without are not there
	LocalTypeTransparent                  // types without data are resolved as usual, too
	LocalStatic                           // names without data do not exist
	LocalRefuse                           // questions without data are refused
	LocalNXDomain                         // nothing exists, apex and all
	LocalRedirect                         // every name has the data of the apex
)

// LocalZone is a part of the name space that the configuration answers for. The
// longest that matches counts; outside all of them data is transparent.
type LocalZone struct {
	Name dnsname.Name
	Kind LocalKind
}

// localNames are the records that the configuration has, and the zones around
// them. Immutable: read without a lock. A nil *localNames has none. Its size is
// that of the configuration.
type localNames struct {
	nodes map[dnsname.Name]*localNode
}

// localNode is a name that a record or zone makes exist: with data, above such
// a name, or the apex of a zone.
type localNode struct {
	sets []rrset.Set
	wild *localNode // what stands at the asterisk beneath (RFC 4592)
	soa  []rrset.Set
	zone bool
	kind LocalKind
}

// localHit is what is said of a question: a set of the type, or the alias; else
// a denial with its proof, or a refusal.
type localHit struct {
	set     *rrset.Set // its name may be another: of a wildcard or an apex
	kind    cache.Kind
	soa     []rrset.Set
	refused bool
	blocked bool // by the zone's kind, whatever there is
}

// newLocalNames builds the table; nil when there is nothing. Records are sets of
// one or more; those of a name and type are joined.
func newLocalNames(zones []LocalZone, records []rrset.Set) *localNames {
	if len(zones) == 0 && len(records) == 0 {
		return nil
	}
	l := &localNames{nodes: map[dnsname.Name]*localNode{}}
	for _, z := range zones {
		n := l.node(z.Name)
		n.zone, n.kind = true, z.Kind
	}
	for i := range records {
		l.add(&records[i])
	}
	for name, n := range l.nodes {
		n.denyWith(name)
		if n.wild != nil {
			n.wild.denyWith(name)
		}
	}
	return l
}

// node makes a name exist, and those above it.
func (l *localNames) node(name dnsname.Name) *localNode {
	n := l.nodes[name]
	if n == nil {
		n = new(localNode)
		l.nodes[name] = n
		if !name.IsRoot() {
			l.node(name.Parent())
		}
	}
	return n
}

func (l *localNames) add(record *rrset.Set) {
	var n *localNode
	if record.Name.FirstLabel() == "*" {
		up := l.node(record.Name.Parent())
		if up.wild == nil {
			up.wild = new(localNode)
		}
		n = up.wild
	} else {
		n = l.node(record.Name)
	}
	s := n.get(record.Type)
	if s == nil {
		n.sets = append(n.sets, rrset.Set{Name: record.Name, Type: record.Type, TTL: record.TTL})
		s = &n.sets[len(n.sets)-1]
	}
	for rd := range record.Data.All() {
		s.Add(min(s.TTL, record.TTL), rd)
	}
}

// denyWith chooses the SOA record of the node's denials: its own, or one made up
// as for special names.
func (n *localNode) denyWith(name dnsname.Name) {
	soa := specialSOA(name)
	if own := n.get(wire.TypeSOA); own != nil {
		soa = *own
		if rd := soa.Data.First(); len(rd) >= 4 {
			soa.TTL = min(soa.TTL, binary.BigEndian.Uint32(rd[len(rd)-4:])) // RFC 2308 §5
		}
	}
	n.soa = []rrset.Set{soa}
}

func (n *localNode) get(t wire.Type) *rrset.Set {
	for i := range n.sets {
		if n.sets[i].Type == t {
			return &n.sets[i]
		}
	}
	return nil
}

// find tells what the local data says of a question, false when it is not
// concerned. It allocates nothing.
func (l *localNames) find(name dnsname.Name, t wire.Type) (localHit, bool) {
	if l == nil {
		return localHit{}, false
	}
	var node, zone *localNode // the closest that exists, and the zone's apex
	exact := false
	for up := name; zone == nil; up = up.Parent() {
		if n := l.nodes[up]; n != nil {
			if node == nil {
				node, exact = n, len(up) == len(name)
			}
			if n.zone {
				zone = n
			}
		}
		if up.IsRoot() {
			break
		}
	}
	switch {
	case node == nil:
		return localHit{}, false
	case zone == nil:
		return node.local(nil, exact, t)
	case zone.kind == LocalNXDomain:
		return localHit{kind: cache.NXDomain, soa: zone.soa, blocked: true}, true
	case zone.kind == LocalRedirect:
		return zone.local(zone, true, t)
	}
	return node.local(zone, exact, t)
}

// local is what a node says; not exact, it is the closest one above the name.
func (n *localNode) local(zone *localNode, exact bool, t wire.Type) (localHit, bool) {
	kind, soa := LocalTransparent, n.soa
	if zone != nil {
		kind, soa = zone.kind, zone.soa
	}
	at := n
	if !exact {
		at = n.wild
	}
	if at != nil && len(at.sets) > 0 {
		if s := at.get(t); s != nil {
			return localHit{set: s}, true
		}
		if s := at.get(wire.TypeCNAME); s != nil {
			return localHit{set: s}, true
		}
		if kind == LocalTypeTransparent {
			return localHit{}, false
		}
		return localHit{kind: cache.NoData, soa: soa}, true
	}
	switch {
	case kind == LocalRefuse:
		return localHit{refused: true, blocked: true}, true
	case kind == LocalRedirect, kind == LocalStatic && exact:
		return localHit{kind: cache.NoData, soa: soa}, true
	case kind == LocalStatic:
		return localHit{kind: cache.NXDomain, soa: soa}, true
	}
	return localHit{}, false
}

// errBlocked is told with what the kind of a local zone denies.
func errBlocked() *ede.Error {
	return &ede.Error{Code: ede.Blocked, ID: "LZON", Text: "the name is in a local zone of this resolver"}
}

// hop makes a hop of what was found for a name.
func (h *localHit) hop(name dnsname.Name, t wire.Type, now clock.Mono) Hop {
	hop := Hop{local: true, refused: h.refused}
	e := &hop.Entry
	*e = cache.Entry{Kind: h.kind, Name: name, Type: t, Stored: now, Proof: h.soa}
	ttl := uint32(0)
	switch {
	case h.set != nil:
		e.Kind, e.Type, e.Set = cache.Data, h.set.Type, *h.set
		e.Set.Name, ttl = name, h.set.TTL
		if e.Type != t {
			hop.Target, _ = e.Set.Target()
		}
	case len(h.soa) > 0:
		ttl = h.soa[0].TTL
	}
	e.TTL, e.Expiry = ttl, now.Add(time.Duration(ttl)*time.Second)
	return hop
}

// write answers the question from local data behind the question that stands in
// b. False, and nothing written, for what needs more: an alias to follow, an
// extended error to tell.
func (h *localHit) write(q *Query, b *wire.Builder) (Outcome, bool) {
	o := Outcome{Rcode: rcodeOf(h.kind), AA: true}
	switch {
	case h.blocked, h.set != nil && h.set.Type != q.Type:
		return Outcome{}, false
	case h.set != nil:
		o.Rcode = wire.RcodeNoError
		mark := b.Mark()
		if !b.Set(wire.AnswerSection, q.Name, h.set.Type, h.set.TTL, h.set.Data) {
			b.Rewind(mark)
			o.Truncated = true
		}
	default:
		o.Truncated = !writeSet(b, wire.AuthoritySection, &h.soa[0], h.soa[0].TTL, false)
	}
	return o, true
}
