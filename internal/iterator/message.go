package iterator

import (
	"encoding/binary"

	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/event"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// maxScrubbed is how many dropped sets an event tells of.
const maxScrubbed = 8

// message is a reply taken apart into record sets, signatures with the sets
// that they cover. It owns its memory.
type message struct {
	rcode      wire.Rcode
	aa, ra     bool
	answer     []rrset.Set
	authority  []rrset.Set
	additional []rrset.Set
	scrubbed   []event.Scrubbed // at most maxScrubbed
	hops       []*rrset.Set     // memory for the chain of the answer
	// What scrub saw outside the bailiwick: a server that names another zone's
	// servers or authority says that it is not one of this zone.
	strayNS, straySOA bool
	upperSOA          bool // of a zone above the sender's, the root aside
	cutOff            bool // a section had more records than are read
	pastTTL           bool // its sender says that it is stale (RFC 8914 §4.4, §4.20)
	// broken: why what it says is not to be believed though it could be read: the
	// answer section, or who is referred to, is not whole.
	broken string
}

// drop notes that something of the reply is not believed.
func (m *message) drop(s wire.Section, name dnsname.Name, t wire.Type, why string) {
	if len(m.scrubbed) >= maxScrubbed {
		return
	}
	e := event.Scrubbed{Question: event.Question{Name: name, Type: t}, Section: s, Why: why}
	for _, have := range m.scrubbed {
		if have == e {
			return
		}
	}
	m.scrubbed = append(m.scrubbed, e)
}

// grouper collects the records of one section into sets.
type grouper struct {
	m       *message
	lim     *Limits
	asked   event.Question
	section wire.Section
	sets    []rrset.Set
	sigs    []rrset.Set // RRSIGs by owner and the type they cover, which stands in Type
	records int
	// last is where the previous record went: records of a set mostly follow
	// one another.
	last *rrset.Set
	// seen finds duplicates in large sets, where comparing with each record
	// would take quadratic time.
	seen map[string]struct{}
	buf  []byte
}

// manyRecords is when a grouper begins to keep an index.
const manyRecords = 32

// read takes a reply apart, into the room that is given. RRSIG records are sets of their own only where they
// are the answer to what was asked for. It keeps what is well formed and of class
// IN, within the limits, and believes nothing yet.
func read(room *replyRoom, v wire.View, asked event.Question, lim *Limits) *message {
	m := &room.message
	*m = message{rcode: v.Rcode(), aa: v.AA(), ra: v.RA(), pastTTL: saysStale(v), hops: room.hops[:0]}
	g := grouper{m: m, lim: lim, asked: asked, section: wire.AnswerSection, sets: room.sets[:0], buf: room.rdata[:0]}
	for c := v.Records(); c.Next(); {
		r := c.Record()
		if r.Section != g.section {
			g.finish()
			g = grouper{m: m, lim: lim, asked: asked, section: r.Section, buf: g.buf}
		}
		g.add(r)
	}
	g.finish()
	return m
}

// saysStale tells whether a reply's sender says by an extended error that it has
// nothing better than what is past its TTL.
func saysStale(v wire.View) bool {
	e, ok := v.EDNS()
	if !ok {
		return false
	}
	for option, data := range e.All() {
		if option != wire.OptionEDE {
			continue
		}
		code, _, ok := wire.ReadEDE(data)
		if c := ede.Code(code); ok && (c == ede.StaleAnswer || c == ede.StaleNXDOMAIN) {
			return true
		}
	}
	return false
}

// add puts a record into its set.
func (g *grouper) add(r wire.Record) {
	if r.Type == wire.TypeOPT {
		return
	}
	owner := g.owner(r)
	if owner == "" {
		g.m.drop(g.section, dnsname.Root, r.Type, "malformed owner")
		return
	}
	if g.records++; g.records > g.lim.Records {
		if g.m.cutOff = true; g.section == wire.AnswerSection {
			g.m.broken = "has more records than are accepted" // part of a set is no answer (RFC 2181 §5)
		}
		g.m.drop(g.section, owner, r.Type, "too many records")
		return
	}
	switch {
	case r.Class != wire.ClassIN:
		g.m.drop(g.section, owner, r.Type, "wrong class")
		return
	case r.Type.IsMeta():
		g.m.drop(g.section, owner, r.Type, "not a data type")
		return
	}
	data, err := r.AppendRdata(g.buf[:0])
	g.buf = data[:0]
	if err != nil || !wellFormed(r.Type, data) {
		if g.section != wire.AdditionalSection {
			g.m.broken = "has malformed data"
		}
		g.m.drop(g.section, owner, r.Type, "malformed data")
		return
	}
	if r.Type == wire.TypeRRSIG && (g.asked.Type != wire.TypeRRSIG || g.section != wire.AnswerSection) {
		g.addTo(&g.sigs, owner, wire.Type(binary.BigEndian.Uint16(data)), r.TTL, data)
		return
	}
	g.addTo(&g.sets, owner, r.Type, r.TTL, data)
}

// owner is the record's owner; the question's name is used again, or the previous
// set's, where it is the same.
func (g *grouper) owner(r wire.Record) dnsname.Name {
	var scratch [dnsname.MaxLen]byte
	b, err := r.AppendName(scratch[:0])
	if err != nil {
		return ""
	}
	dnsname.Lower(b, b)
	if string(b) == string(g.asked.Name) {
		return g.asked.Name
	}
	if g.last != nil && string(b) == string(g.last.Name) {
		return g.last.Name
	}
	return dnsname.Name(b)
}

// wellFormed checks what the shape of a type leaves open and what is relied on
// here: no data is empty where names or addresses are read from it.
func wellFormed(t wire.Type, data []byte) bool {
	switch t {
	case wire.TypeA:
		return len(data) == 4
	case wire.TypeAAAA:
		return len(data) == 16
	case wire.TypeRRSIG:
		return len(data) > 18
	}
	return true
}

// addTo puts a record into the set of its owner and type among sets.
func (g *grouper) addTo(sets *[]rrset.Set, owner dnsname.Name, t wire.Type, ttl uint32, data []byte) {
	s := g.find(*sets, owner, t)
	if s == nil {
		if len(*sets) >= g.lim.Sets {
			g.m.drop(g.section, owner, t, "too many record sets")
			return
		}
		*sets = append(*sets, rrset.Set{Name: owner, Type: t, TTL: ttl})
		s = &(*sets)[len(*sets)-1]
	}
	if sets == &g.sets {
		g.last = s
	}
	ttl = min(ttl, s.TTL)
	if g.records <= manyRecords {
		s.Add(ttl, data)
		return
	}
	g.addMany(s, ttl, data)
}

// addMany is Set.Add with an index.
func (g *grouper) addMany(s *rrset.Set, ttl uint32, data []byte) {
	if g.seen == nil {
		g.seen = make(map[string]struct{})
		for _, sets := range [][]rrset.Set{g.sets, g.sigs} {
			for i := range sets {
				for rd := range sets[i].Data.All() {
					g.seen[seenKey(&sets[i], rd)] = struct{}{}
				}
			}
		}
	}
	s.TTL = ttl
	key := seenKey(s, data)
	if _, ok := g.seen[key]; !ok {
		g.seen[key] = struct{}{}
		s.Data = s.Data.Append(data)
	}
}

func seenKey(s *rrset.Set, data []byte) string {
	return string(s.Name) + string([]byte{byte(s.Type >> 8), byte(s.Type)}) + string(data)
}

func (g *grouper) find(sets []rrset.Set, owner dnsname.Name, t wire.Type) *rrset.Set {
	for i := len(sets) - 1; i >= 0; i-- {
		if sets[i].Type == t && sets[i].Name == owner {
			return &sets[i]
		}
	}
	return nil
}

// finish joins signatures to sets and hands the section over.
func (g *grouper) finish() {
	for i := range g.sigs {
		sig := &g.sigs[i]
		s := g.find(g.sets, sig.Name, sig.Type)
		if s == nil {
			g.m.drop(g.section, sig.Name, wire.TypeRRSIG, "signs nothing in this reply")
			continue
		}
		// The set is a unit: it lives no longer than its signatures.
		s.TTL = min(s.TTL, sig.TTL)
		n := 0
		for rd := range sig.Data.All() {
			if n++; n > g.lim.Signatures {
				g.m.drop(g.section, sig.Name, wire.TypeRRSIG, "too many signatures")
				break
			}
			s.Sigs = s.Sigs.Append(rd)
		}
	}
	switch g.section {
	case wire.AnswerSection:
		g.m.answer = g.sets
	case wire.AuthoritySection:
		g.m.authority = g.sets
	case wire.AdditionalSection:
		g.m.additional = g.sets
	}
}
