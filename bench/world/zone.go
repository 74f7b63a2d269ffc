package world

import (
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Types that the zones have, and the one algorithm: ECDSA with P-256 and SHA-256
// (RFC 6605), of the key-signing and the zone-signing key alike.
const (
	typeA, typeNS, typeSOA, typeDS, typeRRSIG, typeNSEC, typeDNSKEY = 1, 2, 6, 43, 46, 47, 48

	algorithm = 13
	ttl       = 86400
)

var typeNames = map[uint16]string{typeA: "A", typeNS: "NS", typeSOA: "SOA", typeDS: "DS", typeRRSIG: "RRSIG", typeNSEC: "NSEC", typeDNSKEY: "DNSKEY"}

// record is one, in both forms.
type record struct {
	owner string // absolute, lower case
	typ   uint16
	rdata []byte
	text  string // of the rdata
}

// key is a DNSKEY with its private part.
type key struct {
	record
	private *ecdsa.PrivateKey
	tag     uint16
}

// zone is a zone to be signed.
type zone struct {
	name           string
	records        []record
	cuts           map[string]bool // names that are delegated
	entry, signing *key
}

// newZone makes a zone with keys of its own, an SOA and an NS record.
func newZone(name, server string) (*zone, error) {
	z := &zone{name: name, cuts: map[string]bool{}}
	var err error
	if z.entry, err = newKey(name, 257); err != nil {
		return nil, err
	}
	if z.signing, err = newKey(name, 256); err != nil {
		return nil, err
	}
	soa := append(wireName(server), wireName("nobody.bench.")...)
	for _, n := range []uint32{1, 3600, 600, 604800, 300} {
		soa = binary.BigEndian.AppendUint32(soa, n)
	}
	z.add(name, typeSOA, soa, server+" nobody.bench. 1 3600 600 604800 300")
	z.add(name, typeNS, wireName(server), server)
	z.records = append(z.records, z.entry.record, z.signing.record)
	return z, nil
}

func newKey(owner string, flags uint16) (*key, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	public, err := private.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	public = public[1:] // without the mark of the uncompressed form
	rdata := append(binary.BigEndian.AppendUint16(nil, flags), 3, algorithm)
	rdata = append(rdata, public...)
	k := &key{private: private, record: record{owner, typeDNSKEY, rdata, fmt.Sprintf("%d 3 %d %s", flags, algorithm, base64.StdEncoding.EncodeToString(public))}}
	sum := uint32(0) // RFC 4034 appendix B
	for i, b := range rdata {
		sum += uint32(b) << (8 * (1 - i&1))
	}
	k.tag = uint16(sum + sum>>16)
	return k, nil
}

func (z *zone) add(owner string, typ uint16, rdata []byte, text string) {
	z.records = append(z.records, record{owner, typ, rdata, text})
}

func (z *zone) addA(owner string, addr netip.Addr) {
	a := addr.As4()
	z.add(owner, typeA, a[:], addr.String())
}

// delegate adds what the parent says of a child that is signed.
func (z *zone) delegate(child *zone, server string) {
	z.cuts[child.name] = true
	z.add(child.name, typeNS, wireName(server), server)
	digest := child.entry.digest()
	rdata := append(binary.BigEndian.AppendUint16(nil, child.entry.tag), algorithm, 2)
	z.add(child.name, typeDS, append(rdata, digest...), fmt.Sprintf("%d %d 2 %s", child.entry.tag, algorithm, hex.EncodeToString(digest)))
}

// delegateUnsigned adds what the parent says of a child that is not signed.
func (z *zone) delegateUnsigned(child, server string) {
	z.cuts[child] = true
	z.add(child, typeNS, wireName(server), server)
}

// digest is what a DS record has of it.
func (k *key) digest() []byte {
	sum := sha256.Sum256(append(wireName(k.owner), k.rdata...))
	return sum[:]
}

// file signs the zone and gives its text.
func (z *zone) file(now time.Time) (string, error) {
	z.chain()
	slices.SortStableFunc(z.records, func(a, b record) int {
		return cmp.Or(strings.Compare(a.owner, b.owner), cmp.Compare(a.typ, b.typ), bytes.Compare(a.rdata, b.rdata))
	})
	var b strings.Builder
	for rest := z.records; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].owner == rest[0].owner && rest[n].typ == rest[0].typ {
			n++
		}
		set := rest[:n]
		rest = rest[n:]
		for _, r := range set {
			fmt.Fprintf(&b, "%s %d IN %s %s\n", r.owner, ttl, typeNames[r.typ], r.text)
		}
		if z.cuts[set[0].owner] && set[0].typ == typeNS {
			continue // the child's to sign
		}
		sig, err := z.sign(set, now)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%s %d IN RRSIG %s\n", set[0].owner, ttl, sig)
	}
	return b.String(), nil
}

