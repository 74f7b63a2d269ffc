package authority

import (
	"cmp"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

// NSEC3 are the parameters of a chain of hashed names (RFC 5155).
type NSEC3 struct {
	Iterations uint16
	Salt       []byte // at most 255 octets
	OptOut     bool   // unsigned delegations are left out (§6)

	// What the records say wrongly: the number of another hash, 0 for that of SHA-1,
	// by which they are made all the same; and other flags.
	Hash, Flags uint8
}

// hashed are a zone's NSEC3 records. Their owners are no names of the zone: they
// are neither answered nor do they keep a wildcard away (RFC 5155 §7.2.8).
type hashed struct {
	origin     dnsname.Name
	iterations uint16
	salt       []byte
	nodes      map[dnsname.Name]*node
	order      []dnsname.Name // of their owners, which is that of the hashes
}

// base32Hex is how hashes are written in names (RFC 5155 §3.3).
var base32Hex = base32.HexEncoding.WithPadding(base32.NoPadding)

// hashed tells whether the record is an NSEC3 record, or the signature of one.
func (r Record) hashed() bool {
	return r.Type == wire.TypeNSEC3 ||
		r.Type == wire.TypeRRSIG && len(r.Data) >= 2 && wire.Type(binary.BigEndian.Uint16(r.Data)) == wire.TypeNSEC3
}

// add takes a record of the chain. The first one's parameters are the chain's.
func (h *hashed) add(r Record) {
	if h.nodes == nil {
		h.nodes = map[dnsname.Name]*node{}
	}
	if h.nodes[r.Name] == nil {
		h.nodes[r.Name] = new(node)
	}
	h.nodes[r.Name].add(r)
	if len(h.order) > 0 || r.Type != wire.TypeNSEC3 || len(r.Data) < 5 || len(r.Data) < 5+int(r.Data[4]) || r.Name.IsRoot() {
		return
	}
	h.origin, h.order = r.Name.Parent(), []dnsname.Name{r.Name}
	h.iterations, h.salt = binary.BigEndian.Uint16(r.Data[2:]), r.Data[5:][:r.Data[4]]
}

// close orders what there is.
func (h *hashed) close() {
	h.order = nil
	for name, n := range h.nodes {
		if _, ok := n.set(wire.TypeNSEC3); ok && h.origin != "" {
			h.order = append(h.order, name)
		}
	}
	slices.SortFunc(h.order, dnsname.Compare)
}

func (h *hashed) empty() bool { return len(h.order) == 0 }

// match is the owner of the record of a name, if it has one.
func (h *hashed) match(name dnsname.Name) dnsname.Name {
	owner := hashName(name, h.origin, h.iterations, h.salt)
	if h.nodes[owner] == nil {
		return ""
	}
	return owner
}

func (h *hashed) has(name dnsname.Name) bool { return h.match(name) != "" }

// cover is the owner of the record whose span covers a name's hash; it is that of
// the name itself when there is one, which makes the proof a wrong one.
func (h *hashed) cover(name dnsname.Name) dnsname.Name {
	owner := hashName(name, h.origin, h.iterations, h.salt)
	if owner == "" {
		return ""
	}
	i, exact := slices.BinarySearchFunc(h.order, owner, dnsname.Compare)
	if !exact {
		i += len(h.order) - 1
	}
	return h.order[i%len(h.order)]
}

// hashName is the owner of a name's NSEC3 record (RFC 5155 §5).
func hashName(name, origin dnsname.Name, iterations uint16, salt []byte) dnsname.Name {
	sum := sha1.Sum(append([]byte(name), salt...))
	for range iterations {
		sum = sha1.Sum(append(sum[:], salt...))
	}
	owner, err := origin.Prepend(strings.ToLower(base32Hex.EncodeToString(sum[:])))
	if err != nil {
		return "" // the origin leaves no room
	}
	return owner
}

// nsec3Chain makes the NSEC3 records (RFC 5155 §7.1) with the TTL of negative
// answers, and the NSEC3PARAM record that tells their parameters.
func (z *Zone) nsec3Chain(p NSEC3) ([]Record, error) {
	if len(p.Salt) > 255 {
		return nil, fmt.Errorf("a salt of %d octets", len(p.Salt))
	}
	types := z.hashedTypes(p.OptOut)
	types[z.origin] = append(types[z.origin], dns.TypeNSEC3PARAM)
	owners := map[dnsname.Name][]uint16{}
	var order []dnsname.Name
	for name, list := range types {
		owner := hashName(name, z.origin, p.Iterations, p.Salt)
		if owner == "" || owners[owner] != nil {
			return nil, fmt.Errorf("%s cannot be hashed, or has the hash of another", name)
		}
		slices.Sort(list)
		owners[owner] = append([]uint16{}, list...)
		order = append(order, owner)
	}
	slices.SortFunc(order, dnsname.Compare)
	salt := hex.EncodeToString(p.Salt)
	param, err := fromRR(&dns.NSEC3PARAM{
		Hdr:  dns.RR_Header{Name: z.origin.String(), Rrtype: dns.TypeNSEC3PARAM, Class: dns.ClassINET, Ttl: z.soa.TTL},
		Hash: dns.SHA1, Iterations: p.Iterations, SaltLength: uint8(len(p.Salt)), Salt: salt,
	})
	if err != nil {
		return nil, err
	}
	chain := []Record{param}
	flags, hash := p.Flags, uint8(cmp.Or(p.Hash, dns.SHA1))
	if p.OptOut {
		flags |= 1
	}
	for i, owner := range order {
		r, err := fromRR(&dns.NSEC3{
			Hdr:  dns.RR_Header{Name: owner.String(), Rrtype: dns.TypeNSEC3, Class: dns.ClassINET, Ttl: z.soa.TTL},
			Hash: hash, Flags: flags, Iterations: p.Iterations, SaltLength: uint8(len(p.Salt)), Salt: salt,
			HashLength: sha1.Size, NextDomain: strings.ToUpper(order[(i+1)%len(order)].FirstLabel()), TypeBitMap: owners[owner],
		})
		if err != nil {
			return nil, err
		}
		chain = append(chain, r)
	}
	return chain, nil
}

// hashedTypes gives the names that get a record, with the types that it tells of:
// empty non-terminals too, and with opt-out no unsigned delegations, nor what is
// there for their sake alone.
func (z *Zone) hashedTypes(optOut bool) map[dnsname.Name][]uint16 {
	types := map[dnsname.Name][]uint16{}
	hasAbove := func(name dnsname.Name) {
		for up := name; up != z.origin; up = up.Parent() {
			if _, ok := types[up.Parent()]; !ok {
				types[up.Parent()] = nil
			}
		}
	}
	for _, name := range z.authoritative() {
		n := z.nodes[name]
		_, ds := n.set(wire.TypeDS)
		if optOut && n.cut && !ds {
			hasAbove(z.besideWildcard(name))
			continue
		}
		list := n.told()
		if !n.cut || ds {
			list = append(list, dns.TypeRRSIG)
		}
		types[name] = list
		hasAbove(name)
	}
	return types
}

// besideWildcard gives the name below the deepest ancestor of a name that stands
// beside a wildcard: it must not seem to be absent, since the wildcard would seem to
// answer for what is below it. Without one it is the origin.
func (z *Zone) besideWildcard(name dnsname.Name) dnsname.Name {
	for ; name != z.origin && name.Parent() != z.origin; name = name.Parent() {
		wildcard, err := name.Parent().Parent().Prepend("*")
		if err == nil && z.nodes[wildcard] != nil {
			return name
		}
	}
	return z.origin
}
