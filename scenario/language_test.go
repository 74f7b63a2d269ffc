package scenario

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/authority"
	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// zones is a world for scripts that are tests of the language.
const zones = `
-- example.zone --
www 60 A 192.0.2.80
www 60 A 192.0.2.81
`

const oneServer = "# about\nserver ns1.example. 192.0.2.53 example.\n"

// staleOne ends with a question that gets something stale.
const staleOne = "# about\nserver ns1.example. 192.0.2.53 example.\nask www.example. A\n  rcode NOERROR\n" +
	"fault ns1.example. servfail\nafter 61s\nask www.example. A\n  rcode NOERROR\n"

// TestMistakesNameTheirLine sees what is wrong with a script's text.
func TestMistakesNameTheirLine(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"ask www.example. A\n", "f:1: no comment"},
		{"# about\nfrobnicate x\n", `f:2: unknown statement "frobnicate"`},
		{"# about\nask a. A\n  reply x\n", `f:3: unknown expectation "reply"`},
		{"# about\n  rcode NOERROR\n", "f:2: expectation without a statement"},
		{"# about\nat 5s\n  rcode NOERROR\n", `f:3: nothing can be expected of "at"`},
		{"# about\ncheck\n  rcode NOERROR\n", `f:3: "rcode" is about a reply`},
		{"# about\nreply s. a. A\n  took 3s\n", `f:3: unknown part of a reply "took"`},
		{"# about\n-- a.txt --\n", "f: a.txt is neither a zone nor lastgood.yaml"},
		{"# about\n-- a.zone --\nx\n-- a.zone --\n", "f: two files are called a.zone"},
	} {
		if _, err := parse("f", []byte(c.text)); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q\n got %v\nwant %s", c.text, err, c.want)
		}
	}
}

// failing is a script that must fail, and why.
type failing struct{ script, want string }

func fails(t *testing.T, list []failing) {
	t.Helper()
	for _, c := range list {
		t.Run("", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, err := parse("f", []byte(c.script+zones))
				if err != nil {
					t.Fatal(err)
				}
				if _, err = play(t, s, 1, false); err == nil || !strings.HasPrefix(err.Error(), c.want) {
					t.Errorf("%s\n got %v\nwant %s", c.script, err, c.want)
				}
			})
		})
	}
}

// TestFailuresNameTheirLine plays scripts that must fail, each for its reason: a reply
// is another one.
func TestFailuresNameTheirLine(t *testing.T) {
	const ask = oneServer + "ask www.example. A\n"
	fails(t, []failing{
		{ask + "  rcode NXDOMAIN\n", "f:4: want rcode NXDOMAIN, got NOERROR"},
		{ask + "  answer www.example. 60 A 192.0.2.80\n", "f:4: want 1 records, got 2"},
		{ask + "  answer www.example. 61 A 192.0.2.80\n", "f:4: want www.example. 61 A 192.0.2.80, got www.example. 60 A"},
		{ask + "  answer www.example. * A 192.0.2.81\n  answer www.example. * A 192.0.2.80\n", "f:4: want www.example. * A 192.0.2.81"},
		{ask + "  answer none\n", "f:4: want 0 records"},
		{ask + "  authority x. 1 A 192.0.2.1\n", "f:4: want x. 1 A 192.0.2.1, got no more"},
		{ask + "  ttl 59\n", "f:4: want ttl 59, got 60"},
		{ask + "  flags aa rd ra\n", "f:4: want flags aa rd ra: aa is false"},
		{ask + "  flags rd\n", "f:4: want flags rd: ra is true"},
		{ask + "  flags +tc\n", "f:4: want flag +tc"},
		{ask + "  flags zz\n", `f:4: unknown flag "zz"`},
		{ask + "  ede 22\n", "f:4: want ede 22"},
		{ask + "  edns none\n", "f:4: want edns none"},
		{ask + "  stale 1\n", "f:4: want 1 stale answers of 1, got 0"},
		{ask + "  slower 1ms 0\n", "f:4: want 0 replies of 1 that took longer than 1ms, got 1"},
		{ask + "  slower 1ms\n", "f:4: want: slower DURATION COUNT"},
		{staleOne + "  stale 0\n", "f:9: want 0 stale answers of 1, got 1"},
		{staleOne + "  ede 3 -\n", "f:9: want ede 3 -, got"},
		{oneServer + "flush www.example.\n", "f:3: want: flush NAME TYPE|all COUNT"},
		{ask + "flush www.example. A 2\n", "f:4: want 2 entries flushed, got 1"},
		{ask + "restart now\n", "f:4: want: restart [kill]"},
		{ask + "suspend -1h\n", "f:4: nothing sleeps backwards"},
		{ask + "set-clock\n", "f:4: want: set-clock DURATION"},
		{oneServer + "reply ns1.example. www.example. A\n  ede x\nask www.example. A\n", "f:4: want ede CODE [TEXT]"},
		{ask + "  option nsid\n", "f:4: want option nsid, got none"},
		{ask + "  took 1s\n", "f:4: want a reply after 1s"},
		{ask + "  size <=20\n", "f:4: want <=20 octets"},
		{ask + "  upstream 1..2\n", "f:4: want 1..2 upstream queries, got 3"},
		{ask + "  upstream x\n", `f:4: "x" is no number or range`},
		{ask + "  queries ns1.example. * MX 1\n", "f:4: want 1 queries ns1.example. * MX, got 0"},
		{ask + "  asked a.root. . NS\n", "f:4: want no more than 1 queries"},
		{ask + "  asked a.root. . MX\n", "f:4: want a.root. . MX asked at place 1"},
		{ask + "  saw ns1.example. * * rd=true\n", "f:4: want rd=true"},
		{ask + "  saw nobody. * * rd=true\n", "f:4: want nobody. * * rd=true, but nothing"},
		{ask + "  event budget-hit\n", "f:4: want event budget-hit"},
		{ask + "  event priming servers=9\n", "f:4: want event priming servers=9"},
		{ask + "  no-event priming\n", "f:4: there was an event priming"},
		{ask + "  no-reply\n", "f:4: want no reply"},
	})
}

