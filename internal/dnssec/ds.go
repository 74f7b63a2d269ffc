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
	d, err := readDS(rdata)
	if h := d.Type.hash(); err == nil && h != 0 && len(d.Digest) != h.Size() {
		return DS{}, errDS
	}
	return d, err
}

// readDS takes digests of the wrong length too. They match no key, which is not as
// if they were of an unknown type: a zone whose parent errs so is bogus, not insecure.
func readDS(rdata []byte) (DS, error) {
	if len(rdata) < 5 {
		return DS{}, errDS
	}
	return DS{Tag: binary.BigEndian.Uint16(rdata), Algorithm: Algorithm(rdata[2]), Type: DigestType(rdata[3]), Digest: rdata[4:]}, nil
}

// Matches tells whether it is this key of a zone that is meant.
func (d *DS) Matches(zone dnsname.Name, k *Key) bool {
	return d.Tag == k.Tag && d.Algorithm == k.Algorithm && bytes.Equal(d.Digest, k.Digest(zone, d.Type))
}

// MeantBy tells whether a zone's key is one that DS records mean and that may sign
// its key set. One that was revoked may not, whoever points to it (RFC 5011 §2.1).
// No digest of the key is computed twice, however many records there are.
func (k *Key) MeantBy(zone dnsname.Name, list []DS) bool {
	if k.IsRevoked() {
		return false
	}
	var digests [SHA384 + 1][]byte
	for i := range list {
		d := &list[i]
		if d.Tag != k.Tag || d.Algorithm != k.Algorithm || d.Type.hash() == 0 {
			continue
		}
		if digests[d.Type] == nil {
			digests[d.Type] = k.Digest(zone, d.Type)
		}
		if bytes.Equal(d.Digest, digests[d.Type]) {
			return true
		}
	}
	return false
}

// ReadAllDS reads those DS records that count by the policy: when there is a
// better digest than SHA-1, that is left out (RFC 4509 §3).
func ReadAllDS(set *rrset.Set, p *Policy) []DS {
	var list, old []DS
	for rdata := range set.Data.All() {
		d, err := readDS(rdata)
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