// chain adds the NSEC records. All names are the zone's own or one label longer, so
// that their canonical order is that of their text.
func (z *zone) chain() {
	types := map[string][]uint16{}
	for _, r := range z.records {
		if !slices.Contains(types[r.owner], r.typ) {
			types[r.owner] = append(types[r.owner], r.typ)
		}
	}
	var names []string
	for name := range types {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return strings.Compare(strings.TrimSuffix(strings.TrimSuffix(a, z.name), "."), strings.TrimSuffix(strings.TrimSuffix(b, z.name), "."))
	})
	for i, name := range names {
		next := names[(i+1)%len(names)]
		list := append(types[name], typeRRSIG, typeNSEC)
		slices.Sort(list)
		var bits [7]byte // all types are below 56
		var text []string
		for _, t := range list {
			bits[t/8] |= 0x80 >> (t % 8)
			text = append(text, typeNames[t])
		}
		used := list[len(list)-1]/8 + 1 // no zeros at the end (RFC 4034 §4.1.2)
		rdata := append(append(wireName(next), 0, byte(used)), bits[:used]...)
		z.add(name, typeNSEC, rdata, next+" "+strings.Join(text, " "))
	}
}

// sign gives the text of the signature of an RRset (RFC 4034 §3.1.8.1).
func (z *zone) sign(set []record, now time.Time) (string, error) {
	k := z.signing
	if set[0].typ == typeDNSKEY {
		k = z.entry
	}
	owner := wireName(set[0].owner)
	labels := strings.Count(strings.Trim(set[0].owner, "."), ".") + 1
	if set[0].owner == "." {
		labels = 0
	}
	from, to := now.Add(-24*time.Hour), now.Add(30*24*time.Hour)
	data := append(binary.BigEndian.AppendUint16(nil, set[0].typ), algorithm, byte(labels))
	for _, n := range []uint32{ttl, uint32(to.Unix()), uint32(from.Unix())} {
		data = binary.BigEndian.AppendUint32(data, n)
	}
	data = append(binary.BigEndian.AppendUint16(data, k.tag), wireName(z.name)...)
	for _, r := range set {
		data = append(data, owner...)
		data = binary.BigEndian.AppendUint16(data, r.typ)
		data = binary.BigEndian.AppendUint16(data, 1)
		data = binary.BigEndian.AppendUint32(data, ttl)
		data = append(binary.BigEndian.AppendUint16(data, uint16(len(r.rdata))), r.rdata...)
	}
	sum := sha256.Sum256(data)
	r, s, err := ecdsa.Sign(rand.Reader, k.private, sum[:])
	if err != nil {
		return "", err
	}
	var value [64]byte
	r.FillBytes(value[:32])
	s.FillBytes(value[32:])
	form := "20060102150405"
	return fmt.Sprintf("%s %d %d %d %s %s %d %s %s", typeNames[set[0].typ], algorithm, labels, ttl, to.UTC().Format(form), from.UTC().Format(form),
		k.tag, z.name, base64.StdEncoding.EncodeToString(value[:])), nil
}

func wireName(name string) []byte {
	var out []byte
	for label := range strings.SplitSeq(strings.Trim(name, "."), ".") {
		if label != "" {
			out = append(append(out, byte(len(label))), label...)
		}
	}
	return append(out, 0)
}
