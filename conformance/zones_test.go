package conformance

import (
	"fmt"
	"strings"
)

// makeWorld makes the tree: a root, five top-level zones, and below them zones
// of every kind on every daemon, and some on all.
func makeWorld() *world {
	w := newWorld()
	w.add(".", "root", []string{"root-a", "root-b", "root-c"})
	w.add("example.", "tld", []string{"nsd1", "named1"})
	w.add("one.", "tld", []string{"knot1", "knot2"})
	w.add("two.", "tld", []string{"named1", "named2"})
	w.add("three.", "tld", []string{"nsd1", "nsd2"}).outside = true
	w.add("four.", "tld", []string{"nsd2", "knot2", "named2"})
	tlds := []string{"example.", "one.", "two.", "three.", "four."}
	pairs := [][]string{{"nsd1", "nsd2"}, {"knot1", "knot2"}, {"named1", "named2"}}
	kinds := []struct {
		name    string
		records func(zone string) []string
	}{
		{"plain", plain}, {"wild", wild}, {"chain", chains}, {"dname", dnames}, {"ent", nonTerminals},
		{"types", types}, {"escape", escapes}, {"long", longNames}, {"large", largeSets}, {"case", mixedCase},
	}
	for i, k := range kinds {
		for j, servers := range pairs {
			name := fmt.Sprintf("%s%d.%s", k.name, j, tlds[(i+j)%len(tlds)])
			w.add(name, k.name, servers, k.records(name)...).outside = (i+j)%3 == 0
		}
	}
	w.add("every.four.", "plain", []string{"nsd1", "knot1", "named1"}, plain("every.four.")...)
	w.add("glueless.one.", "plain", []string{"nsd2", "named2"}, plain("glueless.one.")...).outside = true
	w.add("sub.every.four.", "plain", []string{"nsd1", "knot1", "named1"}, plain("sub.every.four.")...) // same servers as its parent
	w.add("b.a.deep.one.", "plain", []string{"knot1", "knot2"}, plain("b.a.deep.one.")...)              // empty non-terminals above the cut
	w.add("apex.two.", "dname", []string{"named1", "named2"}, "@ DNAME plain0.example.").outside = true // RFC 6672 §2.3: nothing below it
	w.add("apex.three.", "wild", []string{"nsd1", "nsd2"}, "* A 203.0.113.9", "* TXT \"of the apex\"", "real A 203.0.113.10")
	addFaulty(w)
	return w
}

// addFaulty adds the zones with servers that something is wrong with. Their
// parent is on Knot DNS alone, and neither they nor the root are: a server of
// zones above would answer for them, and nobody would ever meet the fault.
func addFaulty(w *world) {
	for _, f := range []struct {
		name    string
		servers []string
	}{
		{"self-referring", []string{"lame", "nsd2"}},
		{"dead-one", []string{"dead", "named1"}},
		{"lossy", []string{"lossy1", "lossy2"}},
		{"slow", []string{"slow"}},
		{"truncated", []string{"cut"}},
		{"six-only", []string{"six"}},
		{"stalling", []string{"stall", "named1"}},
	} {
		name := f.name + ".one."
		w.add(name, f.name, f.servers, plain(name)...)
	}
	// Knot DNS knows nothing at or above this one, and refuses.
	w.add("lame-one.two.", "lame-one", []string{"lame", "nsd2"}, plain("lame-one.two.")...)
}

func plain(string) []string {
	out := []string{"@ A 203.0.113.1", "@ MX 10 mail", "@ TXT \"v=spf1 -all\"", "@ CAA 0 issue \"ca.example\"", "www CNAME @"}
	for i := range 12 {
		out = append(out, fmt.Sprintf("h%d A 203.0.113.%d", i, i+10), fmt.Sprintf("h%d AAAA 2001:db8:80::%x", i, i))
		if i%3 == 0 {
			out = append(out, fmt.Sprintf("h%d TXT \"text %d\" \"\" \"more\"", i, i))
		}
	}
	return append(out, "mail A 203.0.113.25", "_sip._tcp SRV 1 2 5060 h0", "@ HTTPS 1 . alpn=h2", "zero 0 A 203.0.113.99")
}

func wild(string) []string {
	return []string{
		"@ A 203.0.113.1", "*.w A 203.0.113.2", "*.w TXT \"any\"", "*.w MX 5 mail.w",
		"there.w AAAA 2001:db8::80",                     // exists: not of the wildcard
		"x.under.w A 203.0.113.3",                       // under.w is an empty non-terminal: ends the wildcard's reach
		"*.c CNAME h0.plain1.one.", "*.d CNAME nowhere", // aliases
		"*.deep.er A 203.0.113.4", "*.*.star A 203.0.113.5", "a.*.star A 203.0.113.6",
		"*.in.*.mid TXT \"odd\"", "*.self CNAME *.self",
	}
}

