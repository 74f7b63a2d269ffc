package validator

import (
	"context"
	"strings"
	"testing"

	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/event"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// small is a world with a zone of each kind.
const small = `
. keys=csk1
top A 192.0.2.1
example. keys=ksk1,zsk1 nsec3=0
www A 192.0.2.2
alias CNAME www
away CNAME www.plain.example.
*.wild A 192.0.2.3
deep.ent A 192.0.2.4
loop DNAME www
plain.example. unsigned
www A 192.0.2.5
nsec.example. algorithm=13
www A 192.0.2.6
*.wild TXT text
a.b.c A 192.0.2.7
out.example. nsec3=1:aa opt-out
www A 192.0.2.8
*.wild A 192.0.2.9
cut.out.example. unsigned
www A 192.0.2.10
safe.out.example. algorithm=8
www A 192.0.2.11
island.example. ds=none
www A 192.0.2.12
alien.example. alien-digest
www A 192.0.2.13
odd.example. alien-algorithm
www A 192.0.2.17
slow.example. nsec3=60
www A 192.0.2.14
worst.example. nsec3=600
www A 192.0.2.15
under.slow.example. keys=csk1
www A 192.0.2.16
`

// TestVerdicts: what comes of a question in the small world.
func TestVerdicts(t *testing.T) {
	w := newWorld(t, small)
	for _, tc := range []struct {
		name string
		typ  wire.Type
		want rrset.Security // of each entry, or Bogus
		why  ede.Code       // of a failure, or beside what is believed
	}{
		{"top.", wire.TypeA, rrset.Secure, 0},
		{"top.", wire.TypeTXT, rrset.Secure, 0},
		{"nowhere.", wire.TypeA, rrset.Secure, 0},
		{".", wire.TypeDNSKEY, rrset.Secure, 0},
		{".", wire.TypeDS, rrset.Secure, 0},
		{"www.example.", wire.TypeA, rrset.Secure, 0},
		{"example.", wire.TypeDS, rrset.Secure, 0},
		{"www.example.", wire.TypeDS, rrset.Secure, 0},
		{"ent.example.", wire.TypeA, rrset.Secure, 0},
		{"nowhere.example.", wire.TypeA, rrset.Secure, 0},
		{"alias.example.", wire.TypeA, rrset.Secure, 0},
		{"alias.example.", wire.TypeDS, rrset.Secure, 0},
		{"a.b.wild.example.", wire.TypeA, rrset.Secure, 0},
		{"a.b.wild.example.", wire.TypeTXT, rrset.Secure, 0},
		{"a.loop.example.", wire.TypeA, rrset.Secure, 0},
		{"plain.example.", wire.TypeDS, rrset.Secure, 0},
		{"www.plain.example.", wire.TypeA, rrset.Insecure, 0},
		{"nowhere.plain.example.", wire.TypeA, rrset.Insecure, 0},
		{"plain.example.", wire.TypeDNSKEY, rrset.Insecure, 0},
		{"www.nsec.example.", wire.TypeA, rrset.Secure, 0},
		{"www.nsec.example.", wire.TypeDNSKEY, rrset.Secure, 0},
		{"nowhere.nsec.example.", wire.TypeA, rrset.Secure, 0},
		{"a.wild.nsec.example.", wire.TypeTXT, rrset.Secure, 0},
		{"a.wild.nsec.example.", wire.TypeA, rrset.Secure, 0},
		{"b.c.nsec.example.", wire.TypeA, rrset.Secure, 0},
		{"www.out.example.", wire.TypeA, rrset.Secure, 0},
		{"nowhere.out.example.", wire.TypeA, rrset.Insecure, 0}, // RFC 5155 §9.2
		{"a.wild.out.example.", wire.TypeA, rrset.Insecure, 0},
		{"www.cut.out.example.", wire.TypeA, rrset.Insecure, 0},
		{"www.safe.out.example.", wire.TypeA, rrset.Secure, 0},
		{"www.island.example.", wire.TypeA, rrset.Insecure, 0},
		{"island.example.", wire.TypeDNSKEY, rrset.Insecure, 0},
		{"nowhere.island.example.", wire.TypeA, rrset.Insecure, 0},
		{"www.alien.example.", wire.TypeA, rrset.Insecure, ede.UnsupportedDSDigest},
		{"www.odd.example.", wire.TypeA, rrset.Insecure, ede.UnsupportedDNSKEYAlg},
		{"www.slow.example.", wire.TypeA, rrset.Secure, 0},
		{"nowhere.slow.example.", wire.TypeA, rrset.Insecure, ede.UnsupportedNSEC3Iter},
		{"www.under.slow.example.", wire.TypeA, rrset.Secure, 0},
		{"nowhere.worst.example.", wire.TypeA, rrset.Bogus, ede.UnsupportedNSEC3Iter},
	} {
		v, entries := w.judge(tc.name, tc.typ)
		got := ede.Code(0)
		switch {
		case v.Failure != nil:
			got = v.Failure.Code
		case v.Why != nil:
			got = v.Why.Code
		}
		if (v.Failure != nil) != (tc.want == rrset.Bogus) || got != tc.why {
			t.Errorf("%s %v: %v, %v, %v", tc.name, tc.typ, v.Good, v.Failure, v.Why)
			continue
		}
		for i := range entries[:v.Good] {
			e := &entries[i]
			if e.Why != tc.why {
				t.Errorf("%s %v: %s keeps %v as the reason", tc.name, tc.typ, e.Name, e.Why)
			}
			ends := tc.want == rrset.Secure || e.Kind != cache.Data && len(v.Signers) > 0 // what was verified
			if e.Security != tc.want || e.Valid.IsZero() == ends || (e.Most == 0) == ends {
				t.Errorf("%s %v: %s is %v until %v", tc.name, tc.typ, e.Name, e.Security, e.Valid)
			}
		}
		if len(entries) == 0 || v.Failure == nil && v.Good != len(entries) {
			t.Errorf("%s %v: %d of %d", tc.name, tc.typ, v.Good, len(entries))
		}
	}
}

// TestBogus: every way to be broken, what a client is told of it, and whose fault it is.
func TestBogus(t *testing.T) {
	const body = "\nwww A 192.0.2.1\n*.wild A 192.0.2.2\nkid.example. keys=csk1\nwww A 192.0.2.3\n"
	for _, tc := range []struct {
		plan, name string
		code       ede.Code
		text, zone string
	}{
		{"wrong=expired:www.example.:A", "www.example.", ede.SignatureExpired, "signature of www.example. A by key ", "example."},
		{"wrong=not-yet:www.example.:A", "www.example.", ede.SignatureNotYetValid, "is not valid before 2026-", "example."},
		{"wrong=backwards:www.example.:A", "www.example.", ede.SignatureExpiredBefore, "expired before it is valid: 2026-05-05T11:00:00Z", "example."},
		{"wrong=stripped:www.example.:A", "www.example.", ede.RRSIGsMissing, "is not signed, and example. is", "example."},
		{"wrong=forged:www.example.:A", "www.example.", ede.Bogus, "of example. is wrong, as of 2026-05-05T11:00:00Z", "example."},
		{"wrong=forged-16:www.example.:A", "www.example.", ede.Bogus, "too much work", "example."},
		{"wrong=wrong-key:www.example.:A", "www.example.", ede.DNSKEYMissing, "example. has no key ", "example."},
		{"wrong=wrong-signer:www.example.:A", "www.example.", ede.DNSKEYMissing, ". has no key ", "."},
		{"wrong=wrong-owner:www.example.:A", "www.example.", ede.Bogus, "is wrong", "example."},
		{"wrong=wrong-labels:www.example.:A", "www.example.", ede.NSECMissing, "that www.example. does not exist", "example."},
		{"wrong=wrong-algorithm:www.example.:A", "www.example.", ede.RRSIGsMissing, "www.example. A has no signature of example.", "example."},
		{"wrong=expired", "www.example.", ede.SignatureExpired, "signature of example. DNSKEY by key ", "example."},
		{"wrong=stripped:example.:DNSKEY", "www.example.", ede.RRSIGsMissing, "example. DNSKEY has no signature of example.", "example."},
		{"ds=wrong", "www.example.", ede.DNSKEYMissing, "no key of example. (", "example."},
		{"wrong=no-denial", "nowhere.example.", ede.NSECMissing, "example. gives no proof that nowhere.example. does not exist", "example."},
		{"wrong=wrong-denial", "nowhere.example.", ede.NSECMissing, "does not prove that nowhere.example. does not exist", "example."},
		{"wrong=wrong-denial nsec3=0", "nowhere.example.", ede.NSECMissing, "does not prove that nowhere.example. does not exist", "example."},
		{"wrong=denied:www.example.", "www.example.", ede.NSECMissing, "does not prove that www.example. does not exist", "example."},
		{"wrong=denied:www.example. nsec3=0", "www.example.", ede.NSECMissing, "does not prove", "example."},
		{"wrong=withheld:www.example.:A", "www.example.", ede.NSECMissing, "does not prove that www.example. has no A record", "example."},
		{"wrong=withheld:kid.example.:DS", "www.kid.example.", ede.NSECMissing, "that kid.example. has no DS record", "example."},
		{"wrong=withheld:kid.example.:DS nsec3=0", "www.kid.example.", ede.NSECMissing, "that kid.example. has no DS record", "example."},
		{"wrong=withheld:kid.example.:DS nsec3=0 opt-out", "www.kid.example.", ede.NSECMissing, "that kid.example. has no DS record", "example."},
		{"wrong=expired:example.:SOA", "nowhere.example.", ede.SignatureExpired, "signature of example. SOA", "example."},
		{"keys=csk1-revoked", "www.example.", ede.DNSKEYMissing, "", "example."},
	} {
		w := newWorld(t, ". keys=csk1\nexample. "+tc.plan+body)
		v, _ := w.judge(tc.name, wire.TypeA)
		switch {
		case tc.plan == "keys=csk1-revoked": // no DS record points to it: insecure
			if v.Failure != nil {
				t.Errorf("%s: %v", tc.plan, v.Failure)
			}
		case v.Failure == nil || v.Failure.Code != tc.code || !strings.Contains(v.Failure.Text, tc.text) || v.Zone != dnsname.MustParse(tc.zone):
			t.Errorf("%s: %v (zone %s)", tc.plan, v.Failure, v.Zone)
		case !strings.Contains(v.Sentence(), v.Failure.Text) || !strings.Contains(v.Sentence(), tc.zone) || !strings.HasSuffix(v.Sentence(), "."):
			t.Errorf("%s: %q", tc.plan, v.Sentence())
		}
	}
}

// TestAlgorithms: zones of each algorithm, of several at once, and in the middle of
// each kind of rollover are secure (RFC 6840 §5.11, RFC 6781 §4.1).
func TestAlgorithms(t *testing.T) {
	for _, plan := range []string{
		"algorithm=5", "algorithm=7 nsec3=0", "algorithm=8", "algorithm=10", "algorithm=13", "algorithm=14", "algorithm=15",
		"algorithm=8,13", "algorithm=8,15 keys=ksk1,zsk1", // two algorithms
		"keys=ksk1,zsk1,standby2",     // a key published before it signs
		"keys=ksk1,zsk1,zsk2",         // double signatures
		"keys=ksk1,ksk2,zsk1",         // two KSKs, a DS record for each
		"keys=ksk1-revoked,ksk2,zsk1", // RFC 5011: the old one revoked
		"ds=1", "ds=1,2", "ds=2,4",
	} {
		w := newWorld(t, ". keys=csk1\nexample. "+plan+"\nwww A 192.0.2.1\n")
		for _, name := range []string{"www.example.", "nowhere.example."} {
			v, entries := w.judge(name, wire.TypeA)
			if v.Failure != nil || entries[0].Security != rrset.Secure {
				t.Errorf("%s: %s: %v, %v", plan, name, v.Failure, entries[0].Security)
			}
		}
	}
}

// TestSignersAbove: a signature of the zone above a signed cut does not count for what
// is below it, whoever has the keys of that zone (RFC 4035 §5.3.1). Below an unsigned
// cut it is insecure, and where nothing is cut it counts.
func TestSignersAbove(t *testing.T) {
	const kid = "kid.example. "
	whole := ". keys=csk1\nexample. keys=csk1\nwww.kid A 192.0.2.66\n"
	_, above := newWorld(t, whole).judge("www.kid.example.", wire.TypeA)
	for plan, want := range map[string]rrset.Security{"algorithm=13": rrset.Bogus, "unsigned": rrset.Insecure, "": rrset.Secure} {
		text := ". keys=csk1\nexample. keys=csk1\n" + kid + plan + "\nwww A 192.0.2.1\n"
		if plan == "" {
			text = whole
		}
		w := newWorld(t, text)
		w.change = func(q event.Question, list []cache.Entry) {
			if q.Type == wire.TypeA {
				list[0].Set, list[0].Cut = above[0].Set, dnsname.MustParse("kid.example.")
			}
		}
		v, entries := w.judge("www.kid.example.", wire.TypeA)
		switch {
		case want == rrset.Bogus && (v.Failure == nil || !v.Bogus || v.Failure.ID != "PRNT"):
			t.Errorf("%s: %v", plan, v.Failure)
		case want != rrset.Bogus && (v.Failure != nil || entries[0].Security != want):
			t.Errorf("%s: %v, %v", plan, v.Failure, entries[0].Security)
		}
	}
}

// TestWhoseFault: a signature that is wrong is the fault of the zone that it names when
// the data came from that zone's servers, or when no cut lies between; else it may be
// anybody's. A zone of which nothing validates is at fault wherever it was had from.
func TestWhoseFault(t *testing.T) {
	const text = ". keys=csk1\nexample. keys=csk1\nwww A 192.0.2.1\nwww.kid A 192.0.2.66\n"
	for _, c := range []struct{ tail, name, cut, change, zone string }{
		{"", "www.example.", "example.", "A", "example."},
		{"", "www.example.", ".", "A", "example."},
		{"", "www.kid.example.", ".", "A", "example."},
		{"", "www.kid.example.", ".", "A DS", "example."},
		{"kid.example. unsigned\nwww A 192.0.2.66\n", "www.kid.example.", ".", "A", ""},
		{"kid.example. algorithm=13\nwww A 192.0.2.66\n", "www.kid.example.", ".", "A", ""},
	} {
		_, above := newWorld(t, text).judge(c.name, wire.TypeA)
		w := newWorld(t, text+c.tail)
		w.change = func(q event.Question, list []cache.Entry) {
			e := &list[0]
			if q.Type == wire.TypeA {
				e.Set, e.Cut = above[0].Set, dnsname.MustParse(c.cut)
			}
			if !strings.Contains(c.change, q.Type.String()) || q.Name == dnsname.MustParse("example.") {
				return
			}
			for _, s := range append(e.Proof, e.Set) {
				for rdata := range s.Sigs.All() {
					rdata[len(rdata)-1] ^= 1
				}
			}
		}
		v, _ := w.judge(c.name, wire.TypeA)
		if v.Failure == nil || !v.Bogus || string(v.Zone) != v.Failure.Zone || v.Zone != "" && v.Zone.String() != c.zone || v.Zone == "" && c.zone != "" {
			t.Errorf("%+v: zone %q of %v", c, v.Zone, v.Failure)
		}
		if v.Zone == "" && !strings.HasPrefix(v.Sentence(), "The answer does not validate: ") {
			t.Errorf("%+v: %s", c, v.Sentence())
		}
	}
}

// TestNoCircles: what is wrong with a link is not looked for with that link. The fetcher
// of these tests refuses circles, as a resolver does, with a code of its own.
func TestNoCircles(t *testing.T) {
	w := newWorld(t, ". keys=csk1\nexample. keys=csk1\nwww A 192.0.2.1\nalias CNAME www\n")
	w.change = func(_ event.Question, list []cache.Entry) {
		for i := range list {
			list[i].Set.Sigs, list[i].Proof = nil, nil
			if list[i].Type == wire.TypeDNSKEY {
				list[i] = cache.Entry{Kind: cache.NoData, Name: list[i].Name, Type: list[i].Type, Cut: list[i].Cut}
			}
		}
	}
	own := w.zones["\x07example\x00"]
	for _, name := range []string{"alias.example.", "nowhere.example."} {
		w.memo = map[event.Question]link{}
		strip := w.change
		w.change = func(q event.Question, list []cache.Entry) {
			if q.Type != wire.TypeDNSKEY && w.zoneOf(q.Name, q.Type) != "\x00" {
				strip(q, list)
			}
		}
		if v, _ := w.judge(name, wire.TypeA); v.Failure == nil || v.Failure.Code != ede.RRSIGsMissing {
			t.Errorf("%s without signatures: %v", name, v.Failure)
		}
		w.change = strip
	}
	w.memo, w.zones["\x07example\x00"] = map[event.Question]link{}, own
	strip := w.change
	w.change = func(q event.Question, list []cache.Entry) {
		if q.Type == wire.TypeDNSKEY && !q.Name.IsRoot() {
			strip(q, list)
		}
	}
	if v, _ := w.judge("www.example.", wire.TypeA); v.Failure == nil || v.Failure.Code != ede.DNSKEYMissing {
		t.Errorf("without keys: %v", v.Failure)
	}
}

// TestUnusableAnchor: a zone whose anchor nothing can be verified with is insecure (RFC
// 4035 §5.2).
func TestUnusableAnchor(t *testing.T) {
	for sha1, want := range map[bool]rrset.Security{true: rrset.Secure, false: rrset.Insecure} {
		w := newWorld(t, ". algorithm=5\nwww A 192.0.2.1\n")
		w.v.policy.SHA1 = sha1
		v, entries := w.judge("www.", wire.TypeA)
		if v.Failure != nil || entries[0].Security != want || w.v.Anchored("\x03www\x00", wire.TypeA) != sha1 {
			t.Errorf("SHA-1 %v: %v, %v", sha1, v.Failure, entries[0].Security)
		}
	}
}

// TestWildcardDNAME: a DNAME record that is made of a wildcard makes no aliases, though
// its signature is good: else whoever sees one could move any name of the zone.
func TestWildcardDNAME(t *testing.T) {
	w := newWorld(t, ". keys=csk1\nexample. keys=csk1\n*.d DNAME other.\n")
	q := event.Question{Name: dnsname.MustParse("*.d.example."), Type: wire.TypeDNAME}
	entries := w.answer(q)
	v := w.v.Judge(context.Background(), w, q, entries, w.budget)
	if v.Failure != nil {
		t.Fatal(v.Failure)
	}
	entries = w.answer(q)
	entries[0].Name = dnsname.MustParse("sub.d.example.")
	entries[0].Set.Name = entries[0].Name
	entries[0].Proof = w.answer(event.Question{Name: entries[0].Name, Type: wire.TypeTXT})[0].Proof
	if v := w.v.Judge(context.Background(), w, q, entries, w.budget); v.Failure == nil || v.Failure.ID != "WDNA" {
		t.Errorf("%v, %v", v.Failure, entries[0].Security)
	}
}

// oddLinks are links that were judged and yet say nothing, or were not judged at all.
type oddLinks struct {
	*world
	ds cache.Entry
}

func (o *oddLinks) Fetch(ctx context.Context, zone dnsname.Name, t wire.Type) (cache.Entry, bool, *ede.Error) {
	if t == wire.TypeDS && zone == o.ds.Name {
		return o.ds, false, nil
	}
	return o.world.Fetch(ctx, zone, t)
}

// TestOddLinks: a link that is not Insecure makes nothing insecure.
func TestOddLinks(t *testing.T) {
	w := newWorld(t, small)
	q := event.Question{Name: dnsname.MustParse("www.plain.example."), Type: wire.TypeA}
	for _, s := range []rrset.Security{rrset.Unchecked, rrset.Secure, rrset.Bogus, rrset.Indeterminate} {
		o := &oddLinks{w, cache.Entry{Kind: cache.NoData, Name: dnsname.MustParse("plain.example."), Type: wire.TypeDS, Security: s}}
		entries := w.answer(q)
		v := w.v.Judge(context.Background(), o, q, entries, w.budget)
		if v.Failure == nil || v.Good > 0 {
			t.Errorf("%v: %v", s, entries[0].Security)
		}
	}
}

// TestAnchorBelow: where the anchor is below the root, a signature of what is above it
// makes nothing insecure.
func TestAnchorBelow(t *testing.T) {
	w := newWorld(t, "deep.example. algorithm=13\nwww A 192.0.2.6\n")
	if v, entries := w.judge("www.deep.example.", wire.TypeA); v.Failure != nil || entries[0].Security != rrset.Secure {
		t.Fatal(v.Failure)
	}
	_, forged := newWorld(t, ". keys=csk1\nwww.deep.example A 192.0.2.66\n").judge("www.deep.example.", wire.TypeA)
	w.change = func(_ event.Question, list []cache.Entry) { list[0].Set = forged[0].Set }
	v, entries := w.judge("www.deep.example.", wire.TypeA)
	if v.Failure == nil || !v.Bogus || v.Failure.Code != ede.RRSIGsMissing {
		t.Errorf("%v, %v", v.Failure, entries[0].Security)
	}
}
