package authority

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"

	"github.com/miekg/dns"

	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
)

// Role is what a key is there for.
type Role uint8

// The roles of keys (RFC 6781 §3.1).
const (
	Combined    Role = iota // signs everything, and DS records point to it
	KeySigning              // signs the DNSKEY set only
	ZoneSigning             // signs everything else
	Standby                 // is published, and signs nothing
	Hidden                  // signs everything, and is not published
)

// KeySpec says which key a zone is to have. The same spec gives the same key.
type KeySpec struct {
	Algorithm dnssec.Algorithm
	Role      Role
	Revoked   bool // RFC 5011 §2.1
	Seed      [32]byte
}

// Key signs a zone.
type Key struct {
	role   Role
	public *dns.DNSKEY
	signer crypto.Signer
}

// keyTTL is the TTL of DNSKEY and DS records in seconds.
const keyTTL = 3600

// bitsRSA is the length of RSA moduli: short, so that keys are quickly made.
const bitsRSA = 1024

// NewKey makes a key of a zone.
func NewKey(zone dnsname.Name, spec KeySpec) (*Key, error) {
	k := &Key{role: spec.Role, public: &dns.DNSKEY{
		Hdr:       dns.RR_Header{Name: zone.String(), Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: keyTTL},
		Flags:     dns.ZONE,
		Protocol:  3,
		Algorithm: uint8(spec.Algorithm),
	}}
	if spec.Role != ZoneSigning {
		k.public.Flags |= dns.SEP
	}
	if spec.Revoked {
		k.public.Flags |= dns.REVOKE
	}
	var public []byte
	var err error
	switch spec.Algorithm {
	case dnssec.RSASHA1, dnssec.RSASHA1NSEC3, dnssec.RSASHA256, dnssec.RSASHA512:
		k.signer, public, err = keyRSA(spec.Seed)
	case dnssec.ECDSAP256:
		k.signer, public, err = keyECDSA(elliptic.P256(), spec.Seed)
	case dnssec.ECDSAP384:
		k.signer, public, err = keyECDSA(elliptic.P384(), spec.Seed)
	case dnssec.Ed25519:
		private := ed25519.NewKeyFromSeed(spec.Seed[:])
		k.signer, public = private, private.Public().(ed25519.PublicKey)
	default:
		err = fmt.Errorf("algorithm %s is not supported", spec.Algorithm)
	}
	if err != nil {
		return nil, fmt.Errorf("key of %s: %w", zone, err)
	}
	k.public.PublicKey = base64.StdEncoding.EncodeToString(public)
	return k, nil
}

// repeatable is a key whose signatures are the same each time (RFC 6979).
type repeatable struct{ crypto.Signer }

func (r repeatable) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return r.Signer.Sign(nil, digest, opts)
}

// keyECDSA makes a key of a curve. A number above the curve's order, which hardly
// any seed gives, is no key.
func keyECDSA(curve elliptic.Curve, seed [32]byte) (crypto.Signer, []byte, error) {
	number := seed[:]
	if n := (curve.Params().BitSize + 7) / 8; n > len(seed) {
		number = append(make([]byte, n-len(seed)), seed[:]...)
	}
	private, err := ecdsa.ParseRawPrivateKey(curve, number)
	if err != nil {
		return nil, nil, err
	}
	point, err := private.PublicKey.Bytes()
	if err != nil {
		return nil, nil, err
	}
	return repeatable{private}, point[1:], nil // without the octet that says "uncompressed"
}

// keyRSA makes a key of primes that a seed leads to. The standard library's are
// never the same twice.
func keyRSA(seed [32]byte) (crypto.Signer, []byte, error) {
	const exponent = 65537
	chance := rand.NewChaCha8(seed)
	for range 100 { // two primes of a thousand do not do
		p, q := prime(chance), prime(chance)
		one := big.NewInt(1)
		phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
		d := new(big.Int).ModInverse(big.NewInt(exponent), phi)
		if d == nil || p.Cmp(q) == 0 {
			continue
		}
		k := &rsa.PrivateKey{D: d, Primes: []*big.Int{p, q}}
		k.N, k.E = new(big.Int).Mul(p, q), exponent
		k.Precompute()
		if err := k.Validate(); err != nil {
			return nil, nil, err
		}
		public := []byte{3, 1, 0, 1} // RFC 3110 §2
		return k, append(public, k.N.Bytes()...), nil
	}
	return nil, nil, errors.New("no prime numbers were found")
}

// prime is the next prime of half a modulus, its two highest bits set.
func prime(chance *rand.ChaCha8) *big.Int {
	buf := make([]byte, bitsRSA/16)
	for {
		_, _ = chance.Read(buf) // never fails
		buf[0] |= 0xc0
		buf[len(buf)-1] |= 1
		if p := new(big.Int).SetBytes(buf); p.ProbablyPrime(20) {
			return p
		}
	}
}

// Twins gives n other keys with the same tag and algorithm, which sign nothing: a
// tag is a sum, which the order of what is added does not change (RFC 4034
// appendix B; CVE-2023-50387).
func (k *Key) Twins(n int) ([]*Key, error) {
	public, err := base64.StdEncoding.DecodeString(k.public.PublicKey)
	if err != nil {
		return nil, err
	}
	words := len(public)/2 - 2 // what an RSA key begins with stays
	if n > words-1 {
		return nil, fmt.Errorf("a key of %d octets has no %d twins", len(public), n)
	}
	var twins []*Key
	for i := range n {
		other := bytes.Clone(public)
		moved := other[4:][:2*words]
		copy(moved, public[4+2*(i+1):][:2*(words-i-1)])
		copy(moved[2*(words-i-1):], public[4:][:2*(i+1)])
		record := *k.public
		record.PublicKey = base64.StdEncoding.EncodeToString(other)
		twins = append(twins, &Key{role: Standby, public: &record})
	}
	return twins, nil
}

// Tag is the key's tag (RFC 4034 appendix B).
func (k *Key) Tag() uint16 { return k.public.KeyTag() }

// DNSKEY is the key's record in its own zone.
func (k *Key) DNSKEY() (Record, error) { return fromRR(k.public) }

// DS is the key's record in the parent zone.
func (k *Key) DS(d dnssec.DigestType) (Record, error) {
	ds := k.public.ToDS(uint8(d))
	if ds == nil {
		return Record{}, fmt.Errorf("digest %d is not supported", d)
	}
	return fromRR(ds)
}

// EntryPoint tells whether DS records are to point to the key.
func (k *Key) EntryPoint() bool { return k.role == Combined || k.role == KeySigning }

// signs tells whether the key signs sets of a type.
func (k *Key) signs(t uint16) bool {
	switch k.role {
	case KeySigning:
		return t == dns.TypeDNSKEY
	case ZoneSigning:
		return t != dns.TypeDNSKEY
	}
	return k.role != Standby
}
