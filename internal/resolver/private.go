package resolver

import (
	"encoding/binary"
	"net/netip"

	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// privateNets keeps answers about public names from leading into private networks:
// a web page that may talk to its own name only could be made to talk to the
// printer next door (DNS rebinding). Addresses are taken out when a client is
// answered, not when they are stored: the cache has what the servers said, and
// what was there before obeys too. A nil *privateNets protects nothing.
type privateNets struct {
	nets   []netip.Prefix
	exempt map[dnsname.Name]struct{} // names that may have such addresses, and all below
}

// newPrivateNets gives nil when no network is named.
func newPrivateNets(nets []netip.Prefix, domains []dnsname.Name) *privateNets {
	if len(nets) == 0 {
		return nil
	}
	p := &privateNets{nets: nets, exempt: map[dnsname.Name]struct{}{}}
	for _, d := range domains {
		p.exempt[d] = struct{}{}
	}
	return p
}

// trusts tells whether a name may have private addresses.
func (p *privateNets) trusts(name dnsname.Name) bool {
	for len(p.exempt) > 0 {
		if _, ok := p.exempt[name]; ok {
			return true
		}
		if name.IsRoot() {
			return false
		}
		name = name.Parent()
	}
	return false
}

// concerns tells whether data of a type may hold addresses.
func concerns(t wire.Type) bool {
	return t == wire.TypeA || t == wire.TypeAAAA || t == wire.TypeHTTPS || t == wire.TypeSVCB
}

// found tells whether some record leads into a private network. It allocates
// nothing.
func (p *privateNets) found(t wire.Type, data rrset.Packed) bool {
	for rd := range data.All() {
		if p.leads(t, rd) {
			return true
		}
	}
	return false
}

// leads tells whether a record holds a private address: its own, or a hint
// (RFC 9460 §7.3).
func (p *privateNets) leads(t wire.Type, rd []byte) bool {
	switch t {
	case wire.TypeA, wire.TypeAAAA:
		return p.contains(rd)
	case wire.TypeHTTPS, wire.TypeSVCB:
		return p.hints(rd)
	}
	return false
}

// nat64 is the prefix whose addresses stand for those of IPv4 (RFC 6052 §2.1).
var nat64 = netip.MustParsePrefix("64:ff9b::/96") // constant in effect

// contains judges an address in wire form, also the IPv4 address that it embeds.
func (p *privateNets) contains(rd []byte) bool {
	addr, ok := netip.AddrFromSlice(rd)
	if !ok {
		return false
	}
	addr = addr.Unmap()
	if p.within(addr) {
		return true
	}
	return nat64.Contains(addr) && p.within(netip.AddrFrom4([4]byte(rd[12:16])))
}

func (p *privateNets) within(addr netip.Addr) bool {
	for _, n := range p.nets {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}

// Keys of service parameters (RFC 9460 §14.3.2).
const (
	keyIPv4Hint = 4
	keyIPv6Hint = 6
)

// hints judges the addresses among a service's parameters.
func (p *privateNets) hints(rd []byte) bool {
	if len(rd) < 3 {
		return false
	}
	rd = rd[2:]
	rd = rd[dnsname.WireLen(rd):]
	for len(rd) >= 4 {
		key, n := binary.BigEndian.Uint16(rd), int(binary.BigEndian.Uint16(rd[2:]))
		if rd = rd[4:]; n > len(rd) {
			return false
		}
		size := 0
		switch key {
		case keyIPv4Hint:
			size = 4
		case keyIPv6Hint:
			size = 16
		}
		for value := rd[:n]; size > 0 && len(value) >= size; value = value[size:] {
			if p.contains(value[:size]) {
				return true
			}
		}
		rd = rd[n:]
	}
	return false
}

// strip gives the records that lead nowhere private.
func (p *privateNets) strip(t wire.Type, data rrset.Packed) rrset.Packed {
	var kept rrset.Packed
	for rd := range data.All() {
		if !p.leads(t, rd) {
			kept = kept.Append(rd)
		}
	}
	return kept
}

// protect takes private addresses out of a client's answer, unless both the name
// that was asked for and the one that has them may have such: an alias of a
// stranger's does not lead in either. When nothing is left, the type is not
// there: a refusal would make clients ask the next resolver, which may protect
// nobody. Name servers' addresses, which no client sees, are
// `recursion.do-not-query`'s business.
func (t *trail) protect(a *Answer) {
	if !t.hides(a.Chain) {
		return
	}
	p, e := t.r.private, &a.Chain[len(a.Chain)-1].Entry
	t.r.stats.private.Add(1)
	a.Errors = append(a.Errors, errPrivate())
	e.Set.Data, e.Set.Sigs = p.strip(e.Type, e.Set.Data), nil
	if e.Set.Empty() {
		e.Kind, e.Proof = cache.NoData, nil
	}
}

// hides tells whether a chain's end has addresses that are to be removed.
func (t *trail) hides(chain []Hop) bool {
	p := t.r.private
	last := &chain[len(chain)-1]
	e := &last.Entry
	if p == nil || t.job.depth > 0 || e.Kind != cache.Data || !concerns(e.Type) || !p.found(e.Type, e.Set.Data) {
		return false
	}
	return !((chain[0].local || p.trusts(t.q.Name)) && (last.local || p.trusts(e.Name)))
}

func errPrivate() *ede.Error {
	return &ede.Error{Code: ede.Blocked, ID: "PRIV", Text: "addresses of private networks were removed"}
}
