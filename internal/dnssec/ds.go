package dnssec

import (
	"bytes"
	"encoding/binary"
	"errors"

	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
)

// DS points from a parent zone to a key of its child (RFC 4034 §5).
type DS struct {
	Tag       uint16
	Algorithm Algorithm
	Type      DigestType
	Digest    []byte
}

var errDS = errors.New("malformed DS record")

// ReadDS reads the data of a DS record; the digest aliases it.
func ReadDS(rdata []byte) (DS, error) {
	if len(rdata) < 5 {
		return DS{}, errDS
	}
	d := DS{Tag: binary.BigEndian.Uint16(rdata), Algorithm: Algorithm(rdata[2]), Type: DigestType(rdata[3]), Digest: rdata[4:]}
	if h := d.Type.hash(); h != 0 && len(d.Digest) != h.Size() {
		return DS{}, errDS
	}
	return d, nil
}

// Matches tells whether it is this key of a zone that is meant.
func (d *DS) Matches(zone dnsname.Name, k *Key) bool {
	return d.Tag == k.Tag && d.Algorithm == k.Algorithm && bytes.Equal(d.Digest, k.Digest(zone, d.Type))
}

// ReadAllDS reads those DS records that count by the policy: when there is a
// better digest than SHA-1, that is left out (RFC 4509 §3).
func ReadAllDS(set *rrset.Set, p *Policy) []DS {
	var list, old []DS
	for rdata := range set.Data.All() {
		d, err := ReadDS(rdata)
		switch {
		case err != nil || !p.Algorithm(d.Algorithm) || !p.Digest(d.Type):
		case d.Type == SHA1:
			old = append(old, d)
		default:
			list = append(list, d)
		}
	}
	if len(list) == 0 {
		return old
	}
	return list
}
