//go:debug rsa1024min=0

package dnssec

import (
	"crypto"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

var (
	noon    = time.Date(2026, 5, 5, 12, 0, 0, 0, time.UTC)
	lenient = &Policy{SHA1: true, Iterations: 50, Refused: 500}
	ample   = Limits{Signatures: 1000, PerSet: 8, PerTag: 4, Keys: 32, Hashes: 1000}
)

// pair is a key that a general DNS library made.
type pair struct {
	record  *dns.DNSKEY
	private crypto.Signer
	key     *Key
}

func newPair(t testing.TB, zone string, a Algorithm, bits int) *pair {
	t.Helper()
	k := &dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: zone, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 3600},
		Flags: dns.ZONE | dns.SEP, Protocol: 3, Algorithm: uint8(a),
	}
	private, err := k.Generate(bits)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ReadKey(rdata(t, k))
	if err != nil {
		t.Fatal(err)
	}
	return &pair{k, private.(crypto.Signer), key}
}

// rdata is the data of a record of the library's.
func rdata(t testing.TB, rr dns.RR) []byte {
	t.Helper()
	buf := make([]byte, dns.Len(rr)+64)
	end, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	_, off, err := dns.UnpackDomainName(buf, 0)
	if err != nil {
		t.Fatal(err)
	}
	return buf[off+10 : end]
}

// setOf makes a set of records in presentation form.
func setOf(t testing.TB, lines ...string) (*rrset.Set, []dns.RR) {
	t.Helper()
	var s *rrset.Set
	var list []dns.RR
	for _, line := range lines {
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Fatal(err)
		}
		h := rr.Header()
		if s == nil {
			s = &rrset.Set{Name: dnsname.MustParse(h.Name), Type: wire.Type(h.Rrtype)}
		}
		s.Add(h.Ttl, rdata(t, rr))
		list = append(list, rr)
	}
	return s, list
}

// sign adds a signature from an hour before noon to an hour after, which change may
// alter before it is made.
func (p *pair) sign(t testing.TB, s *rrset.Set, list []dns.RR, change func(*dns.RRSIG)) {
	t.Helper()
	sig := &dns.RRSIG{
		Hdr:       dns.RR_Header{Name: list[0].Header().Name, Rrtype: dns.TypeRRSIG, Class: dns.ClassINET, Ttl: list[0].Header().Ttl},
		Inception: uint32(noon.Add(-time.Hour).Unix()), Expiration: uint32(noon.Add(time.Hour).Unix()),
		KeyTag: p.record.KeyTag(), SignerName: p.record.Hdr.Name, Algorithm: p.record.Algorithm,
	}
	if change != nil {
		change(sig)
	}
	if err := sig.Sign(p.private, list); err != nil {
		t.Fatal(err)
	}
	s.Sigs = s.Sigs.Append(rdata(t, sig))
}

func verifier(zone string, keys ...*pair) *Verifier {
	v := &Verifier{Zone: dnsname.MustParse(zone), Now: noon, Policy: lenient, Budget: NewBudget(ample)}
	for _, p := range keys {
		v.Keys = append(v.Keys, p.key)
	}
	return v
}

var kinds = []struct {
	Algorithm
	bits int
}{{RSASHA1, 1024}, {RSASHA1NSEC3, 1024}, {RSASHA256, 1024}, {RSASHA512, 2048}, {ECDSAP256, 256}, {ECDSAP384, 384}, {Ed25519, 256}}

// TestAlgorithms verifies what the library signed, and nothing that differs from it
// in a bit of data, signature or key.
func TestAlgorithms(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.String(), func(t *testing.T) {
			p := newPair(t, "example.", kind.Algorithm, kind.bits)
			if p.key.Tag != p.record.KeyTag() {
				t.Errorf("tag %d, not %d", p.key.Tag, p.record.KeyTag())
			}
			s, list := setOf(t, "Www.example. 300 IN MX 10 Mail.example.", "www.example. 300 IN MX 5 a.example.")
			p.sign(t, s, list, nil)
			v := verifier("example.", p)
			good, err := v.Verify(s)
			if err != nil {
				t.Fatal(err)
			}
			if good.Tag != p.key.Tag || good.TTL != 300 || good.Encloser != -1 || !good.Expires.Equal(noon.Add(time.Hour)) {
				t.Errorf("%+v", good)
			}
			for i := 0; i < len(s.Sigs); i += 7 {
				bad := s.Clone()
				bad.Sigs[i] ^= 1
				if _, err := v.Verify(&bad); err == nil && i > 20 { // what comes first is the length, type, algorithm
					t.Errorf("octet %d of the signature does not matter", i)
				}
			}
			for i := 2; i < len(s.Data); i += 5 {
				bad := s.Clone()
				bad.Data[i] ^= 1
				if _, err := v.Verify(&bad); err == nil {
					t.Errorf("octet %d of the data does not matter", i)
				}
			}
			other := newPair(t, "example.", kind.Algorithm, kind.bits)
			other.key.Tag = p.key.Tag
			if _, err := verifier("example.", other).Verify(s); err == nil || err.Code != ede.Bogus {
				t.Errorf("with another key of the same tag: %v", err)
			}
			if _, err := verifier("example.", other, p).Verify(s); err != nil {
				t.Errorf("with a second key of the same tag: %v", err)
			}
			if kind.Algorithm == RSASHA1 || kind.Algorithm == RSASHA1NSEC3 {
				v.Policy = &Policy{}
				if _, err := v.Verify(s); err == nil || err.Code != ede.RRSIGsMissing {
					t.Errorf("without SHA-1: %v", err)
				}
			}
		})
	}
}

