package dnssec

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/binary"
	"errors"
	"math"
	"math/big"

	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
)

// Flags of a DNSKEY record (RFC 4034 §2.1.1, RFC 5011 §7).
const (
	flagZone       = 0x0100
	flagRevoked    = 0x0080
	flagEntryPoint = 0x0001
)

// Key is a DNSKEY record. It is immutable and may be shared.
type Key struct {
	Flags     uint16
	Algorithm Algorithm
	Tag       uint16

	rdata  []byte
	public any // *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey; nil: not to be verified with
}

var errKey = errors.New("malformed DNSKEY record")

// ReadKey reads the data of a DNSKEY record, which is copied. A key whose
// algorithm is not known, or that is not one of it, verifies nothing.
func ReadKey(rdata []byte) (*Key, error) {
	if len(rdata) < 5 || rdata[2] != 3 { // RFC 4034 §2.1.2: the protocol must be 3
		return nil, errKey
	}
	k := &Key{
		Flags: binary.BigEndian.Uint16(rdata), Algorithm: Algorithm(rdata[3]),
		Tag: Tag(rdata), rdata: append([]byte(nil), rdata...),
	}
	k.public = public(k.Algorithm, k.rdata[4:])
	return k, nil
}

// mostKey is the longest data of a key that is kept, in octets: those of known
// algorithms are half as long at most.
const mostKey = 2 * mostRSA

// ReadKeys reads those of a DNSKEY set that may sign a zone, up to the limit.
func ReadKeys(set *rrset.Set, b *Budget) []*Key {
	var list []*Key
	for rdata := range set.Data.All() {
		if len(list) == b.limits.Keys {
			break
		}
		if len(rdata) > mostKey || len(rdata) > 1 && rdata[0]&(flagZone>>8) == 0 {
			continue
		}
		if k, err := ReadKey(rdata); err == nil {
			list = append(list, k)
		}
	}
	return list
}

// Tag is a key's tag (RFC 4034 appendix B), which is no identity: other keys may
// have the same.
func Tag(rdata []byte) uint16 {
	if len(rdata) >= 8 && rdata[3] == 1 { // RSAMD5, appendix B.1
		return binary.BigEndian.Uint16(rdata[len(rdata)-3:])
	}
	var sum uint32
	for i, c := range rdata {
		if i%2 == 0 {
			sum += uint32(c) << 8
		} else {
			sum += uint32(c)
		}
	}
	return uint16(sum + sum>>16)
}

// IsZone tells whether the key may sign records at all (RFC 4034 §2.1.1).
func (k *Key) IsZone() bool { return k.Flags&flagZone != 0 }

// IsRevoked tells whether its owner gave it up (RFC 5011 §2.1).
func (k *Key) IsRevoked() bool { return k.Flags&flagRevoked != 0 }

// IsEntryPoint tells whether it is meant to be a trust anchor or pointed to by DS.
func (k *Key) IsEntryPoint() bool { return k.Flags&flagEntryPoint != 0 }

// Data is the record's data; it must not be changed.
func (k *Key) Data() []byte { return k.rdata }

// Usable tells whether signatures can be verified with it.
func (k *Key) Usable() bool { return k.public != nil }

// slow tells whether a signature takes far longer to verify with it than with the
// keys that most zones have.
func (k *Key) slow() bool {
	p, ok := k.public.(*rsa.PublicKey)
	return k.Algorithm == ECDSAP384 || ok && (p.N.BitLen() > usualRSA || p.E > usualExponent)
}

const (
	usualRSA      = 2048
	usualExponent = 1<<16 + 1
)

// Digest is what a DS record has of the key, nil for an unknown type (RFC 4034
// §5.1.4).
func (k *Key) Digest(owner dnsname.Name, d DigestType) []byte {
	kind := d.hash()
	if kind == 0 {
		return nil
	}
	h := kind.New()
	h.Write([]byte(owner)) // names are lower case
	h.Write(k.rdata)
	return h.Sum(nil)
}

func public(a Algorithm, b []byte) any {
	switch a {
	case RSASHA1, RSASHA1NSEC3, RSASHA256, RSASHA512:
		return publicRSA(b)
	case ECDSAP256:
		return publicECDSA(elliptic.P256(), b)
	case ECDSAP384:
		return publicECDSA(elliptic.P384(), b)
	case Ed25519:
		if len(b) == ed25519.PublicKeySize {
			return ed25519.PublicKey(b)
		}
	}
	return nil
}

// mostRSA is the longest modulus in octets (RFC 3110 §2): the time to verify grows
// with its square.
const mostRSA = 512

// mostExponent is the longest exponent in octets. Some signers took 2^32+1.
const mostExponent = 5

// publicRSA is RFC 3110 §2.
func publicRSA(b []byte) any {
	if len(b) < 3 {
		return nil
	}
	n, b := int(b[0]), b[1:]
	if n == 0 {
		n, b = int(binary.BigEndian.Uint16(b)), b[2:]
	}
	if n == 0 || n > mostExponent || len(b) <= n || len(b)-n > mostRSA {
		return nil
	}
	var e uint64
	for _, c := range b[:n] {
		e = e<<8 | uint64(c)
	}
	if e < 3 || e > math.MaxInt || e%2 == 0 {
		return nil
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(b[n:]), E: int(e)}
}

// publicECDSA is RFC 6605 §4: the point without the octet that says how it is
// written.
func publicECDSA(curve elliptic.Curve, b []byte) any {
	k, err := ecdsa.ParseUncompressedPublicKey(curve, append([]byte{4}, b...))
	if err != nil {
		return nil
	}
	return k
}
