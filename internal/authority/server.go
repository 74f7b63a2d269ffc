package authority

import (
	"maps"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/wire"
)

const (
	defaultUDPSize = 1232
	plainUDPSize   = 512 // without EDNS (RFC 1035 §4.2.1)
)

// Options are a server's properties that never change.
type Options struct {
	NSID    []byte     // given to who asks for it (RFC 5001); nil: not
	UDPSize uint16     // largest UDP reply with EDNS, 0 means 1232
	Minimal bool       // positive answers without the zone's NS records
	Rand    *rand.Rand // the chance of loss; nil: every loss above 0 is total

	Transfers bool // zone transfers over TCP, to anybody (RFC 5936, RFC 1995)
}

// Server holds zones and answers from the closest. All methods may be called
// from several goroutines.
type Server struct {
	options Options
	state   atomic.Pointer[state] // replaced as a whole
	change  sync.Mutex            // held by who replaces it
	chance  sync.Mutex            // guards options.Rand
}

// state is what a server holds at a moment. It is immutable.
type state struct {
	zones  map[dnsname.Name]*Zone
	past   map[dnsname.Name][]*Zone // what SetZone replaced, by origin
	faults map[dnsname.Name]Fault   // by origin
	whole  Fault                    // the server's, whatever the zone
}

// NewServer makes a server without zones.
func NewServer(o Options) *Server {
	if o.UDPSize == 0 {
		o.UDPSize = defaultUDPSize
	}
	s := &Server{options: o}
	s.state.Store(&state{})
	return s
}

func (s *Server) update(f func(*state)) {
	s.change.Lock()
	defer s.change.Unlock()
	old := s.state.Load()
	next := &state{zones: maps.Clone(old.zones), past: maps.Clone(old.past), faults: maps.Clone(old.faults), whole: old.whole}
	if next.zones == nil {
		next.zones, next.past, next.faults = map[dnsname.Name]*Zone{}, map[dnsname.Name][]*Zone{}, map[dnsname.Name]Fault{}
	}
	f(next)
	s.state.Store(next)
}

// SetZone adds a zone or replaces the one of that origin. Queries see all of
// the old zone or all of the new.
func (s *Server) SetZone(z *Zone) {
	s.update(func(st *state) {
		if old := st.zones[z.origin]; old != nil && s.options.Transfers && old.Serial() != z.Serial() {
			st.keep(old)
		}
		st.zones[z.origin] = z
	})
}

// RemoveZone removes a zone; questions for it are then the next zone's above,
// or refused.
func (s *Server) RemoveZone(origin dnsname.Name) {
	s.update(func(st *state) { delete(st.zones, origin) })
}

// Zone gives the zone of an origin, nil without one.
func (s *Server) Zone(origin dnsname.Name) *Zone { return s.state.Load().zones[origin] }

// SetFault sets how the server misbehaves for one zone; the zero Fault ends it.
// The zone need not be there: a lame server has none.
func (s *Server) SetFault(zone dnsname.Name, f Fault) {
	s.update(func(st *state) {
		if f == (Fault{}) {
			delete(st.faults, zone)
			return
		}
		st.faults[zone] = f
	})
}

// SetServerFault sets how the server misbehaves whatever the zone.
func (s *Server) SetServerFault(f Fault) { s.update(func(st *state) { st.whole = f }) }

// Fault gives what is set for a zone and for the server, together.
func (s *Server) Fault(zone dnsname.Name) Fault {
	st := s.state.Load()
	return st.whole.With(st.faults[zone])
}

// ServerFault gives what is set for the server whatever the zone.
func (s *Server) ServerFault() Fault { return s.state.Load().whole }

// find gives the zone that answers a question, nil without one, and the origin
// whose fault applies: that of the closest zone or fault above the name.
func (st *state) find(name dnsname.Name, t wire.Type) (*Zone, Fault) {
	var below *Zone // a zone whose own DS is asked for: rather the parent's business
	var fault Fault
	var hasFault bool
	for n := name; ; n = n.Parent() {
		if f, ok := st.faults[n]; ok && !hasFault {
			fault, hasFault = f, true
		}
		if z := st.zones[n]; z != nil {
			if t != wire.TypeDS || n != name || n.IsRoot() {
				return z, st.whole.With(fault)
			}
			below = z
		}
		if n.IsRoot() {
			return below, st.whole.With(fault)
		}
	}
}

// Source says where a reply seems to come from.
type Source uint8

// Sources. Only the first is honest.
const (
	Asked Source = iota
	OtherPort
	OtherAddress
)

// Reaction is what a server does about a query. The zero Reaction is silence.
type Reaction struct {
	Reply  []byte        // dst with the message behind what it held; nil: none
	Delay  time.Duration // to be waited before
	Source Source        // where a datagram is to come from
	Close  bool          // over TCP: reset the connection
	Stall  int           // over TCP: send so many octets, length field included, and no more; 0: all
	Zone   dnsname.Name  // that answered, "" without one
	More   [][]byte      // over TCP: further messages behind Reply
}

// tcpRetransmit is how late a lost piece of a TCP connection is.
const tcpRetransmit = 200 * time.Millisecond

// Handle reacts to a message from a client, any octets. The reply is appended
// to dst; with room for wire.MaxMessage there, nothing large is allocated. The
// server keeps neither query nor dst.
func (s *Server) Handle(query []byte, t event.Transport, from netip.AddrPort, dst []byte) Reaction {
	st := s.state.Load()
	v, err := wire.Read(query)
	if len(query) < wire.HeaderLen || v.IsResponse() {
		return Reaction{} // RFC 5625 aside: never answer an answer
	}
	r := request{View: v, server: s, transport: t, from: from}
	q, ok := v.Question()
	if err != nil || !ok {
		return Reaction{Reply: r.refuse(dst, wire.RcodeFormErr)}
	}
	r.question = q
	r.edns, r.hasEDNS = v.EDNS()
	if v.Opcode() != wire.OpcodeQuery {
		return Reaction{Reply: r.refuse(dst, wire.RcodeNotImp)}
	}
	name, err := dnsname.FromWire(q.Name)
	if err != nil {
		return Reaction{Reply: r.refuse(dst, wire.RcodeFormErr)}
	}
	r.name = name
	r.zone, r.fault = st.find(name, q.Type)
	re := r.react(dst)
	if r.zone != nil {
		re.Zone = r.zone.origin
	}
	return re
}

// lost draws whether a query is lost.
func (s *Server) lost(chance float64) bool {
	switch {
	case chance <= 0:
		return false
	case s.options.Rand == nil:
		return true
	}
	s.chance.Lock()
	defer s.chance.Unlock()
	return s.options.Rand.Float64() < chance
}
