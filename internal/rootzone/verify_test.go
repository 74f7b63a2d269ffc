package rootzone

import (
	"bytes"
	"crypto"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
	"lastgood/internal/wire"
)

func TestVerify(t *testing.T) {
	z := verify(t, smallZone(t))
	v := z.Verified()
	// SOA, NS, NSEC, DNSKEY, ZONEMD of the apex; DS of aa; NSEC of aa, bb, cc, x.dd, ee; TXT of ee.
	if v.Signatures != 12 || v.Digest != crypto.SHA384 || v.Tag != testZSK.public.KeyTag() || !v.Expires.Equal(signedTill) {
		t.Errorf("%+v", v)
	}
	if z.Serial() != 2026010200 || z.Len() != len(slices.Collect(z.Records())) || z.Size() < 1000 {
		t.Errorf("serial %d, %d records, %d octets", z.Serial(), z.Len(), z.Size())
	}
}

// edit changes the records that pick finds, at least one of them.
func edit(t *testing.T, records []Record, pick func(Record) bool, change func(*Record)) []Record {
	t.Helper()
	out, found := slices.Clone(records), false
	for i := range out {
		if pick(out[i]) {
			out[i].Data = bytes.Clone(out[i].Data)
			change(&out[i])
			found = true
		}
	}
	if !found {
		t.Fatal("nothing to change")
	}
	return out
}

func drop(t *testing.T, records []Record, pick func(Record) bool) []Record {
	t.Helper()
	out := slices.DeleteFunc(slices.Clone(records), pick)
	if len(out) == len(records) {
		t.Fatal("nothing to drop")
	}
	return out
}

func is(name string, typ wire.Type) func(Record) bool {
	owner := dnsname.MustParse(name)
	return func(r Record) bool { return r.Name == owner && r.Type == typ }
}

func isSig(name string, covered wire.Type) func(Record) bool {
	owner := dnsname.MustParse(name)
	return func(r Record) bool {
		return r.Name == owner && r.Type == wire.TypeRRSIG && wire.Type(uint16(r.Data[0])<<8|uint16(r.Data[1])) == covered
	}
}

func flip(r *Record) { r.Data[len(r.Data)-1] ^= 1 }

// TestVerifyRefuses has each thing that can be wrong with a zone, alone, and what
// is said of it.
func TestVerifyRefuses(t *testing.T) {
	good := smallZone(t)
	digest := good[slices.IndexFunc(good, func(r Record) bool { return isDigest(r) && r.Type == wire.TypeZONEMD })].Data[6:]
	add := func(text string) []Record { return append(slices.Clone(good), parse(t, ".", text)...) }
	expanded := drop(t, sign(t, parse(t, ".", smallRoot+"ff.ee. 60 IN TXT \"x\"")), isSig("ff.ee.", wire.TypeTXT))
	ofWildcard := signature(t, parse(t, ".", "*.ee. 60 IN TXT \"x\""), testZSK)
	ofWildcard.Name = dnsname.MustParse("ff.ee.")
	for _, tc := range []struct {
		what    string
		records []Record
		want    string
	}{
		{"a name signed as a wildcard", redigest(t, append(expanded, ofWildcard)), "ff.ee. TXT: its signature is of a wildcard"},
		{"a DS record changed", edit(t, good, is("aa.", wire.TypeDS), flip), "not what its ZONEMD record says"},
		{"glue changed", edit(t, good, is("ns2.nic.cc.", wire.TypeA), flip), "not what its ZONEMD record says"},
		{"glue added", add("ns3.nic.cc. 172800 IN A 192.0.2.99"), "not what its ZONEMD record says"},
		{"a delegation left out", drop(t, good, is("bb.", wire.TypeNS)), "not what its ZONEMD record says"},
		{"a DS record changed, with its digest", redigest(t, edit(t, good, is("aa.", wire.TypeDS), flip)), "signature of aa. DS by key"},
		{"a signature changed, with its digest", redigest(t, edit(t, good, isSig("ee.", wire.TypeTXT), flip)), "signature of ee. TXT by key"},
		{"a signature left out, with its digest", redigest(t, drop(t, good, isSig("aa.", wire.TypeDS))), "aa. DS has no signature"},
		{"records that nobody signed", redigest(t, add("ff. 60 IN TXT \"x\"")), "ff. TXT has no signature"},
		{"no digest", withDigest(t, good), "no ZONEMD record"},
		{"a digest that nobody signed", append(withDigest(t, good), zonemd(2026010200, 1, 1, digest)), "ZONEMD has no signature"},
		{"a digest of another serial", withDigest(t, good, zonemd(2026010199, 1, 1, digest)), "ZONEMD is of serial 2026010199, SOA of 2026010200"},
		{"an unknown scheme", withDigest(t, good, zonemd(2026010200, 2, 1, digest)), "scheme 2, which is not known"},
		{"an unknown hash", withDigest(t, good, zonemd(2026010200, 1, 3, digest)), "hash algorithm 3, which is not known"},
		{"a short digest", withDigest(t, good, zonemd(2026010200, 1, 1, digest[:12])), "digest of 12 octets"},
		{"two digests alike", withDigest(t, good, zonemd(2026010200, 1, 1, digest), zonemd(2026010200, 1, 1, digest[:12])), "2 ZONEMD records of one scheme"},
		{"no keys", drop(t, good, is(".", wire.TypeDNSKEY)), "no DNSKEY record"},
		{"keys changed", edit(t, good, isSig(".", wire.TypeDNSKEY), flip), "its keys: "},
		{"the SOA record changed", edit(t, good, is(".", wire.TypeSOA), flip), "signature of . SOA by key"},
		{"no NSEC record at the apex", drop(t, good, is(".", wire.TypeNSEC)), "no NSEC record"},
		{"an NSEC record left out", redigest(t, drop(t, good, is("bb.", wire.TypeNSEC))), "bb. has no NSEC record"},
		{"an NSEC record that leads past a name", redigest(t, resign(t, edit(t, good, is("aa.", wire.TypeNSEC), func(r *Record) {
			r.Data[1] = 'c'
			r.Data[2] = 'c'
		}))), "the NSEC record of aa. leads to cc., not to bb."},
		{"an alias", redigest(t, resign(t, add("ff. 60 IN CNAME aa."))), "aliases and wildcards"},
		{"a wildcard", redigest(t, resign(t, add("*.ee. 60 IN TXT \"x\""))), "aliases and wildcards"},
	} {
		_, err := build(t, tc.records).Verify(anchorOf(t, testKSK), signedAt.Add(time.Hour), policy)
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "serial 2026010200") {
			t.Errorf("%s: %v, want %q", tc.what, err, tc.want)
		}
	}
}

