package scenario

import (
	"strings"
	"testing"
	"testing/synctest"
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

// TestFailuresNameTheirLine plays scripts that must fail, each for its reason.
func TestFailuresNameTheirLine(t *testing.T) {
	const ask = oneServer + "ask www.example. A\n"
	for _, c := range []struct{ script, want string }{
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
		{oneServer + "reply ns1.example. www.example. A\n  answer www.example. 60\nask www.example. A\n", "f:4: want NAME TTL TYPE DATA"},
	} {
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