// TestFailuresOfFaultsNameTheirLine is the same about what cannot be done.
func TestFailuresOfFaultsNameTheirLine(t *testing.T) {
	const ask = oneServer + "ask www.example. A\n"
	fails(t, []failing{
		{oneServer + "fault ns1.example. blackhole\nask www.example. A timeout=1s\n", "f:4: no reply after 1s"},
		{oneServer + "ask www.example. A tpc\n", `f:3: unknown option "tpc"`},
		{oneServer + "ask www.example A\n", "f:3: www.example does not end with a dot"},
		{oneServer + "ask www.example. QQ\n", `f:3: unknown type "QQ"`},
		{oneServer + "fault ns2.example. off\n", "f:3: no server is called ns2.example.; known are ns1.example., a.root."},
		{oneServer + "fault ns1.example. dance\n", `f:3: unknown fault "dance"`},
		{oneServer + "after 5s\nat 3s\n", "f:4: it is 5s already"},
		{oneServer + "zone example. other.zone\n", "f:3: there is no file other.zone"},
		{oneServer + "open c1\nclosed c1 1s..2s\n", "f:4: closed after 10s, want 1s..2s"},
		{oneServer + "open c1\nask www.example. A conn=c1\nreplies c1 mail.example.\n", "f:5: replies came in the order www.example."},
		{oneServer + "config cache.sizes=1\nask www.example. A\n", "f:4: lastgood.yaml:2: "},
		{oneServer + "ask www.example. A &\n  rcode NXDOMAIN\nafter 1s\n", "f:4: want rcode NXDOMAIN"},
		{oneServer + "flood 3 www.example. A\n  rcode NXDOMAIN\n", "f:4: want rcode NXDOMAIN"},
		{ask + "  answer www.example. 60 AAAA *\n  answer www.example. 60 A *\n", "f:4: want www.example. 60 AAAA *, got"},
		{oneServer + "sign\n", "f:3: want: sign ZONE [WORD…]|none"},
		{oneServer + "sign other.\n", "f:3: nobody serves other."},
		{oneServer + "sign example. alg=1\n", "f:3: alg=1: unknown; known are algorithm"},
		{oneServer + "sign example. algorithm=12\n", "f:3: key of example.: algorithm 12 is not supported"},
		{oneServer + "ds example.\n", "f:3: want: ds ZONE WORD…|none"},
		{oneServer + "ds . none\n", "f:3: nothing is above the root"},
		{oneServer + "break example. expired\n", "f:3: example. is not signed"},
		{oneServer + "sign example.\nbreak example. at=ns1.example.\n", "f:4: want: break ZONE WORD"},
		{oneServer + "sign example.\nbreak example. expired at=ns2.example.\n", "f:4: no server is called ns2.example."},
		{oneServer + "sign example.\nbreak example. dance\n", "f:4: wrong=dance: unknown way to break a zone"},
		{oneServer + "mend\n", "f:3: want: mend ZONE"},
		{ask + "anchor .\n", "f:4: the app runs already"},
		{oneServer + "reply ns1.example. www.example. A\n  answer www.example. 60\nask www.example. A\n", "f:4: want NAME TTL TYPE DATA"},
	})
}

