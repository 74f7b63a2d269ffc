package dnssec

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"encoding/base64"
	"io"
	"math/big"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// TestShortRSA: keys that are shorter than the standard library takes are verified with
// all the same, where RFC 5702 §2 allows them.
func TestShortRSA(t *testing.T) {
	for _, tc := range []struct {
		a    Algorithm
		bits int
		good bool
	}{{RSASHA1, 512, true}, {RSASHA256, 512, true}, {RSASHA256, 768, true}, {RSASHA512, 1024, true}} {
		p := newPair(t, "example.", tc.a, max(tc.bits, 512))
		s, list := setOf(t, "www.example. 300 IN A 192.0.2.1")
		p.sign(t, s, list, nil)
		if _, err := verifier("example.", p).Verify(s); (err == nil) != tc.good {
			t.Errorf("%v of %d bits: %v", tc.a, tc.bits, err)
		}
		for i := 0; i < tc.bits/8; i += 3 {
			bad := s.Clone()
			bad.Sigs[len(bad.Sigs)-1-i] ^= 0x40
			if _, err := verifier("example.", p).Verify(&bad); err == nil {
				t.Fatalf("%v of %d bits: octet %d of the signature does not matter", tc.a, tc.bits, i)
			}
		}
		longer := s.Clone()
		sig := longer.Sigs.First()
		longer.Sigs = rrset.Packed(nil).Append(append(sig[:len(sig):len(sig)], 0))
		if _, err := verifier("example.", p).Verify(&longer); err == nil {
			t.Errorf("%v of %d bits: a longer signature is good", tc.a, tc.bits)
		}
	}
}

// TestMeantBy: which keys DS records lead to.
func TestMeantBy(t *testing.T) {
	zone := dnsname.MustParse("example.")
	p := newPair(t, "example.", Ed25519, 256)
	ds := func(k *Key, d DigestType) DS { return DS{k.Tag, k.Algorithm, d, k.Digest(zone, d)} }
	revoked := append([]byte(nil), p.key.Data()...)
	revoked[1] |= flagRevoked
	r, err := ReadKey(revoked)
	if err != nil {
		t.Fatal(err)
	}
	good := ds(p.key, SHA256)
	wrong := ds(p.key, SHA256)
	wrong.Digest[3] ^= 1
	short := ds(p.key, SHA256)
	short.Digest = short.Digest[:20]
	unknown := DS{p.key.Tag, p.key.Algorithm, 3, good.Digest}
	other := good
	other.Algorithm = ECDSAP256
	for _, tc := range []struct {
		why  string
		key  *Key
		list []DS
		want bool
	}{
		{"its DS", p.key, []DS{good}, true},
		{"one of many", p.key, []DS{wrong, unknown, short, ds(p.key, SHA384)}, true},
		{"none", p.key, nil, false},
		{"wrong ones", p.key, []DS{wrong, short, unknown, other}, false},
		{"revoked", r, []DS{ds(r, SHA256)}, false},
	} {
		if got := tc.key.MeantBy(zone, tc.list); got != tc.want {
			t.Errorf("%s: %v", tc.why, got)
		}
	}
	// A digest of the wrong length is one that does not match, not one of an unknown type.
	set := rrset.Set{Name: zone, Type: wire.TypeDS}
	set.Add(300, append([]byte{byte(p.key.Tag >> 8), byte(p.key.Tag), byte(Ed25519), byte(SHA1)}, make([]byte, 32)...))
	if list := ReadAllDS(&set, lenient); len(list) != 1 {
		t.Errorf("with a malformed digest alone the zone is insecure: %v", list)
	}
}

// TestOddSignatures: what no signer makes does not count.
func TestOddSignatures(t *testing.T) {
	p := newPair(t, "sub.example.", Ed25519, 256)
	_, above := setOf(t, "*.example. 300 IN A 192.0.2.1")
	s, _ := setOf(t, "www.sub.example. 300 IN A 192.0.2.1")
	p.sign(t, s, above, nil) // a wildcard of the zone above
	_, err := verifier("sub.example.", p).Verify(s)
	if err == nil || err.Code != ede.Bogus || !strings.Contains(err.Text, "1 labels") {
		t.Errorf("expanded from above the zone: %v", err)
	}
	for _, typ := range []uint16{dns.TypeA, dns.TypeDNSKEY} {
		k := *p.key
		k.Flags |= flagRevoked
		line := "www.sub.example. 300 IN A 192.0.2.1"
		if typ == dns.TypeDNSKEY {
			line = strings.Replace(p.record.String(), "\t", " ", -1)
		}
		s, list := setOf(t, line)
		p.sign(t, s, list, nil)
		v := verifier("sub.example.", p)
		v.Keys = []*Key{&k}
		if _, err := v.Verify(s); (err == nil) != (typ == dns.TypeDNSKEY) {
			t.Errorf("type %d by a revoked key: %v", typ, err)
		}
	}
}

