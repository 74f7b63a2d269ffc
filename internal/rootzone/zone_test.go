package rootzone

import (
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"lastgood/internal/anchor"
	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
	"lastgood/internal/wire"
)

// The zones of the tests are signed by a general DNS library, so that what makes
// them shares nothing with what verifies them. All are signed at signedAt.
var (
	signedAt   = time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	signedTill = signedAt.Add(13 * 24 * time.Hour)
	policy     = &dnssec.Policy{Iterations: 50, Refused: 500}
)

// testKey signs.
type testKey struct {
	public *dns.DNSKEY
	signer crypto.Signer
}

func newKey(seed byte, flags uint16) testKey {
	private := ed25519.NewKeyFromSeed(slices.Repeat([]byte{seed}, ed25519.SeedSize))
	return testKey{&dns.DNSKEY{
		Hdr:   dns.RR_Header{Name: ".", Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 172800},
		Flags: flags, Protocol: 3, Algorithm: dns.ED25519,
		PublicKey: base64.StdEncoding.EncodeToString(private.Public().(ed25519.PublicKey)),
	}, private}
}

// Keys of the tests: one that the anchor knows, and one that signs the zone.
var testKSK, testZSK = newKey(1, 257), newKey(2, 256)

// anchorOf is the trust anchor that a key is.
func anchorOf(t testing.TB, k testKey) Anchor {
	t.Helper()
	ds, err := dnssec.ReadDS(fromRR(t, k.public.ToDS(dns.SHA256)).Data)
	if err != nil {
		t.Fatal(err)
	}
	return &anchor.Anchor{Zone: dnsname.Root, DS: []dnssec.DS{ds}}
}

func fromRR(t testing.TB, rr dns.RR) Record {
	t.Helper()
	buf := make([]byte, dns.Len(rr)+64)
	n, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		t.Fatalf("%s: %v", rr, err)
	}
	at := dnsname.WireLen(buf)
	name, err := dnsname.FromWire(buf[:at])
	if err != nil {
		t.Fatal(err)
	}
	return Record{
		Name: name, Type: wire.Type(binary.BigEndian.Uint16(buf[at:])), TTL: binary.BigEndian.Uint32(buf[at+4:]),
		Data: buf[at+10 : n],
	}
}

func toRR(t testing.TB, r Record) dns.RR {
	t.Helper()
	buf := binary.BigEndian.AppendUint16([]byte(r.Name), uint16(r.Type))
	buf = binary.BigEndian.AppendUint16(buf, 1)
	buf = binary.BigEndian.AppendUint32(buf, r.TTL)
	buf = binary.BigEndian.AppendUint16(buf, uint16(len(r.Data)))
	rr, _, err := dns.UnpackRR(append(buf, r.Data...), 0)
	if err != nil {
		t.Fatalf("%s %s: %v", r.Name, r.Type, err)
	}
	return rr
}

// parse reads a master file.
func parse(t testing.TB, origin, text string) (records []Record) {
	t.Helper()
	p := dns.NewZoneParser(strings.NewReader(text), origin, "")
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		records = append(records, fromRR(t, rr))
	}
	if err := p.Err(); err != nil {
		t.Fatal(err)
	}
	return records
}

