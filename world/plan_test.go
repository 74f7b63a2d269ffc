package world

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"lastgood/internal/authority"
	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

// plan is a world before it is played: everything that will be there and that
// will happen, as data. Playing draws no further chance but what is a function of
// the seed, so a plan plays alike each time. Any step may be left out of a plan
// and what is left still makes a world: that is what shrinking does.
type plan struct {
	seed    uint64
	length  time.Duration
	servers []host
	zones   []zonePlan
	steps   []step // in order of time; those at 0 are the world as it begins
	faults  []fault
	asks    []ask
	config  map[string]string
}

// host is a machine with an authority on it.
type host struct {
	addrs   []netip.Addr
	latency time.Duration // one way
	dead    bool          // nobody is there: addresses without a machine
}

// zonePlan is what does not change of a zone.
type zonePlan struct {
	origin      dnsname.Name
	soaTTL      uint32
	minimum     uint32
	withServers bool                  // answers carry NS records
	lag         map[int]time.Duration // by server: how late it has changes
}

type verb uint8

const (
	put    verb = iota // a record set, in place of the one of its type
	remove             // a record set
	clear_             // everything at a name
	serve              // a server has the zone from now on
	freeze             // it gets no more changes
	drop               // it has the zone no more
)

// step is one change of data.
type step struct {
	at     time.Duration
	verb   verb
	zone   dnsname.Name
	name   dnsname.Name
	typ    wire.Type
	ttl    uint32
	text   []string // the data in presentation form
	server int
}

func (s *step) String() string {
	switch s.verb {
	case put:
		return fmt.Sprintf("in %s: %s %d %s %s", s.zone, s.name, s.ttl, s.typ, brief(strings.Join(s.text, " | ")))
	case remove:
		return fmt.Sprintf("in %s: %s has no %s any more", s.zone, s.name, s.typ)
	case clear_:
		return fmt.Sprintf("in %s: nothing at %s any more", s.zone, s.name)
	case serve:
		return fmt.Sprintf("server %d serves %s", s.server, s.zone)
	case freeze:
		return fmt.Sprintf("server %d keeps %s as it is, whatever happens to it", s.server, s.zone)
	}
	return fmt.Sprintf("server %d has %s no more", s.server, s.zone)
}

func brief(s string) string {
	if len(s) > 120 {
		return s[:100] + fmt.Sprintf("… (%d octets)", len(s))
	}
	return s
}

// fault is a time during which a server misbehaves.
type fault struct {
	server      int // -1: all
	from, until time.Duration
	kind        string  // see faultKinds
	words       string  // for kind "authority"
	share       float64 // of packets lost, for kind "loss"
}

func (f *fault) String() string {
	who := fmt.Sprintf("server %d", f.server)
	if f.server < 0 {
		who = "every server"
	}
	text := f.kind
	switch {
	case f.words != "":
		text = f.words
	case f.kind == "loss":
		text = fmt.Sprintf("loss of %.0f %%", f.share*100)
	}
	return fmt.Sprintf("%s: %s, until %v", who, text, f.until)
}

// at tells whether the fault is there at some moment of a span, for a server.
func (f *fault) during(server int, from, until time.Duration) bool {
	return (f.server < 0 || f.server == server) && f.from <= until && from < f.until
}

// ask is a question of a client.
type ask struct {
	at     time.Duration
	client int
	name   dnsname.Name
	typ    wire.Type
	tcp    bool
	size   uint16 // of EDNS, 0: none
}

func (a *ask) String() string {
	how := "udp"
	if a.tcp {
		how = "tcp"
	}
	return fmt.Sprintf("client %d asks for %s %s (%s, %d)", a.client, a.name, a.typ, how, a.size)
}

func (p *plan) sort() {
	slices.SortStableFunc(p.steps, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	slices.SortStableFunc(p.faults, func(a, b fault) int { return cmp.Compare(a.from, b.from) })
	slices.SortStableFunc(p.asks, func(a, b ask) int { return cmp.Compare(a.at, b.at) })
}

// hints are the root's name servers, as the world begins.
func (p *plan) hints() (list []cache.NameServer) {
	names := map[dnsname.Name]bool{}
	for _, s := range p.steps {
		if s.zone.IsRoot() && s.typ == wire.TypeNS && s.name.IsRoot() && s.at == 0 {
			for _, n := range s.text {
				names[dnsname.MustParse(n)] = true
			}
		}
	}
	for _, s := range p.steps {
		if s.at == 0 && s.zone.IsRoot() && names[s.name] && (s.typ == wire.TypeA || s.typ == wire.TypeAAAA) {
			ns := cache.NameServer{Name: s.name}
			for _, a := range s.text {
				ns.Addrs = append(ns.Addrs, netip.MustParseAddr(a))
			}
			list = append(list, ns)
		}
	}
	return list
}

// parser reads presentation forms, each once.
type parser map[string][]byte

// rdata gives the wire form of one record's data.
func (ps parser) rdata(t wire.Type, text string) []byte {
	key := t.String() + " " + text
	if d, ok := ps[key]; ok {
		return d
	}
	records, err := authority.ParseRecords(dnsname.Root, "x. 1 "+key+"\n")
	if err != nil || len(records) != 1 {
		panic(fmt.Sprintf("world: %s: %v", key, err))
	}
	ps[key] = records[0].Data
	return records[0].Data
}