func chains(zone string) []string {
	out := []string{
		"end A 203.0.113.7", "end TXT \"the end\"",
		"gone CNAME nowhere", "gone1 CNAME gone", "away CNAME nowhere.plain0.example.",
		"nozone CNAME a.b.nozone.example.", "notld CNAME www.nothing.",
		"self CNAME self", "ping CNAME pong", "pong CNAME ping", "r0 CNAME r1", "r1 CNAME r2", "r2 CNAME r0",
		"towild CNAME some.w.wild0.one.", "todname CNAME h0.old.dname0.three.", "toent CNAME b.ent0.four.",
		"to255 CNAME " + longest("long0.three."),
	}
	for i := range 14 {
		next := "end"
		if i > 0 {
			next = fmt.Sprintf("c%d", i-1)
		}
		out = append(out, fmt.Sprintf("c%d CNAME %s", i, next))
	}
	others := []string{"chain0.two.", "chain1.three.", "chain2.four."}
	for i := range 8 { // across zones and servers
		next := "end." + zone
		if i > 0 {
			next = fmt.Sprintf("x%d.%s", i-1, others[i%len(others)])
		}
		out = append(out, fmt.Sprintf("x%d CNAME %s", i, next))
	}
	return out
}

func dnames(zone string) []string {
	return []string{
		"@ A 203.0.113.1", "old DNAME plain0.example.", "old A 203.0.113.2", "old TXT \"beside\"",
		"twice DNAME old", "into CNAME h1.old", "wildly DNAME w.wild0.one.",
		"self DNAME self2", "self2 A 203.0.113.3", "x.self2 A 203.0.113.4", "ent.self2.x A 203.0.113.5",
		"far DNAME " + strings.Repeat(strings.Repeat("t", 60)+".", 3) + "plain0.example.",
		"nowhere DNAME not.there.plain0.example.", "notld DNAME nothing.",
		"circle DNAME circle2", "circle2 DNAME circle",
		"target A 203.0.113.6", "a.target A 203.0.113.7", "b.a.target TXT \"deep\"", "short DNAME target",
	}
}

func nonTerminals(string) []string {
	return []string{
		"@ A 203.0.113.1", "a.b.c.d.e A 203.0.113.2", "z.b TXT \"z\"", "_http._tcp SRV 0 0 80 @", "x.*.y A 203.0.113.3",
		"p.q.r CNAME a.b.c.d.e", "1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16 PTR host",
		"m.n DNAME a.b", "k.l MX 0 .",
	}
}

func types(string) []string {
	return []string{
		"odd TYPE65280 \\# 4 0A000001", "odd TYPE65280 \\# 0", "odd TYPE65279 \\# 3 010203", "odd TYPE300 \\# 1 FF",
		"svcb SVCB 0 other.example.", "svcb2 SVCB 1 . alpn=h2,h3 port=8443 ipv4hint=203.0.113.1,203.0.113.2 ipv6hint=2001:db8::1",
		"https HTTPS 1 svc.example. alpn=h3 mandatory=alpn key65280=\"hello\"", "https HTTPS 2 . port=1",
		"naptr NAPTR 100 50 \"s\" \"z3950+n2l+n2c\" \"\" _z3950._tcp", "naptr NAPTR 100 10 \"u\" \"sip+E2U\" \"!^.*$!sip:a@example!\" .",
		"caa CAA 128 issue \"ca.example; account=1\"", "caa CAA 0 iodef \"mailto:a@example\"",
		"loc LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m",
		"_443._tcp.tlsa TLSA 3 1 1 " + strings.Repeat("ab", 32), "sshfp SSHFP 4 2 " + strings.Repeat("cd", 32),
		"_ftp._tcp URI 10 1 \"ftp://ftp.example/public\"", "_x._udp SRV 0 0 1 .", "_x._udp SRV 1 65535 65535 Target.Example.",
		"mx MX 0 mx", "mx MX 65535 .", "hinfo HINFO \"CPU\" \"OS with space\"", "rp RP mbox.example. txt.example.",
		"afsdb AFSDB 1 afs", "kx KX 1 kx.example.", "eui EUI48 00-11-22-33-44-55", "eui EUI64 00-11-22-33-44-55-66-77",
		"cert CERT 1 2 3 AQIDBA==", "smimea SMIMEA 0 0 0 00", "pgp OPENPGPKEY AQIDBAUG", "dhcid DHCID AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=",
		"ilnp NID 10 0014:4fff:ff20:ee64", "ilnp L32 10 203.0.113.1", "ilnp L64 10 2001:0DB8:1140:1000", "ilnp LP 10 l64.example.",
		"spf SPF \"v=spf1\"", "apl APL 1:203.0.113.0/24 !2:2001:db8::/32", "ipsec TYPE45 \\# 9 0A0102CB0071010102",
		"ptr PTR a.example.", "ptr PTR b.example.", "rt RT 1 relay", "x25 TYPE19 \\# 5 0431323334", "isdn TYPE20 \\# 5 0431323334",
		"txt TXT \"\"", "txt TXT \"a\" \"b\"", "txt TXT \"ab\"",
	}
}

