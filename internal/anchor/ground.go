package anchor

import (
	"sync/atomic"
	"time"

	"lastgood/internal/dnsname"
)

// Kind is what a name stands on.
type Kind uint8

// Kinds.
const (
	None     Kind = iota // no anchor at or above the name: nothing can be validated
	Anchored             // a trust anchor
	Negative             // a negative trust anchor, for the time being
	Insecure             // a zone that is never validated
)

func (k Kind) String() string {
	return [...]string{"none", "anchored", "negative", "insecure"}[k&3]
}

// Ground is what a name stands on: the closest of the zones at or above it that
// have an anchor, a negative one, or are not to be validated. Where a zone has
// more than one of them, its negative anchor counts (RFC 7646 §1.1), then that it
// is not to be validated: an anchor may be there because it is built in, but this
// was asked for.
type Ground struct {
	Kind   Kind
	Zone   dnsname.Name
	Anchor *Anchor  // of Anchored
	NTA    *Against // of Negative
}

// Table tells what names stand on. Readers take no lock.
type Table struct {
	now atomic.Pointer[grounds]
}

// grounds is one state of a table; it is never changed.
type grounds struct {
	anchors  map[dnsname.Name]*Anchor
	against  map[dnsname.Name]*Against
	insecure map[dnsname.Name]bool
}

// NewTable makes a table of anchors, and of zones that are never validated. Anchors
// of the same zone add up.
func NewTable(anchors []*Anchor, insecure []dnsname.Name) *Table {
	g := &grounds{
		anchors: make(map[dnsname.Name]*Anchor), against: map[dnsname.Name]*Against{}, insecure: make(map[dnsname.Name]bool),
	}
	for _, a := range Merge(anchors) {
		g.anchors[a.Zone] = a
	}
	for _, zone := range insecure {
		g.insecure[zone] = true
	}
	t := new(Table)
	t.now.Store(g)
	return t
}

// Ground finds what a name stands on at a moment.
func (t *Table) Ground(name dnsname.Name, wall time.Time) Ground {
	return t.now.Load().ground(name, wall)
}

func (g *grounds) ground(name dnsname.Name, wall time.Time) Ground {
	for {
		if a := g.against[name]; a != nil && wall.Before(a.Until) {
			return Ground{Kind: Negative, Zone: name, NTA: a}
		}
		if g.insecure[name] {
			return Ground{Kind: Insecure, Zone: name}
		}
		if a := g.anchors[name]; a != nil && !a.Empty() {
			return Ground{Kind: Anchored, Zone: name, Anchor: a}
		}
		if name.IsRoot() {
			return Ground{}
		}
		name = name.Parent()
	}
}

// Negative tells whether there is any negative trust anchor.
func (t *Table) Negative() bool { return len(t.now.Load().against) > 0 }

// Positive is Ground as if there were no negative trust anchors.
func (t *Table) Positive(name dnsname.Name) Ground {
	g := *t.now.Load()
	g.against = nil
	return g.ground(name, time.Time{})
}

// SetAnchor replaces a zone's trust anchor: RFC 5011 found other keys. An empty one
// is as if the zone never had any: all its keys were revoked (RFC 5011 §5).
func (t *Table) SetAnchor(a *Anchor) {
	t.change(func(g *grounds) { g.anchors = with(g.anchors, a.Zone, a) })
}

// SetAgainst replaces all negative trust anchors, of which a zone has one at most.
func (t *Table) SetAgainst(list []*Against) {
	t.change(func(g *grounds) {
		g.against = make(map[dnsname.Name]*Against, len(list))
		for _, a := range list {
			g.against[a.Zone] = a
		}
	})
}

func (t *Table) change(apply func(*grounds)) {
	for {
		old := t.now.Load()
		next := *old
		apply(&next)
		if t.now.CompareAndSwap(old, &next) {
			return
		}
	}
}

func with[V any](old map[dnsname.Name]V, zone dnsname.Name, v V) map[dnsname.Name]V {
	m := make(map[dnsname.Name]V, len(old)+1)
	for k, o := range old {
		m[k] = o
	}
	m[zone] = v
	return m
}
