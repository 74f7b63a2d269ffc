package authority

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/miekg/dns"

	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

// Algorithm is a DNSSEC algorithm number.
type Algorithm uint8

// The algorithms that zones can be signed with.
const (
	ECDSAP256 Algorithm = 13 // RFC 6605
	Ed25519   Algorithm = 15 // RFC 8080
)

// Key signs a zone and its own DNSKEY set: a combined signing key.
type Key struct {
	public *dns.DNSKEY
	signer crypto.Signer
}

// keyTTL is the TTL of DNSKEY and DS records in seconds.
const keyTTL = 3600

// NewKey makes the key of a zone from a seed: the same seed, the same key.
func NewKey(zone dnsname.Name, a Algorithm, seed [32]byte) (*Key, error) {
	k := &Key{public: &dns.DNSKEY{
		Hdr:       dns.RR_Header{Name: zone.String(), Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: keyTTL},
		Flags:     dns.ZONE | dns.SEP,
		Protocol:  3,
		Algorithm: uint8(a),
	}}
	var public []byte
	switch a {
	case Ed25519:
		private := ed25519.NewKeyFromSeed(seed[:])
		k.signer, public = private, private.Public().(ed25519.PublicKey)
	case ECDSAP256:
		private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed[:])
		if err != nil {
			return nil, fmt.Errorf("key of %s: %w", zone, err)
		}
		point, err := private.PublicKey.Bytes()
		if err != nil {
			return nil, fmt.Errorf("key of %s: %w", zone, err)
		}
		k.signer, public = private, point[1:] // without the octet that says "uncompressed"
	default:
		return nil, fmt.Errorf("key of %s: algorithm %d is not supported", zone, a)
	}
	k.public.PublicKey = base64.StdEncoding.EncodeToString(public)
	return k, nil
}

// Tag is the key's tag (RFC 4034 appendix B).
func (k *Key) Tag() uint16 { return k.public.KeyTag() }

// DNSKEY is the key's record in its own zone.
func (k *Key) DNSKEY() (Record, error) { return fromRR(k.public) }

// DS is the key's record in the parent zone, with a SHA-256 digest.
func (k *Key) DS() (Record, error) {
	ds := k.public.ToDS(dns.SHA256)
	if ds == nil {
		return Record{}, errors.New("key without digest")
	}
	return fromRR(ds)
}

// Sign gives the zone with DNSKEY records, an NSEC chain and signatures by
// every key, valid from one time to the other. What a former signing left is
// replaced; the zone itself does not change.
func (z *Zone) Sign(from, until time.Time, keys ...*Key) (*Zone, error) {
	records := slices.DeleteFunc(z.Records(), func(r Record) bool {
		return r.Type == wire.TypeRRSIG || r.Type == wire.TypeNSEC || r.Type == wire.TypeDNSKEY
	})
	for _, k := range keys {
		r, err := k.DNSKEY()
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	bare, err := NewZone(z.origin, records)
	if err != nil {
		return nil, err
	}
	nsec, err := bare.nsecChain()
	if err != nil {
		return nil, err
	}
	records = append(records, nsec...)
	chained, err := NewZone(z.origin, records)
	if err != nil {
		return nil, err
	}
	sigs, err := chained.signatures(from, until, keys)
	if err != nil {
		return nil, err
	}
	return NewZone(z.origin, append(records, sigs...))
}

// authoritative lists the names that the zone has authority over or delegates,
// in canonical order: neither glue nor empty non-terminals.
func (z *Zone) authoritative() []dnsname.Name {
	var names []dnsname.Name
	for name, n := range z.nodes {
		_, _, cut := z.walk(name, wire.TypeDS)
		if len(n.sets) > 0 && cut == "" {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, dnsname.Compare)
	return names
}

// signedTypes lists the types at a name that get signatures: all, but at a cut
// only what is the parent's (RFC 4035 §2.2).
func (n *node) signedTypes() (types []wire.Type) {
	for _, s := range n.sets {
		if !s.Empty() && (!n.cut || s.Type == wire.TypeDS || s.Type == wire.TypeNSEC) {
			types = append(types, s.Type)
		}
	}
	return types
}

// nsecChain makes the NSEC records (RFC 4034 §4), one for each authoritative
// name, with the TTL of negative answers (RFC 9077).
func (z *Zone) nsecChain() ([]Record, error) {
	names := z.authoritative()
	var chain []Record
	for i, name := range names {
		n := z.nodes[name]
		types := []uint16{dns.TypeNSEC, dns.TypeRRSIG}
		for _, s := range n.sets {
			if !n.cut || s.Type == wire.TypeDS || s.Type == wire.TypeNS {
				types = append(types, uint16(s.Type))
			}
		}
		slices.Sort(types)
		r, err := fromRR(&dns.NSEC{
			Hdr:        dns.RR_Header{Name: name.String(), Rrtype: dns.TypeNSEC, Class: dns.ClassINET, Ttl: z.soa.TTL},
			NextDomain: names[(i+1)%len(names)].String(),
			TypeBitMap: types,
		})
		if err != nil {
			return nil, err
		}
		chain = append(chain, r)
	}
	return chain, nil
}

// signatures signs every authoritative set with every key.
func (z *Zone) signatures(from, until time.Time, keys []*Key) ([]Record, error) {
	var sigs []Record
	for _, name := range z.authoritative() {
		n := z.nodes[name]
		for _, t := range n.signedTypes() {
			s, _ := n.set(t)
			var set []dns.RR
			for rdata := range s.Data.All() {
				rr, err := Record{Name: name, Type: t, TTL: s.TTL, Data: rdata}.toRR()
				if err != nil {
					return nil, err
				}
				set = append(set, rr)
			}
			for _, k := range keys {
				r, err := k.sign(set, from, until)
				if err != nil {
					return nil, fmt.Errorf("signing %s %s: %w", name, t, err)
				}
				sigs = append(sigs, r)
			}
		}
	}
	return sigs, nil
}

// sign makes the RRSIG record of one set.
func (k *Key) sign(set []dns.RR, from, until time.Time) (Record, error) {
	h := set[0].Header()
	sig := &dns.RRSIG{
		Hdr:        dns.RR_Header{Name: h.Name, Rrtype: dns.TypeRRSIG, Class: dns.ClassINET, Ttl: h.Ttl},
		Algorithm:  k.public.Algorithm,
		KeyTag:     k.public.KeyTag(),
		SignerName: k.public.Hdr.Name,
		Inception:  uint32(from.Unix()),
		Expiration: uint32(until.Unix()),
	}
	if err := sig.Sign(k.signer, set); err != nil {
		return Record{}, err
	}
	return fromRR(sig)
}
