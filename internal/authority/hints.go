package authority

import (
	"fmt"
	"io"
	"net/netip"

	"github.com/miekg/dns"

	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
)

// maxHints bounds the name servers of a hints file.
const maxHints = 100

// ReadHints reads the root's name servers from a file in zone-file form, as
// InterNIC publishes it. Servers without an address are left out; none left is
// no error, since a resolver that only forwards needs none.
func ReadHints(file string, r io.Reader) ([]cache.NameServer, error) {
	var servers []cache.NameServer
	addrs := map[dnsname.Name][]netip.Addr{}
	parser := dns.NewZoneParser(r, ".", file)
	parser.SetDefaultTTL(3600000)
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		owner, err := dnsname.Parse(rr.Header().Name)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", file, rr.Header().Name, err)
		}
		switch rr := rr.(type) {
		case *dns.NS:
			host, err := dnsname.Parse(rr.Ns)
			if err != nil || !owner.IsRoot() {
				return nil, fmt.Errorf("%s: %q: hints name the servers of the root only", file, rr)
			}
			servers = append(servers, cache.NameServer{Name: host})
		case *dns.A:
			addrs[owner] = appendAddr(addrs[owner], rr.A)
		case *dns.AAAA:
			addrs[owner] = appendAddr(addrs[owner], rr.AAAA)
		}
		if len(servers) > maxHints {
			return nil, fmt.Errorf("%s: more than %d root servers", file, maxHints)
		}
	}
	if err := parser.Err(); err != nil {
		return nil, err
	}
	if len(servers) == 0 {
		return nil, fmt.Errorf("%s: no name server for the root: give records such as `. NS a.root-servers.net.`", file)
	}
	var usable []cache.NameServer
	for _, server := range servers {
		if server.Addrs = addrs[server.Name]; len(server.Addrs) > 0 {
			usable = append(usable, server)
		}
	}
	return usable, nil
}

// appendAddr leaves a record without data out, as the library gives it for a type
// and nothing behind it.
func appendAddr(list []netip.Addr, ip []byte) []netip.Addr {
	if a, ok := netip.AddrFromSlice(ip); ok {
		return append(list, a.Unmap())
	}
	return list
}