// TestChained sees the order of a chain judged.
func TestChained(t *testing.T) {
	for text, good := range map[string]bool{
		"a. 1 CNAME b.|b. 1 A 192.0.2.1":                                true,
		"b. 1 A 192.0.2.1|a. 1 CNAME b.":                                false,
		"a. 1 CNAME b.|c. 1 A 192.0.2.1":                                false,
		"b. 1 CNAME c.|a. 1 CNAME b.|c. 1 A 192.0.2.1":                  false,
		"a. 1 A 192.0.2.1|a. 1 A 192.0.2.2":                             true,
		". 1 DNAME x.|a. 1 CNAME a.x.|a.x. 1 A 192.0.2.1":               true,
		"z. 1 DNAME x.|a. 1 CNAME a.x.|a.x. 1 A 192.0.2.1":              false,
		"a. 1 CNAME b.|b. 1 A 192.0.2.1|b. 1 A 192.0.2.2":               true,
		"a. 1 CNAME b.|a. 1 CNAME b.|b. 1 A 192.0.2.1":                  false,
		"a. 1 CNAME b.|b. 1 CNAME c.|c. 1 A 192.0.2.1":                  true,
		"a. 1 A 192.0.2.1|other. 1 A 192.0.2.2":                         false,
		"a. 1 CNAME b.|. 1 DNAME x.|b. 1 CNAME b.x.|b.x. 1 A 192.0.2.1": true,
	} {
		var block []line
		for record := range strings.SplitSeq(text, "|") {
			block = append(block, line{"f:1", "answer", record})
		}
		m, err := message(block)
		if err != nil {
			t.Fatal(err)
		}
		m.SetQuestion("a.", 1)
		if err := chained(m); (err == nil) != good {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// signedRoot begins a world that is signed from the root down.
const signedRoot = oneServer + "sign .\nsign example. algorithm=13 nsec3=1:ab\nanchor .\n"

// signedBriefly is signed for two hours.
const signedBriefly = oneServer + "sign . valid=2h\nsign example. valid=2h\nanchor .\n"

// TestSigning sees what the statements about signatures do to the zones, from the
// resolver's anchor down, at the script's end.
func TestSigning(t *testing.T) {
	const ask = "ask www.example. A\n"
	for _, c := range []struct {
		script, want string
		anchors      int
	}{
		{signedRoot + ask, "DS DNSKEY A", 1},
		{signedBriefly + ask + "after 3h\n", "7", 1},
		{signedBriefly + ask + "after 1h\nmend .\nmend example.\nafter 90m\n", "DS DNSKEY A", 1},
		{signedBriefly + ask + "after 1h\nmend .\nafter 90m\n", "DS 7", 1},
		{signedRoot + "sign . keys=csk2\n" + ask, "9", 1},
		{signedRoot + "sign . keys=csk1,csk2\n" + ask, "DS DNSKEY A", 1},
		{signedRoot + ask + "sign example. algorithm=13 keys=csk2\n", "DS 9", 1},
		{signedRoot + ask + "sign example. algorithm=13 keys=csk2 ds=2\n", "DS DNSKEY A", 1},
		{signedRoot + ask + "sign example. none\n", "DS 10", 1},
		{signedRoot + ask + "ds example. algorithm=13 ds=wrong\n", "DS 9", 1},
		{signedRoot + ask + "ds example. none\n", "no DS", 1},
		{signedRoot + ask + "ds example. none\nds example. algorithm=13\n", "DS DNSKEY A", 1},
		{signedRoot + ask + "break example. expired:www.example.:A\n", "DS DNSKEY 7", 1},
		{signedRoot + ask + "break example. forged\nmend example.\n", "DS DNSKEY A", 1},
		{signedRoot + ask + "break example. stripped:*:DNSKEY at=ns1.example.\n", "DS 10", 1},
		{signedRoot + ask + "break . expired:example.:DS\nzone example. example.zone\n", "7", 1},
		{oneServer + "sign . wrong=not-yet:example.:DS\nsign example.\nanchor . dnskey\nanchor example. keys=csk1,csk2\n" + ask, "8", 3},
	} {
		t.Run("", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, err := parse("f", []byte(c.script+zones))
				if err != nil {
					t.Fatal(err)
				}
				w, err := play(t, s, 1, false)
				if err != nil {
					t.Fatalf("%s: %v", c.script, err)
				}
				if got := strings.Join(followed(t, w), " "); got != c.want || len(w.anchors) != c.anchors {
					t.Errorf("%s\n got %s with %d anchors\nwant %s with %d", c.script, got, len(w.anchors), c.want, c.anchors)
				}
			})
		})
	}
}

