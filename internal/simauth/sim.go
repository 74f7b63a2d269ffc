package simauth

import (
	"context"
	"crypto/tls"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lastgood/internal/authority"
	"lastgood/internal/dnsname"
	"lastgood/internal/lab"
	"lastgood/internal/simnet"
)

const (
	dnsPort = 53
	tlsPort = 853
)

// Sim is a set of servers on a simulated network. Its methods may be called
// from any goroutine of the bubble; they end the test on a mistake in it.
type Sim struct {
	t       testing.TB
	net     *simnet.Net
	ctx     context.Context
	running sync.WaitGroup
	start   time.Time
	log     log

	mu      sync.Mutex
	servers []*Server
}

// New prepares servers on a network. They end with the test.
func New(t testing.TB, n *simnet.Net) *Sim {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Sim{t: t, net: n, ctx: ctx, start: time.Now()}
	t.Cleanup(func() {
		cancel()
		s.running.Wait()
	})
	return s
}

// Add puts a server without zones on a new host. Its name is for [Sim.Server]
// and for the records.
func (s *Sim) Add(name string, addrs ...string) *Server {
	s.t.Helper()
	var parsed []netip.Addr
	for _, a := range addrs {
		parsed = append(parsed, netip.MustParseAddr(a))
	}
	return s.serve(lab.Server{Host: dnsname.MustParse(name), Addrs: parsed},
		authority.NewServer(authority.Options{Minimal: true, Rand: s.rand(), Transfers: true}))
}

// Place puts a world on the network, each server with its zones, its lasting
// faults and its latency from the client hosts.
func (s *Sim) Place(w *lab.World, clients ...*simnet.Host) {
	s.t.Helper()
	for _, ws := range w.Servers {
		srv := s.serve(ws, w.NewServer(ws, authority.Options{Rand: s.rand()}))
		for _, c := range clients {
			s.net.SetLinks(c, srv.host, simnet.Link{Latency: ws.Latency / 2})
		}
	}
}

// rand gives each server its own chance, the same in each run.
func (s *Sim) rand() *rand.Rand {
	s.mu.Lock()
	defer s.mu.Unlock()
	return rand.New(rand.NewPCG(1, uint64(len(s.servers))))
}

// serve opens a server's sockets.
func (s *Sim) serve(ws lab.Server, a *authority.Server) *Server {
	s.t.Helper()
	srv := &Server{Server: a, sim: s, host: s.net.Host(ws.Addrs...), name: ws.Host, addrs: ws.Addrs}
	for _, serving := range ws.Serves {
		if serving.Fault != (authority.Fault{}) {
			srv.lasting = append(srv.lasting, serving)
		}
		srv.origins = append(srv.origins, serving.Zone)
	}
	for _, addr := range ws.Addrs {
		at := netip.AddrPortFrom(addr, dnsPort)
		udp, err := srv.host.ListenPacket(at)
		if err != nil {
			s.t.Fatal(err)
		}
		tcp, err := srv.host.Listen(at)
		if err != nil {
			s.t.Fatal(err)
		}
		door := &door{server: srv, at: at}
		outlet := &lab.Outlet{Handler: door, UDP: udp, TCP: tcp, Forge: door.forge}
		s.running.Go(func() { outlet.Serve(s.ctx) })
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.servers = append(s.servers, srv)
	return srv
}

// Server gives the server of a name or address.
func (s *Sim) Server(which string) *Server {
	s.t.Helper()
	addr, _ := netip.ParseAddr(which)
	name, _ := dnsname.Parse(which)
	for _, srv := range s.all() {
		if srv.name == name || slices.Contains(srv.addrs, addr) {
			return srv
		}
	}
	s.t.Fatalf("simauth: no server %s", which)
	return nil
}

func (s *Sim) all() []*Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.servers)
}

// Fault lets every server of a zone misbehave, on top of the faults that it has
// for good; "off" ends it. For the text see [authority.ParseFault].
func (s *Sim) Fault(zone, text string) {
	s.t.Helper()
	name, f := dnsname.MustParse(zone), s.fault(text)
	found := false
	for _, srv := range s.all() {
		if srv.serves(name) {
			found = true
			srv.Server.SetFault(name, f.With(srv.always(name)))
		}
	}
	if !found {
		s.t.Fatalf("simauth: nobody serves %s", name)
	}
}

func (s *Sim) fault(text string) authority.Fault {
	s.t.Helper()
	f, err := authority.ParseFault(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return f
}

// Server is one server. Zones, and faults by zone, are the embedded
// authority's.
type Server struct {
	*authority.Server
	sim     *Sim
	host    *simnet.Host
	name    dnsname.Name
	addrs   []netip.Addr
	lasting []lab.Serving // faults for good

	mu      sync.Mutex
	origins []dnsname.Name
	scripts []*scripted
}

// ServeTLS lets the server answer over TLS too (RFC 7858), on port 853 of all its
// addresses. The records have it as TCP.
func (s *Server) ServeTLS(conf *tls.Config) {
	s.sim.t.Helper()
	for _, addr := range s.addrs {
		at := netip.AddrPortFrom(addr, tlsPort)
		tcp, err := s.host.Listen(at)
		if err != nil {
			s.sim.t.Fatal(err)
		}
		outlet := &lab.Outlet{Handler: &door{server: s, at: at}, TCP: tls.NewListener(tcp, conf)}
		s.sim.running.Go(func() { outlet.Serve(s.sim.ctx) })
	}
}

// Host is the machine, for links and partitions.
func (s *Server) Host() *simnet.Host { return s.host }

// Name is the server's.
func (s *Server) Name() dnsname.Name { return s.name }

// Addr is the server's first address.
func (s *Server) Addr() netip.Addr { return s.addrs[0] }

// Load gives the server a zone in the text of a zone file, or replaces the one
// of that origin; TTLs default to an hour.
func (s *Server) Load(origin, text string) *authority.Zone {
	s.sim.t.Helper()
	z, err := authority.ParseZone(origin, origin, strings.NewReader(text))
	if err != nil {
		s.sim.t.Fatal(err)
	}
	s.SetZone(z)
	return z
}

// SetZone gives the server a zone or replaces the one of that origin.
func (s *Server) SetZone(z *authority.Zone) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.origins, z.Origin()) {
		s.origins = append(s.origins, z.Origin())
	}
	s.Server.SetZone(z)
}

// Misbehave sets a fault for the server whatever the zone, in text form.
func (s *Server) Misbehave(text string) {
	s.sim.t.Helper()
	s.SetServerFault(s.sim.fault(text))
}

func (s *Server) serves(zone dnsname.Name) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.origins, zone)
}

// always is the fault that the server has for good.
func (s *Server) always(zone dnsname.Name) (f authority.Fault) {
	for _, l := range s.lasting {
		if l.Zone == zone {
			f = f.With(l.Fault)
		}
	}
	return f
}
