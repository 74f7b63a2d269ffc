package simauth

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"lastgood/internal/authority"
	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/wire"
)

// maxRecorded bounds the record; later queries are counted only.
const maxRecorded = 1 << 20

// Query is one that reached a server.
type Query struct {
	At        time.Duration // since New
	Server    dnsname.Name
	To        netip.AddrPort
	From      netip.AddrPort
	Transport event.Transport
	Name      dnsname.Name // "" when the message is malformed
	Asked     string       // the name in the sender's case
	Type      wire.Type
	RD, CD    bool
	EDNS      bool
	DO        bool
	UDPSize   uint16
	Cookie    bool
	Zone      dnsname.Name // that answers, "" when none does
}

// String is the query in one line.
func (q Query) String() string {
	return fmt.Sprintf("%v %s %s %s %s", q.At, q.Server, q.Transport, q.Name, q.Type)
}

type log struct {
	mu      sync.Mutex
	queries []Query
	total   int
}

func (l *log) add(q Query) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total++
	if len(l.queries) < maxRecorded {
		l.queries = append(l.queries, q)
	}
}

// Queries gives what reached the servers since New or Forget, in order.
func (s *Sim) Queries() []Query {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return slices.Clone(s.log.queries)
}

// Count is how many queries reached the servers since New or Forget.
func (s *Sim) Count() int {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return s.log.total
}

// Asked gives the queries for a name (any type when t is TypeNone).
func (s *Sim) Asked(name string, t wire.Type) []Query {
	want := dnsname.MustParse(name)
	return slices.DeleteFunc(s.Queries(), func(q Query) bool {
		return q.Name != want || t != wire.TypeNone && q.Type != t
	})
}

// Heard gives the queries that reached the server.
func (s *Server) Heard() []Query {
	return slices.DeleteFunc(s.sim.Queries(), func(q Query) bool { return q.Server != s.name })
}

// Forget empties the record.
func (s *Sim) Forget() {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.log.queries, s.log.total = nil, 0
}

// door is a server's Handler at one of its addresses.
type door struct {
	server *Server
	at     netip.AddrPort
}

// Handle records the query, lets the server react, and the scripts after it.
func (d *door) Handle(query []byte, t event.Transport, from netip.AddrPort, dst []byte) authority.Reaction {
	s := d.server
	start := len(dst)
	re := s.Server.Handle(query, t, from, dst)
	q := Query{At: time.Since(s.sim.start), Server: s.name, To: d.at, From: from, Transport: t, Zone: re.Zone}
	v, err := wire.Read(query)
	if err == nil {
		q.describe(v)
	}
	s.sim.log.add(q)
	if err != nil {
		return re
	}
	return s.script(Exchange{Query: q, View: v, sim: s.sim}, re, start)
}

// describe fills in what the message says.
func (q *Query) describe(v wire.View) {
	if question, ok := v.Question(); ok {
		q.Name, _ = dnsname.FromWire(question.Name)
		q.Asked = string(dnsname.AppendText(nil, question.Name))
		q.Type = question.Type
	}
	q.RD, q.CD = v.RD(), v.CD()
	edns, ok := v.EDNS()
	q.EDNS, q.DO, q.UDPSize = ok, edns.DO, edns.UDPSize
	_, q.Cookie = edns.Option(wire.OptionCookie)
}

// forge sends a datagram that does not come from the server's socket.
func (d *door) forge(from authority.Source, to net.Addr, msg []byte) {
	source := d.at
	switch from {
	case authority.OtherPort:
		source = netip.AddrPortFrom(d.at.Addr(), d.at.Port()+1000)
	case authority.OtherAddress:
		other := d.at.Addr().AsSlice()
		other[len(other)-1] ^= 0x80
		addr, _ := netip.AddrFromSlice(other)
		source = netip.AddrPortFrom(addr, d.at.Port())
	}
	d.server.sim.net.Inject(source, to.(*net.UDPAddr).AddrPort(), msg)
}
