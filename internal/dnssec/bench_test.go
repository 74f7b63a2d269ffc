package dnssec

import (
	"fmt"
	"testing"

	"github.com/miekg/dns"

	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// BenchmarkVerify is the cost of one wrong signature of a small set and of a large one,
// in each algorithm. Keys of RSA are as long as they may be.
func BenchmarkVerify(b *testing.B) {
	for _, kind := range []struct {
		Algorithm
		bits int
	}{{RSASHA256, 2048}, {RSASHA256, 4096}, {ECDSAP256, 256}, {ECDSAP384, 384}, {Ed25519, 256}} {
		for _, records := range []int{1, 2500} {
			b.Run(fmt.Sprintf("%v/%d/%d", kind.Algorithm, kind.bits, records), func(b *testing.B) {
				p := newPair(b, "example.", kind.Algorithm, kind.bits)
				s, list := setOf(b, "www.example. 300 IN AAAA 2001:db8::1")
				p.sign(b, s, list, func(*dns.RRSIG) {})
				for i := 1; i < records; i++ {
					s.Data = s.Data.Append([]byte{0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, byte(i >> 8), byte(i)})
				}
				s.Sigs[len(s.Sigs)-1] ^= 1
				limits := ample
				limits.Signatures = 1 << 30
				v := verifier("example.", p)
				v.Budget = NewBudget(limits)
				for b.Loop() {
					if _, err := v.Verify(s); err == nil {
						b.Fatal("a wrong signature is good")
					}
				}
			})
		}
	}
}

// BenchmarkHash is the cost of one name's hash with as many iterations as are
// computed, and the longest salt.
func BenchmarkHash(b *testing.B) {
	zone := dnsname.MustParse("example.")
	owner, _ := zone.Prepend("0p9mhaveqvm6t7vbl5lop2u3t2rp3tom")
	data := append([]byte{1, 0, 0, 50, 255}, make([]byte, 255)...)
	data = append(append(data, 20), make([]byte, 21)...)
	set := rrset.Set{Name: owner, Type: wire.TypeNSEC3}
	set.Add(300, data)
	limits := ample
	limits.Hashes = 1 << 30
	c := NewDenial(zone, []rrset.Set{set}, lenient, NewBudget(limits)).nsec3
	name := dnsname.MustParse("a.b.c.d.e.f.g.example.")
	for b.Loop() {
		clear(c.hashed)
		c.hash(name)
	}
}