func escapes(string) []string {
	out := []string{
		`a\.b A 203.0.113.1`, `sp\032ace A 203.0.113.2`, `\000 A 203.0.113.3`, `\000\001\002 TXT "nul"`, `\255 A 203.0.113.4`,
		`\200\201\233 A 203.0.113.5`, `\042x A 203.0.113.6`, `at\064 A 203.0.113.7`, `q\"uote A 203.0.113.8`, `semi\;colon A 203.0.113.9`,
		`\(paren\) A 203.0.113.10`, `\$dollar A 203.0.113.11`, `back\\slash A 203.0.113.12`, `\.\.\. A 203.0.113.13`, `tab\009 A 203.0.113.14`,
		`*.wild\.dot A 203.0.113.15`, `_under_score A 203.0.113.16`, `-dash- A 203.0.113.17`, `123 A 203.0.113.18`, `xn--bcher-kva A 203.0.113.19`,
		`alias\032one CNAME a\.b`, `mx MX 1 sp\032ace`, `mx MX 2 \000`, `ns\.name CNAME \200\201\233`, `srv SRV 0 0 1 \255.\000.x`,
		`d\.old DNAME x\.y`, `h.x\.y A 203.0.113.20`, `\127 A 203.0.113.21`, `deep\.er.\000.\255 A 203.0.113.22`,
	}
	var all strings.Builder
	for i := range 250 {
		fmt.Fprintf(&all, "\\%03d", i)
	}
	return append(out, `octets TXT "`+all.String()+`" "\250\251\252\253\254\255"`)
}

// longest is a name of 255 octets in the zone.
func longest(zone string) string {
	left := 255 - wireLen(zone)
	var labels string
	for left > 64 {
		labels += strings.Repeat("l", 63) + "."
		left -= 64
	}
	return strings.Repeat("m", left-1) + "." + labels + zone
}

// deepest is the name in the zone with the most labels.
func deepest(zone string) string {
	return strings.Repeat("d.", (255-wireLen(zone))/2) + zone
}

// wireLen is the length of a name without escapes on the wire.
func wireLen(name string) int { return len(name) + 1 }

func longNames(zone string) []string {
	label := strings.Repeat("x", 63)
	return []string{
		"@ A 203.0.113.1", label + " A 203.0.113.2", label + "." + label + " A 203.0.113.3",
		longest(zone) + " A 203.0.113.4", longest(zone) + " TXT \"full length\"", deepest(zone) + " A 203.0.113.5",
		"to CNAME " + longest(zone), "mx MX 0 " + longest(zone), "todeep CNAME " + deepest(zone),
		"*.w." + label + " TXT \"wild\"", "srv SRV 0 0 0 " + longest(zone),
		"dn DNAME " + label + "." + label + "." + label + "." + zone, // h.dn fits, longer ones do not
		"h." + label + "." + label + "." + label + " A 203.0.113.6",
		"ptr PTR " + deepest(zone),
	}
}

func largeSets(string) []string {
	out := []string{"@ A 203.0.113.1", "alias CNAME a300", "alias64 CNAME txt60000"}
	for _, count := range []int{20, 60, 80, 300, 900} {
		for i := range count {
			out = append(out, fmt.Sprintf("a%d A 10.%d.%d.%d", count, count%250, i/250, i%250))
		}
	}
	for _, count := range []int{30, 120} {
		for i := range count {
			out = append(out, fmt.Sprintf("aaaa%d AAAA 2001:db8::%x", count, i+1))
		}
	}
	for _, size := range []int{900, 1100, 1150, 1180, 1200, 1232, 1400, 1500, 4000, 4096, 16000, 60000} {
		var text strings.Builder
		for left := size; left > 0; left -= 200 {
			fmt.Fprintf(&text, " %q", strings.Repeat("t", min(left, 200)))
		}
		out = append(out, fmt.Sprintf("txt%d TXT%s", size, text.String()))
	}
	for i := range 40 {
		out = append(out, fmt.Sprintf("many TXT \"%d %s\"", i, strings.Repeat("x", 100)), fmt.Sprintf("mx MX %d host%d.with.a.long.name.example.", i, i))
	}
	return out
}

func mixedCase(string) []string {
	return []string{
		"@ A 203.0.113.1", "Upper A 203.0.113.2", "UPPER.lower.MiXeD A 203.0.113.3", "Alias CNAME uPpEr", "alias2 CNAME Plain0.Example.",
		"Mail MX 5 MX.Example.", "*.WILD A 203.0.113.4", "Old DNAME Lower.MiXeD", "Txt TXT \"KeepThisCase\"", "Srv SRV 0 0 0 TARGET.Example.",
		"ptr PTR Host.EXAMPLE.",
	}
}
