package rootzone

import (
	"bytes"
	"crypto"
	_ "crypto/sha512" // both hashes of RFC 8976 §5.3
	"encoding/binary"
	"errors"
	"fmt"
	"hash"

	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// schemeSimple is the only scheme there is (RFC 8976 §5.2).
const schemeSimple = 1

// hashOf gives the hash of a number in the registry of ZONEMD hash algorithms (RFC
// 8976 §5.3), 0 for those that are not known.
func hashOf(algorithm uint8) crypto.Hash {
	switch algorithm {
	case 1:
		return crypto.SHA384
	case 2:
		return crypto.SHA512
	}
	return 0
}

var (
	errNoDigest = errors.New("the zone has no ZONEMD record")
	errDigest   = errors.New("the zone is not what its ZONEMD record says")
)

// checkDigest verifies the zone's ZONEMD records (RFC 8976 §4) and names the hash
// of the one that is right: one is enough. Whether they are the zone owner's is
// for their signature to say.
func (d *Data) checkDigest() (crypto.Hash, error) {
	apex, _ := d.at(d.origin)
	set, ok := apex.set(wire.TypeZONEMD)
	if !ok {
		return 0, errNoDigest
	}
	err := error(nil)
	for rdata := range set.Data.All() {
		h, why := d.tryDigest(set, rdata)
		if why == nil {
			return h, nil
		}
		if err == nil || errors.Is(why, errDigest) {
			err = why
		}
	}
	return 0, err
}

// tryDigest verifies one ZONEMD record.
func (d *Data) tryDigest(set rrset.Set, rdata []byte) (crypto.Hash, error) {
	if len(rdata) < 6 {
		return 0, fmt.Errorf("ZONEMD: %w", wire.ErrRdata)
	}
	serial, scheme, algorithm, want := binary.BigEndian.Uint32(rdata), rdata[4], rdata[5], rdata[6:]
	kind := hashOf(algorithm)
	switch alike := sameKind(set, scheme, algorithm); {
	case serial != d.soa.serial:
		return 0, fmt.Errorf("ZONEMD is of serial %d, SOA of %d", serial, d.soa.serial)
	case scheme != schemeSimple:
		return 0, fmt.Errorf("ZONEMD is of scheme %d, which is not known", scheme)
	case kind == 0:
		return 0, fmt.Errorf("ZONEMD is of hash algorithm %d, which is not known", algorithm)
	case alike > 1:
		return 0, fmt.Errorf("%d ZONEMD records of one scheme and hash algorithm %d", alike, algorithm)
	case len(want) != kind.Size():
		return 0, fmt.Errorf("ZONEMD has a %s digest of %d octets", kind, len(want))
	}
	h := kind.New()
	d.digest(h)
	if got := h.Sum(nil); !bytes.Equal(got, want) {
		return 0, fmt.Errorf("%w: its %s is %x, not %x", errDigest, kind, got, want)
	}
	return kind, nil
}

// sameKind counts the ZONEMD records of a scheme and hash algorithm: where there
// are two, neither counts (RFC 8976 §4).
func sameKind(set rrset.Set, scheme, algorithm uint8) (n int) {
	for rdata := range set.Data.All() {
		if len(rdata) >= 6 && rdata[4] == scheme && rdata[5] == algorithm {
			n++
		}
	}
	return n
}

// digest writes the zone in the form of scheme SIMPLE (RFC 8976 §3.3.1): every
// record, glue and what is occluded too, without the ZONEMD records at the apex
// and their signatures. As signatures are kept behind the types that they cover,
// they come in their own order.
func (d *Data) digest(h hash.Hash) {
	buf := make([]byte, 0, 512)
	write := func(owner dnsname.Name, t wire.Type, ttl uint32, records rrset.Packed) {
		for rdata := range records.All() {
			buf = append(buf[:0], owner...)
			buf = binary.BigEndian.AppendUint16(buf, uint16(t))
			buf = binary.BigEndian.AppendUint16(buf, uint16(wire.ClassIN))
			buf = binary.BigEndian.AppendUint32(buf, ttl)
			buf = binary.BigEndian.AppendUint16(buf, uint16(len(rdata)))
			buf = append(buf, rdata...)
			h.Write(buf)
		}
	}
	for i := range d.count() {
		n, apex, signed := d.node(i), d.nameOf(i) == d.origin, false
		sigs := func() {
			for s := range n.all() {
				if !apex || s.Type != wire.TypeZONEMD {
					write(s.Name, wire.TypeRRSIG, s.TTL, s.Sigs)
				}
			}
			signed = true
		}
		for s := range n.all() {
			if s.Type > wire.TypeRRSIG && !signed {
				sigs()
			}
			if !apex || s.Type != wire.TypeZONEMD {
				write(s.Name, s.Type, s.TTL, s.Data)
			}
		}
		if !signed {
			sigs()
		}
	}
}