// trustsAll is an anchor that knows any key.
type trustsAll struct{}

func (trustsAll) Trusts(*dnssec.Key) bool { return true }

// TestVerifyKeys is about whom to trust, and when.
func TestVerifyKeys(t *testing.T) {
	good := build(t, smallZone(t))
	revoked := newKey(1, 257|dns.REVOKE)
	keys := []Record{fromRR(t, revoked.public), fromRR(t, testZSK.public)}
	withRevoked := drop(t, smallZone(t), func(r Record) bool { return is(".", wire.TypeDNSKEY)(r) || isSig(".", wire.TypeDNSKEY)(r) })
	withRevoked = redigest(t, append(append(withRevoked, keys...), signature(t, keys, revoked)))
	for _, tc := range []struct {
		what   string
		data   *Data
		anchor Anchor
		now    time.Time
		want   string
	}{
		{"no anchor", good, nil, signedAt, "no trust anchor"},
		{"another anchor", good, anchorOf(t, newKey(9, 257)), signedAt, "none of the zone's keys"},
		{"the zone's other key as anchor", good, anchorOf(t, testZSK), signedAt, "its keys: "},
		{"a key given up", build(t, withRevoked), anchorOf(t, revoked), signedAt, "none of the zone's keys"},
		{"a key given up, whatever the anchor says", build(t, withRevoked), trustsAll{}, signedAt, "its keys: "},
		{"later", good, anchorOf(t, testKSK), signedTill.Add(time.Second), "expired 2026-01-15T00:00:00Z"},
		{"earlier", good, anchorOf(t, testKSK), signedAt.Add(-time.Second), "not valid before 2026-01-02T00:00:00Z"},
	} {
		if _, err := tc.data.Verify(tc.anchor, tc.now, policy); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.what, err, tc.want)
		}
	}
}

// TestVerifiedExpires is the end of the signature that ends first.
func TestVerifiedExpires(t *testing.T) {
	soon := signedAt.Add(26 * time.Hour)
	records := drop(t, smallZone(t), isSig("aa.", wire.TypeDS))
	ds := records[slices.IndexFunc(records, is("aa.", wire.TypeDS))]
	records = redigest(t, append(records, signatureAt(t, []Record{ds}, testZSK, signedAt, soon)))
	if got := verify(t, records).Verified().Expires; !got.Equal(soon) {
		t.Errorf("expires %v, want %v", got, soon)
	}
}