// seq gives records as Build wants them.
func seq(records []Record) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for _, r := range records {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func build(t testing.TB, records []Record) *Data {
	t.Helper()
	d, err := Build(seq(records))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// verify builds and verifies a zone by the tests' key.
func verify(t testing.TB, records []Record) *Zone {
	t.Helper()
	z, err := build(t, records).Verify(anchorOf(t, testKSK), signedAt.Add(time.Hour), policy)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// bySets collects records by owner and type, owners in canonical order.
func bySets(records []Record) (names []dnsname.Name, sets map[dnsname.Name]map[wire.Type][]Record) {
	sets = map[dnsname.Name]map[wire.Type][]Record{}
	for _, r := range records {
		if sets[r.Name] == nil {
			sets[r.Name] = map[wire.Type][]Record{}
			names = append(names, r.Name)
		}
		sets[r.Name][r.Type] = append(sets[r.Name][r.Type], r)
	}
	slices.SortFunc(names, dnsname.Compare)
	return names, sets
}

// cutAbove is the delegation at or above a name, "" without one.
func cutAbove(name dnsname.Name, sets map[dnsname.Name]map[wire.Type][]Record) dnsname.Name {
	for labels := 1; labels <= name.Labels(); labels++ {
		if above := name.Suffix(labels); len(sets[above][wire.TypeNS]) > 0 {
			return above
		}
	}
	return ""
}

// signer has the keys of a zone.
type signer struct{ ksk, zsk testKey }

var testSigner = signer{testKSK, testZSK}

func sign(t testing.TB, records []Record) []Record { return testSigner.sign(t, records) }

func resign(t testing.TB, records []Record) []Record { return testSigner.resign(t, records) }

func redigest(t testing.TB, records []Record) []Record { return testSigner.redigest(t, records) }

func withDigest(t testing.TB, records []Record, digests ...Record) []Record {
	return testSigner.withDigest(t, records, digests...)
}

// sign gives the records with keys, an NSEC chain, signatures and a digest.
func (k signer) sign(t testing.TB, records []Record) []Record {
	t.Helper()
	out := append(slices.Clone(records), fromRR(t, k.ksk.public), fromRR(t, k.zsk.public))
	names, sets := bySets(out)
	names = slices.DeleteFunc(names, func(n dnsname.Name) bool { cut := cutAbove(n, sets); return cut != "" && cut != n })
	for i, name := range names {
		types := []uint16{dns.TypeNSEC, dns.TypeRRSIG}
		for typ := range sets[name] {
			if cutAbove(name, sets) == "" || typ == wire.TypeNS || typ == wire.TypeDS {
				types = append(types, uint16(typ))
			}
		}
		if name.IsRoot() {
			types = append(types, dns.TypeZONEMD)
		}
		slices.Sort(types)
		out = append(out, fromRR(t, &dns.NSEC{
			Hdr:        dns.RR_Header{Name: name.String(), Rrtype: dns.TypeNSEC, Class: dns.ClassINET, Ttl: 86400},
			NextDomain: names[(i+1)%len(names)].String(), TypeBitMap: types,
		}))
	}
	return k.redigest(t, k.resign(t, out))
}

// resign gives the records with new signatures of every set of the zone's own.
func (k signer) resign(t testing.TB, records []Record) []Record {
	t.Helper()
	out := slices.DeleteFunc(slices.Clone(records), func(r Record) bool { return r.Type == wire.TypeRRSIG })
	names, sets := bySets(out)
	for _, name := range names {
		cut := cutAbove(name, sets)
		for typ, set := range sets[name] {
			if cut == "" || cut == name && (typ == wire.TypeDS || typ == wire.TypeNSEC) {
				key := k.zsk
				if typ == wire.TypeDNSKEY {
					key = k.ksk
				}
				out = append(out, signature(t, set, key))
			}
		}
	}
	return out
}

func signature(t testing.TB, set []Record, k testKey) Record {
	t.Helper()
	return signatureAt(t, set, k, signedAt, signedTill)
}

func signatureAt(t testing.TB, set []Record, k testKey, from, until time.Time) Record {
	t.Helper()
	var rrs []dns.RR
	for _, r := range set {
		rrs = append(rrs, toRR(t, r))
	}
	sig := &dns.RRSIG{
		Hdr:       dns.RR_Header{Name: set[0].Name.String(), Rrtype: dns.TypeRRSIG, Class: dns.ClassINET, Ttl: set[0].TTL},
		Algorithm: k.public.Algorithm, KeyTag: k.public.KeyTag(), SignerName: ".",
		Inception: uint32(from.Unix()), Expiration: uint32(until.Unix()),
	}
	if err := sig.Sign(k.signer, rrs); err != nil {
		t.Fatal(err)
	}
	return fromRR(t, sig)
}

// isDigest tells whether a record is the ZONEMD record of the apex, or a signature
// of it.
func isDigest(r Record) bool {
	covered := r.Type
	if r.Type == wire.TypeRRSIG {
		covered = wire.Type(binary.BigEndian.Uint16(r.Data))
	}
	return r.Name.IsRoot() && covered == wire.TypeZONEMD
}

// redigest gives the records with a new, signed digest.
func (k signer) redigest(t testing.TB, records []Record) []Record {
	t.Helper()
	out := slices.DeleteFunc(slices.Clone(records), isDigest)
	d := build(t, out)
	h := crypto.SHA384.New()
	d.digest(h)
	return k.withDigest(t, out, zonemd(d.Serial(), 1, 1, h.Sum(nil)))
}

func zonemd(serial uint32, scheme, algorithm byte, digest []byte) Record {
	data := append(binary.BigEndian.AppendUint32(nil, serial), scheme, algorithm)
	return Record{dnsname.Root, wire.TypeZONEMD, 86400, append(data, digest...)}
}

// withDigest gives the records with other ZONEMD records, signed.
func (k signer) withDigest(t testing.TB, records []Record, digests ...Record) []Record {
	t.Helper()
	out := slices.DeleteFunc(slices.Clone(records), isDigest)
	if len(digests) == 0 {
		return out
	}
	return append(append(out, digests...), signature(t, digests, k.zsk))
}

// smallRoot is a root zone of few delegations: with DS and without, with glue of
// its own and of others, and an empty non-terminal.
const smallRoot = `
. 86400 IN SOA ns1.nic.aa. admin.nic.aa. 2026010200 1800 900 604800 86400
. 518400 IN NS ns1.nic.aa.
. 518400 IN NS ns2.nic.cc.
aa. 172800 IN NS ns1.nic.aa.
aa. 172800 IN NS ns2.nic.cc.
aa. 86400 IN DS 12345 13 2 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
ns1.nic.aa. 172800 IN A 192.0.2.1
ns1.nic.aa. 172800 IN AAAA 2001:db8::1
bb. 172800 IN NS ns.elsewhere.bb.
bb. 172800 IN NS ns2.nic.cc.
ns.elsewhere.bb. 172800 IN A 192.0.2.2
cc. 172800 IN NS ns2.nic.cc.
ns2.nic.cc. 172800 IN A 192.0.2.3
x.dd. 172800 IN NS ns2.nic.cc.
ee. 3600 IN TXT "the root's own"
`

func smallZone(t testing.TB) []Record { return sign(t, parse(t, ".", smallRoot)) }

// randomZone makes an unsigned zone with what a root zone may have.
func randomZone(t testing.TB, r *rand.Rand, serial uint32) []Record {
	t.Helper()
	label := func() string { return string(rune('a'+r.IntN(6))) + string(rune('a'+r.IntN(3))) }
	name := func(depth int) string {
		s := ""
		for range depth {
			s += label() + "."
		}
		return s
	}
	var text strings.Builder
	fmt.Fprintf(&text, ". 86400 IN SOA ns.%s admin. %d 1800 900 604800 %d\n", name(1), serial, 60+r.IntN(100000))
	hosts := []string{"ns." + name(1), "ns." + name(2), "ns2." + name(1), name(1)}
	ns := func(owner string) {
		for range 1 + r.IntN(3) {
			host := hosts[r.IntN(len(hosts))]
			if r.IntN(3) == 0 && owner != "." {
				host = "ns." + owner
			}
			fmt.Fprintf(&text, "%s 172800 IN NS %s\n", owner, host)
			if r.IntN(3) > 0 {
				fmt.Fprintf(&text, "%s 172800 IN A 192.0.2.%d\n", host, r.IntN(4))
			}
			if r.IntN(3) == 0 {
				fmt.Fprintf(&text, "%s 172800 IN AAAA 2001:db8::%d\n", host, r.IntN(4))
			}
		}
	}
	ns(".")
	for range 1 + r.IntN(12) {
		owner := name(1 + r.IntN(5)/4)
		switch r.IntN(6) {
		case 0:
			fmt.Fprintf(&text, "%s 3600 IN TXT \"%d\"\n", owner, r.IntN(10))
		default:
			ns(owner)
			if r.IntN(2) == 0 {
				fmt.Fprintf(&text, "%s 86400 IN DS %d 13 2 %064x\n", owner, r.IntN(65536), r.Uint64())
			}
		}
	}
	return parse(t, ".", text.String())
}
