package rootzone

import (
	"crypto"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

// rootTLDs is how many delegations the root has, about.
const rootTLDs = 1450

// likeRoot makes a zone of the size of the root: each delegation with five or six
// name servers, most of them its own with two addresses, nearly all with DS records.
func likeRoot(t testing.TB) []Record {
	t.Helper()
	r := rand.New(rand.NewPCG(19, 20))
	var text strings.Builder
	text.WriteString(". 86400 IN SOA a.root-servers.test. admin.test. 2026010200 1800 900 604800 86400\n")
	host := func(owner, name string) {
		fmt.Fprintf(&text, "%s NS %s\n", owner, name)
		fmt.Fprintf(&text, "%s 172800 IN A 192.0.2.%d\n%s 172800 IN AAAA 2001:db8:%x::%x\n", name, r.IntN(256), name, r.IntN(1<<16), r.IntN(1<<16))
	}
	for i := range 13 {
		host(". 518400 IN", string(rune('a'+i))+".root-servers.test.")
	}
	text.WriteString("test. 172800 IN NS a.root-servers.test.\n")
	for i := range rootTLDs - 1 {
		tld := fmt.Sprintf("%c%c%x.", 'a'+i%26, 'a'+i/26%26, r.Uint32()>>(4*r.IntN(7)))
		for j := range 5 + r.IntN(2) {
			host(tld+" 172800 IN", fmt.Sprintf("%c.ns.nic.%s", 'a'+j, tld))
		}
		for j := range min(r.IntN(14), 1+r.IntN(2)) {
			fmt.Fprintf(&text, "%s 86400 IN DS %d 8 2 %064x\n", tld, i*2+j, r.Uint64())
		}
	}
	return parse(t, ".", text.String())
}

// withFakes adds what signing would, of the size that it has with RSA keys of 2048
// bits, for those who do not look at it.
func withFakes(records []Record) []Record {
	_, sets := bySets(records)
	for name, types := range sets {
		if cut := cutAbove(name, sets); cut != "" && cut != name {
			continue
		}
		nsec := Record{name, wire.TypeNSEC, 86400, append([]byte("\x07example\x00"), 0, 6, 0x20, 0, 0, 0, 0, 0x13)}
		records = append(records, nsec)
		for _, typ := range []wire.Type{wire.TypeNSEC, wire.TypeDS} {
			if typ == wire.TypeDS && types[typ] == nil {
				continue
			}
			data := binary.BigEndian.AppendUint16(nil, uint16(typ))
			data = append(data, make([]byte, 16)...)
			records = append(records, Record{name, wire.TypeRRSIG, 86400, append(append(data, 0), make([]byte, 256)...)})
		}
	}
	return records
}

// bigZone is a zone like the root, signed with RSA keys as the root is.
var bigZone = sync.OnceValues(func() (*Data, testKey) {
	var t testing.TB = new(testing.B)
	key := func(flags uint16) testKey {
		k := &dns.DNSKEY{
			Hdr:   dns.RR_Header{Name: ".", Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 172800},
			Flags: flags, Protocol: 3, Algorithm: dns.RSASHA256,
		}
		private, err := k.Generate(2048)
		if err != nil {
			panic(err)
		}
		return testKey{k, private.(crypto.Signer)}
	}
	s := signer{key(257), key(256)}
	return build(t, s.sign(t, likeRoot(t))), s.ksk
})

func BenchmarkDecode(b *testing.B) {
	d, _ := bigZone()
	file := d.Encode(signedAt)
	for b.Loop() {
		if _, _, err := Decode(file); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDigest(b *testing.B) {
	d, _ := bigZone()
	b.SetBytes(int64(len(d.nodes)))
	for b.Loop() {
		if _, err := d.checkDigest(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	d, key := bigZone()
	a := anchorOf(b, key)
	signatures := 0
	for b.Loop() {
		z, err := d.Verify(a, signedAt, policy)
		if err != nil {
			b.Fatal(err)
		}
		signatures = z.Verified().Signatures
	}
	b.ReportMetric(float64(signatures), "signatures/op")
	b.ReportMetric(float64(d.Len()), "records")
	b.ReportMetric(float64(d.Size()), "octets")
}

func BenchmarkAnswer(b *testing.B) {
	d, key := bigZone()
	z, err := d.Verify(anchorOf(b, key), signedAt, policy)
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 0, wire.MaxMessage)
	var tlds []dnsname.Name
	for i := range z.count() {
		if z.node(i).has(wire.TypeNS) {
			tlds = append(tlds, z.nameOf(i))
		}
	}
	for _, bm := range []struct {
		what string
		name func(i int) dnsname.Name
	}{
		{"referral", func(i int) dnsname.Name { n, _ := tlds[1+i%(len(tlds)-1)].Prepend("www"); return n }},
		{"nxdomain", func(i int) dnsname.Name { n, _ := dnsname.Root.Prepend(fmt.Sprintf("junk%d", i%1000)); return n }},
	} {
		var names []dnsname.Name
		for i := range 1000 {
			names = append(names, bm.name(i))
		}
		b.Run(bm.what, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				buf = z.Answer(buf[:0], Query{Name: names[i%len(names)], Type: wire.TypeA, DO: true})
				i++
			}
		})
	}
}