// followed follows the chain of trust from the root's first key set to
// www.example. and tells what validated, and at the end the code of what did not.
func followed(t *testing.T, w *world) (found []string) {
	t.Helper()
	policy := &dnssec.Policy{Iterations: 50, Refused: 500}
	budget := dnssec.NewBudget(dnssec.Limits{Signatures: 100, PerSet: 8, PerTag: 4, Keys: 8, Hashes: 100})
	set := func(server int, zone, name string, typ wire.Type) *rrset.Set {
		s := &rrset.Set{Name: dnsname.MustParse(name), Type: typ}
		for _, r := range w.servers[server].Zone(dnsname.MustParse(zone)).Records() {
			if r.Name != s.Name {
				continue
			}
			sig, err := dnssec.ReadSignature(r.Data)
			switch {
			case r.Type == typ:
				s.Add(r.TTL, r.Data)
			case r.Type == wire.TypeRRSIG && err == nil && sig.Covered == typ:
				s.Sigs = s.Sigs.Append(r.Data)
			}
		}
		return s
	}
	verify := func(zone string, keys []*dnssec.Key, s *rrset.Set) bool {
		v := dnssec.Verifier{Zone: dnsname.MustParse(zone), Keys: keys, Now: time.Now(), Policy: policy, Budget: budget}
		if _, err := v.Verify(s); err != nil {
			found = append(found, fmt.Sprint(uint16(err.Code)))
			return false
		}
		return true
	}
	pointed := func(zone string, ds, keys *rrset.Set) []*dnssec.Key {
		return slices.DeleteFunc(dnssec.ReadKeys(keys, budget), func(k *dnssec.Key) bool {
			return !slices.ContainsFunc(dnssec.ReadAllDS(ds, policy), func(d dnssec.DS) bool { return d.Matches(dnsname.MustParse(zone), k) })
		})
	}
	anchor, err := authority.ParseRecords(dnsname.Root, w.anchors[0])
	if err != nil {
		t.Fatal(err)
	}
	trusted, keys := &rrset.Set{Type: wire.TypeDS}, set(1, ".", ".", wire.TypeDNSKEY)
	trusted.Add(1, anchor[0].Data)
	top := dnssec.ReadKeys(keys, budget)
	if anchor[0].Type == wire.TypeDS {
		top = pointed(".", trusted, keys)
	}
	if !verify(".", top, keys) {
		return found
	}
	ds := set(1, ".", "example.", wire.TypeDS)
	if ds.Empty() {
		return append(found, "no DS")
	}
	if !verify(".", dnssec.ReadKeys(keys, budget), ds) {
		return found
	}
	keys = set(0, "example.", "example.", wire.TypeDNSKEY)
	if found = append(found, "DS"); !verify("example.", pointed("example.", ds, keys), keys) {
		return found
	}
	if found = append(found, "DNSKEY"); verify("example.", dnssec.ReadKeys(keys, budget), set(0, "example.", "www.example.", wire.TypeA)) {
		found = append(found, "A")
	}
	return found
}