// TestReadKeysBounds: keys that are no zone keys, or longer than any, are left out, and
// there is an end to them.
func TestReadKeysBounds(t *testing.T) {
	set := rrset.Set{Name: dnsname.MustParse("example."), Type: wire.TypeDNSKEY}
	key := func(flags byte, size int, n byte) []byte {
		return append([]byte{flags, 0, 3, byte(Ed25519)}, append(make([]byte, size-1), n)...)
	}
	set.Add(300, key(0, 32, 1))
	set.Add(300, key(1, 5000, 1))
	set.Add(300, []byte{1})
	for i := range byte(100) {
		set.Add(300, key(1, 32, i))
	}
	list := ReadKeys(&set, NewBudget(ample))
	if len(list) != ample.Keys {
		t.Errorf("%d keys", len(list))
	}
	for _, k := range list {
		if !k.IsZone() || len(k.Data()) != 36 {
			t.Errorf("%x", k.Data())
		}
	}
}

// longExponent signs with RSA and the exponent 2^32+1, which the standard library does
// not have.
type longExponent struct{ n, d *big.Int }

func (longExponent) Public() crypto.PublicKey { return nil }

func (k longExponent) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	prefix := prefixes[opts.HashFunc()]
	size := (k.n.BitLen() + 7) / 8
	m := append([]byte{0, 1}, bytes.Repeat([]byte{0xff}, size-3-len(prefix)-len(digest))...)
	m = append(append(append(m, 0), prefix...), digest...)
	return new(big.Int).Exp(new(big.Int).SetBytes(m), k.d, k.n).FillBytes(make([]byte, size)), nil
}

// TestLongExponent: an exponent of 2^32+1, which some signers took, is good; longer ones
// are of no use, for what they cost.
func TestLongExponent(t *testing.T) {
	e := new(big.Int).SetUint64(1<<32 + 1)
	var k longExponent
	for k.d == nil { // until it has an inverse
		p, err := rand.Prime(rand.Reader, 640)
		if err != nil {
			t.Fatal(err)
		}
		q, err := rand.Prime(rand.Reader, 640)
		if err != nil {
			t.Fatal(err)
		}
		one := big.NewInt(1)
		k.n = new(big.Int).Mul(p, q)
		k.d = new(big.Int).ModInverse(e, new(big.Int).Mul(p.Sub(p, one), q.Sub(q, one)))
	}
	for _, a := range []Algorithm{RSASHA1, RSASHA256, RSASHA512} {
		data := append([]byte{5}, e.Bytes()...)
		p := &pair{private: k, record: &dns.DNSKEY{
			Hdr:   dns.RR_Header{Name: "example.", Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 3600},
			Flags: dns.ZONE, Protocol: 3, Algorithm: uint8(a), PublicKey: base64.StdEncoding.EncodeToString(append(data, k.n.Bytes()...)),
		}}
		var err error
		if p.key, err = ReadKey(rdata(t, p.record)); err != nil || !p.key.Usable() || !p.key.slow() {
			t.Fatalf("%v: %v", a, err)
		}
		s, list := setOf(t, "www.example. 300 IN A 192.0.2.1")
		p.sign(t, s, list, nil)
		if _, err := verifier("example.", p).Verify(s); err != nil {
			t.Errorf("%v: %v", a, err)
		}
		s.Sigs[len(s.Sigs)-1] ^= 1
		if _, err := verifier("example.", p).Verify(s); err == nil {
			t.Errorf("%v: a wrong signature is good", a)
		}
	}
	long := append([]byte{1, 0, 3, byte(RSASHA256), 6, 1, 0, 0, 0, 0, 1}, k.n.Bytes()...)
	if key, err := ReadKey(long); err != nil || key.Usable() {
		t.Errorf("an exponent of six octets: %v", err)
	}
}
