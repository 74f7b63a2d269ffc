package lab

import (
	"bufio"
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"time"

	"lastgood/internal/authority"
	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

//go:embed world
var embedded embed.FS

const (
	serversFile = "servers.txt"
	rootFile    = "root.zone"

	maxServers = 1024
	maxLatency = 10 * time.Second
)

// World describes a small Internet. It is not changed once made.
type World struct {
	Servers []Server
	zones   map[dnsname.Name]*authority.Zone
	plans   map[dnsname.Name]*authority.Plan // of the zones that are to be signed
}

// Server is one machine of a World.
type Server struct {
	Host    dnsname.Name
	Addrs   []netip.Addr  // at least one
	Latency time.Duration // from question to answer
	Serves  []Serving
}

// Serving is a zone on a server, and how it misbehaves there for good.
type Serving struct {
	Zone  dnsname.Name
	Fault authority.Fault
}

// NewWorld gives the world that lastgood brings along.
func NewWorld() (*World, error) {
	files, err := fs.Sub(embedded, "world")
	if err != nil {
		return nil, err
	}
	return Load(files)
}

// Load reads a world: servers.txt, for each zone that it names a file such as
// example.com.zone (the root's is root.zone), and perhaps signed.txt. Errors begin
// with file:line.
func Load(files fs.FS) (*World, error) {
	table, err := fs.ReadFile(files, serversFile)
	if err != nil {
		return nil, err
	}
	w := &World{zones: map[dnsname.Name]*authority.Zone{}}
	if w.Servers, err = parseServers(table); err != nil {
		return nil, err
	}
	for _, s := range w.Servers {
		for _, serving := range s.Serves {
			if w.zones[serving.Zone] != nil {
				continue
			}
			z, err := loadZone(files, serving.Zone)
			if err != nil {
				return nil, err
			}
			w.zones[serving.Zone] = z
		}
	}
	if w.zones[dnsname.Root] == nil {
		return nil, fmt.Errorf("%s: no server serves the root", serversFile)
	}
	table, err = fs.ReadFile(files, signedFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return w, nil
	case err != nil:
		return nil, err
	}
	if w.plans, err = parsePlans(table); err != nil {
		return nil, err
	}
	return w, nil
}

func loadZone(files fs.FS, origin dnsname.Name) (*authority.Zone, error) {
	file := rootFile
	if !origin.IsRoot() {
		file = origin.String() + "zone"
	}
	f, err := files.Open(file)
	if err != nil {
		return nil, fmt.Errorf("zone %s of %s: %w", origin, serversFile, err)
	}
	defer f.Close()
	return authority.ParseZone(origin.String(), file, f)
}

// parseServers reads the table of servers: host, addresses, latency, zones.
func parseServers(table []byte) ([]Server, error) {
	var servers []Server
	taken := map[netip.Addr]bool{}
	lines := bufio.NewScanner(bytes.NewReader(table))
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(text)
		if len(fields) == 0 {
			continue
		}
		s, err := parseServer(fields)
		for _, a := range s.Addrs {
			if taken[a] && err == nil {
				err = fmt.Errorf("address %v is taken", a)
			}
			taken[a] = true
		}
		if err == nil && len(servers) == maxServers {
			err = fmt.Errorf("more than %d servers", maxServers)
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", serversFile, n, err)
		}
		servers = append(servers, s)
	}
	return servers, lines.Err()
}

func parseServer(fields []string) (s Server, err error) {
	if len(fields) < 4 {
		return s, errors.New("want host, addresses, latency and zones")
	}
	if s.Host, err = dnsname.Parse(fields[0]); err != nil {
		return s, fmt.Errorf("host %q: %w", fields[0], err)
	}
	for text := range strings.SplitSeq(fields[1], ",") {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return s, err
		}
		s.Addrs = append(s.Addrs, a.Unmap())
	}
	s.Latency, err = time.ParseDuration(fields[2])
	if err != nil || s.Latency < 0 || s.Latency > maxLatency {
		return s, fmt.Errorf("latency %q: want a duration up to %v", fields[2], maxLatency)
	}
	for _, field := range fields[3:] {
		serving, err := parseServing(field)
		if err != nil {
			return s, err
		}
		s.Serves = append(s.Serves, serving)
	}
	return s, nil
}

func parseServing(field string) (s Serving, err error) {
	zone, fault, flawed := strings.Cut(field, "!")
	if s.Zone, err = dnsname.Parse(zone); err != nil {
		return s, fmt.Errorf("zone %q: %w", zone, err)
	}
	if flawed {
		s.Fault, err = authority.ParseFault(fault)
	}
	return s, err
}

// Zone gives the data of a zone, nil when there is no such zone.
func (w *World) Zone(origin dnsname.Name) *authority.Zone { return w.zones[origin] }

// Zones lists the origins of all zones in canonical order.
func (w *World) Zones() []dnsname.Name {
	var names []dnsname.Name
	for name := range w.zones {
		names = append(names, name)
	}
	slices.SortFunc(names, dnsname.Compare)
	return names
}

// RootHints lists the root's servers with their addresses, as the root zone
// has them: what a resolver is born with.
func (w *World) RootHints() []cache.NameServer {
	var hints []cache.NameServer
	addrs := map[dnsname.Name][]netip.Addr{}
	records := w.zones[dnsname.Root].Records()
	for _, r := range records {
		if a, ok := netip.AddrFromSlice(r.Data); ok && (r.Type == wire.TypeA || r.Type == wire.TypeAAAA) {
			addrs[r.Name] = append(addrs[r.Name], a)
		}
	}
	for _, r := range records {
		if host, ok := rrset.Target(r.Type, r.Data); ok && r.Type == wire.TypeNS && r.Name.IsRoot() {
			hints = append(hints, cache.NameServer{Name: host, Addrs: addrs[host]})
		}
	}
	return hints
}

// NewServer makes the authority that a server of the world is, with its zones
// and the faults that it has for good.
func (w *World) NewServer(s Server, o authority.Options) *authority.Server {
	if o.NSID == nil {
		o.NSID = []byte(s.Host.String())
	}
	a := authority.NewServer(o)
	for _, serving := range s.Serves {
		a.SetZone(w.zones[serving.Zone])
		a.SetFault(serving.Zone, serving.Fault)
	}
	return a
}
