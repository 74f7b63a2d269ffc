package lab

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"lastgood/internal/authority"
	"lastgood/internal/dnsname"
)

// suggested is how many names an error about an unknown one offers.
const suggested = 3

// SetFault lets every server of a zone misbehave, on top of the defects that it
// has for good; the zero Fault ends it. Zones below are not affected. In place
// of a zone, a server's name or address means that one server, whatever the
// zone.
func (l *Lab) SetFault(target string, f authority.Fault) error {
	if addr, err := netip.ParseAddr(target); err == nil {
		return l.setServerFault(target, f, func(s Server) bool { return slices.Contains(s.Addrs, addr.Unmap()) })
	}
	name, err := dnsname.Parse(target)
	if err != nil {
		return fmt.Errorf("zone %q: %w", target, err)
	}
	if l.world.Zone(name) == nil {
		return l.setServerFault(target, f, func(s Server) bool { return s.Host == name })
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults[name] = f
	if f == (authority.Fault{}) {
		delete(l.faults, name)
	}
	for i, s := range l.world.Servers {
		for _, serving := range s.Serves {
			if serving.Zone == name {
				l.servers[i].SetFault(name, serving.Fault.With(f))
			}
		}
	}
	return nil
}

func (l *Lab) setServerFault(target string, f authority.Fault, is func(Server) bool) error {
	i := slices.IndexFunc(l.world.Servers, is)
	if i < 0 {
		return fmt.Errorf("the lab has no zone and no server %s; near it are %s", target, strings.Join(l.nearest(target), ", "))
	}
	l.servers[i].SetServerFault(f)
	return nil
}

// nearest gives the zones whose names are most like a text.
func (l *Lab) nearest(text string) []string {
	text = strings.TrimSuffix(strings.ToLower(text), ".") + "."
	var names []string
	for _, z := range l.world.Zones() {
		names = append(names, z.String())
	}
	if len(text) > dnsname.MaxLen {
		text = text[:dnsname.MaxLen]
	}
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(distance(text, a), distance(text, b)) })
	return names[:min(suggested, len(names))]
}

// distance counts the letters to insert, delete or replace to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0]++
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// List tells every zone, its servers, and what is wrong with them, for people.
func (l *Lab) List() string {
	var b strings.Builder
	for _, name := range l.world.Zones() {
		l.mu.Lock()
		f := l.faults[name]
		l.mu.Unlock()
		fmt.Fprintf(&b, "%-38s %s\n", name, f)
		for i, s := range l.world.Servers {
			for _, serving := range s.Serves {
				if serving.Zone == name {
					fmt.Fprintf(&b, "    %s\n", describe(s, serving, l.servers[i].ServerFault()))
				}
			}
		}
	}
	return b.String()
}

// describe is a server in one line: name, addresses, latency, its defects.
func describe(s Server, serving Serving, now authority.Fault) string {
	var addrs []string
	for _, a := range s.Addrs {
		addrs = append(addrs, a.String())
	}
	line := fmt.Sprintf("%-34s %-32s %v", s.Host, strings.Join(addrs, " "), s.Latency)
	if f := serving.Fault.With(now); f != (authority.Fault{}) {
		line += "  " + f.String()
	}
	return line
}