// TestVerify tells each way to be wrong by its own extended error.
func TestVerify(t *testing.T) {
	p, q := newPair(t, "example.", Ed25519, 256), newPair(t, "example.", ECDSAP256, 256)
	foreign := newPair(t, "other.", Ed25519, 256)
	at := func(d time.Duration) uint32 { return uint32(noon.Add(d).Unix()) }
	for _, tc := range []struct {
		why    string
		change func(*dns.RRSIG)
		by     *pair
		keys   []*pair
		spoil  func(*rrset.Set)
		code   ede.Code
		text   string
	}{
		{why: "expired", change: func(s *dns.RRSIG) { s.Expiration = at(-time.Second) }, code: ede.SignatureExpired, text: "expired 2026-05-05T11:59:59Z"},
		{why: "not yet valid", change: func(s *dns.RRSIG) { s.Inception = at(time.Second) }, code: ede.SignatureNotYetValid, text: "not valid before 2026-05-05T12:00:01Z"},
		{why: "backwards", change: func(s *dns.RRSIG) { s.Inception, s.Expiration = at(time.Hour), at(-time.Hour) }, code: ede.SignatureExpiredBefore},
		{why: "unknown key", by: q, code: ede.DNSKEYMissing, text: "has no key"},
		{why: "none", spoil: func(s *rrset.Set) { s.Sigs = nil }, code: ede.RRSIGsMissing, text: "no signature"},
		{why: "another zone's", by: foreign, code: ede.Bogus, text: "by other."},
		{why: "malformed", spoil: func(s *rrset.Set) { s.Sigs = rrset.Packed(nil).Append([]byte{1, 2, 3}) }, code: ede.RRSIGsMissing},
		{why: "a record more", spoil: func(s *rrset.Set) { s.Add(300, []byte{192, 0, 2, 99}) }, code: ede.Bogus, text: "is wrong"},
		{why: "another owner", spoil: func(s *rrset.Set) { s.Name = dnsname.MustParse("ftp.example.") }, code: ede.Bogus},
	} {
		s, list := setOf(t, "www.example. 300 IN A 192.0.2.1")
		by := p
		if tc.by != nil {
			by = tc.by
		}
		if tc.by == foreign {
			list[0].Header().Name = "www.other."
		}
		by.sign(t, s, list, tc.change)
		if tc.spoil != nil {
			tc.spoil(s)
		}
		_, err := verifier("example.", p).Verify(s)
		if err == nil || err.Code != tc.code || !strings.Contains(err.Text, tc.text) {
			t.Errorf("%s: %v, want %v %q", tc.why, err, tc.code, tc.text)
		}
	}
}

// One good signature is enough, wherever it stands (RFC 6840 §5.11).
func TestOneIsEnough(t *testing.T) {
	p, q := newPair(t, "example.", Ed25519, 256), newPair(t, "example.", ECDSAP256, 256)
	s, list := setOf(t, "www.example. 300 IN A 192.0.2.1")
	p.sign(t, s, list, func(s *dns.RRSIG) { s.Expiration = s.Inception + 1 })
	q.sign(t, s, list, nil)
	if _, err := verifier("example.", p, q).Verify(s); err != nil {
		t.Error(err)
	}
}

// A wildcard's signature says below what it was expanded; that of the wildcard
// itself does not.
func TestWildcard(t *testing.T) {
	p := newPair(t, "example.", Ed25519, 256)
	_, list := setOf(t, "*.b.example. 300 IN A 192.0.2.1")
	for _, tc := range []struct {
		name     string
		encloser int
	}{{"x.y.b.example.", 2}, {"x.b.example.", 2}, {"*.b.example.", -1}, {"*.*.b.example.", 2}} {
		s, _ := setOf(t, tc.name+" 300 IN A 192.0.2.1")
		p.sign(t, s, list, nil)
		good, err := verifier("example.", p).Verify(s)
		if err != nil || good.Encloser != tc.encloser {
			t.Errorf("%s: %+v %v", tc.name, good, err)
		}
	}
	s, _ := setOf(t, "b.example. 300 IN A 192.0.2.1")
	p.sign(t, s, list, nil)
	if _, err := verifier("example.", p).Verify(s); err == nil {
		t.Error("a wildcard answers for its encloser")
	}
}

