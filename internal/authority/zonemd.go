package authority

import (
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"slices"

	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// Numbers of the registries of RFC 8976 §5.
const (
	schemeSimple = 1
	hashSHA384   = 1
)

func (p *planText) takeZonemd(value string) error {
	switch value {
	case "", "right":
		value = "right"
	case "wrong", "serial", "scheme":
	default:
		return fmt.Errorf("want zonemd, or zonemd=wrong, serial or scheme")
	}
	p.Digest = value
	return nil
}

// signDigested signs the zone with a ZONEMD record. The digest leaves that record and
// its signatures out, so it is taken of the zone signed with a place-holder.
func (z *Zone) signDigested(s Signing, how string) (*Zone, error) {
	records := slices.DeleteFunc(z.Records(), func(r Record) bool { return r.Type == wire.TypeZONEMD && r.Name == z.origin })
	var digest [sha512.Size384]byte
	for range 2 {
		with, err := NewZone(z.origin, append(slices.Clone(records), z.zonemd(digest[:], how)))
		if err != nil {
			return nil, err
		}
		signed, err := with.Sign(s)
		if err != nil || digest != [sha512.Size384]byte{} {
			return signed, err
		}
		digest = signed.digest()
		if how == "wrong" {
			digest[0] ^= 1
		}
	}
	return nil, fmt.Errorf("signing %s: a digest of nothing but zeros", z.origin)
}

// zonemd makes the record.
func (z *Zone) zonemd(digest []byte, how string) Record {
	serial, scheme := z.Serial(), byte(schemeSimple)
	switch how {
	case "serial":
		serial++
	case "scheme":
		scheme = 240
	}
	data := append(binary.BigEndian.AppendUint32(nil, serial), scheme, hashSHA384)
	soa, _ := z.split()
	return Record{Name: z.origin, Type: wire.TypeZONEMD, TTL: soa.TTL, Data: append(data, digest...)}
}

// digest is that of scheme SIMPLE (RFC 8976 §3.3.1): all records in canonical form
// and order but for ZONEMD at the apex and its signatures.
func (z *Zone) digest() [sha512.Size384]byte {
	type line struct {
		name dnsname.Name
		t    wire.Type
		wire []byte
	}
	var lines []line
	for _, r := range z.records {
		if !r.Name.Under(z.origin) {
			continue
		}
		if r.Name == z.origin && (r.Type == wire.TypeZONEMD || r.Type == wire.TypeRRSIG && wire.Type(binary.BigEndian.Uint16(r.Data)) == wire.TypeZONEMD) {
			continue
		}
		data := rrset.AppendCanonical(nil, r.Type, r.Data)
		b := binary.BigEndian.AppendUint16([]byte(r.Name), uint16(r.Type))
		b = binary.BigEndian.AppendUint16(b, uint16(wire.ClassIN))
		b = binary.BigEndian.AppendUint32(b, r.TTL)
		b = binary.BigEndian.AppendUint16(b, uint16(len(data)))
		lines = append(lines, line{r.Name, r.Type, append(b, data...)})
	}
	slices.SortFunc(lines, func(a, b line) int {
		if c := dnsname.Compare(a.name, b.name); c != 0 {
			return c
		}
		if a.t != b.t {
			return int(a.t) - int(b.t)
		}
		head := len(a.name) + 10
		return slices.Compare(a.wire[head:], b.wire[head:])
	})
	lines = slices.CompactFunc(lines, func(a, b line) bool { return slices.Equal(a.wire, b.wire) })
	h := sha512.New384()
	for _, l := range lines {
		h.Write(l.wire)
	}
	return [sha512.Size384]byte(h.Sum(nil))
}