// A set may live no longer than its original TTL, nor its signature.
func TestLifetime(t *testing.T) {
	p := newPair(t, "example.", Ed25519, 256)
	s, list := setOf(t, "www.example. 300 IN A 192.0.2.1")
	p.sign(t, s, list, func(s *dns.RRSIG) { s.Expiration = uint32(noon.Add(42 * time.Second).Unix()) })
	if good, err := verifier("example.", p).Verify(s); err != nil || good.TTL != 42 {
		t.Errorf("%+v %v", good, err)
	}
	s, list = setOf(t, "www.example. 300 IN A 192.0.2.1")
	p.sign(t, s, list, nil)
	s.TTL = 86400
	if good, err := verifier("example.", p).Verify(s); err != nil || good.TTL != 300 {
		t.Errorf("%+v %v", good, err)
	}
}

// A revoked key verifies its own set, for those who want to know, and nothing else
// (RFC 5011 §2.1).
func TestRevoked(t *testing.T) {
	p := newPair(t, "example.", Ed25519, 256)
	p.record.Flags |= dns.REVOKE
	p.key, _ = ReadKey(rdata(t, p.record))
	s, list := setOf(t, "www.example. 300 IN A 192.0.2.1")
	p.sign(t, s, list, nil)
	if _, err := verifier("example.", p).Verify(s); err == nil || err.Code != ede.DNSKEYMissing {
		t.Errorf("%v", err)
	}
	keys, list := setOf(t, p.record.String())
	p.sign(t, keys, list, nil)
	if _, err := verifier("example.", p).Verify(keys); err != nil {
		t.Error(err)
	}
}

// TestKeyTrap: many keys of one tag times many signatures cost no more than the
// bounds say (CVE-2023-50387).
func TestKeyTrap(t *testing.T) {
	p := newPair(t, "example.", ECDSAP256, 256)
	var keys []*pair
	for range 100 {
		k := newPair(t, "example.", ECDSAP256, 256)
		k.key.Tag = p.key.Tag
		keys = append(keys, k)
	}
	s, list := setOf(t, "www.example. 300 IN A 192.0.2.1")
	for range 100 {
		p.sign(t, s, list, nil)
	}
	v := verifier("example.", keys...)
	_, err := v.Verify(s)
	if err == nil || err.ID != "WORK" || err.Code != ede.Bogus {
		t.Errorf("%v", err)
	}
	if spent, _ := v.Budget.Spent(); spent > ample.PerTag {
		t.Errorf("%d verifications", spent)
	}
	v.Budget = NewBudget(Limits{Signatures: 3, PerSet: 100, PerTag: 100})
	if _, err := v.Verify(s); err == nil || err.ID != "WORK" {
		t.Errorf("%v", err)
	}
	if spent, _ := v.Budget.Spent(); spent != 3 {
		t.Errorf("%d verifications", spent)
	}
}

// TestDS holds digests against the library's.
func TestDS(t *testing.T) {
	p := newPair(t, "example.", ECDSAP256, 256)
	var all rrset.Set
	for _, d := range []DigestType{SHA1, SHA256, SHA384} {
		record := p.record.ToDS(uint8(d))
		ds, err := ReadDS(rdata(t, record))
		if err != nil || !ds.Matches("\x07example\x00", p.key) {
			t.Errorf("%v: %+v %v", d, ds, err)
		}
		if ds.Matches("\x05other\x00", p.key) || ds.Matches("\x07example\x00", newPair(t, "example.", ECDSAP256, 256).key) {
			t.Errorf("%v: matches another owner or key", d)
		}
		all.Data = all.Data.Append(rdata(t, record))
	}
	if list := ReadAllDS(&all, lenient); len(list) != 2 || list[0].Type == SHA1 || list[1].Type == SHA1 {
		t.Errorf("SHA-1 counts beside better: %+v", list)
	}
	if _, err := ReadDS([]byte{0, 1, 13, 2, 1, 2, 3}); err == nil {
		t.Error("a short digest is accepted")
	}
}

// TestKeysOfNoUse: what is no key of its algorithm verifies nothing and does no harm.
func TestKeysOfNoUse(t *testing.T) {
	for _, tc := range []struct {
		a   Algorithm
		key string
	}{
		{RSASHA256, ""}, {RSASHA256, "AQ=="}, {RSASHA256, "AAAAAA=="}, {RSASHA256, "AQPA"}, {ECDSAP256, "AAAA"},
		{ECDSAP256, base64.StdEncoding.EncodeToString(make([]byte, 64))}, {Ed25519, "AAAA"}, {250, "AAAA"},
	} {
		data, _ := base64.StdEncoding.DecodeString(tc.key)
		k, err := ReadKey(append([]byte{1, 1, 3, byte(tc.a)}, append(data, 0)...))
		if err == nil && k.Usable() && tc.a != RSASHA256 {
			t.Errorf("%v %q is usable", tc.a, tc.key)
		}
		if err == nil {
			_ = k.verifies(&Signature{Value: []byte{1}}, []byte("x"))
		}
	}
	if _, err := ReadKey([]byte{1, 1, 2, 8, 1, 1}); err == nil {
		t.Error("another protocol than 3 is accepted")
	}
}

func ExampleTooMuch() {
	fmt.Println(TooMuch("signatures of www.example. A"))
	// Output: DNSSEC Bogus: too much work: signatures of www.example. A [WORK]
}
