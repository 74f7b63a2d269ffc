package authority

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"lastgood/internal/dnsname"
	"lastgood/internal/event"
)

var client = netip.MustParseAddrPort("198.51.100.7:5353")

func testZone(t testing.TB, origin string) *Zone {
	t.Helper()
	file := "testdata/" + origin + ".zone"
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := ParseZone(origin, file, f)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func testServer(t testing.TB, o Options) *Server {
	s := NewServer(o)
	s.SetZone(testZone(t, "example.com"))
	return s
}

// ask puts "name type [do] [edns] [tcp]" to a server; the reply is parsed by
// the library that other projects use.
func ask(t testing.TB, s *Server, question string) *dns.Msg {
	t.Helper()
	re, _ := react(t, s, question)
	if re.Reply == nil {
		t.Fatalf("%s: no reply", question)
	}
	m := new(dns.Msg)
	if err := m.Unpack(re.Reply); err != nil {
		t.Fatalf("%s: %v in % x", question, err, re.Reply)
	}
	return m
}

func react(t testing.TB, s *Server, question string) (Reaction, *dns.Msg) {
	t.Helper()
	words := strings.Fields(question)
	q := new(dns.Msg)
	q.SetQuestion(words[0], dns.StringToType[words[1]])
	q.Id, q.RecursionDesired = 4711, false
	transport := event.UDP
	for _, w := range words[2:] {
		switch w {
		case "edns":
			q.SetEdns0(4096, false)
		case "do":
			q.SetEdns0(4096, true)
		case "tcp":
			transport = event.TCP
		}
	}
	packed, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return s.Handle(packed, transport, client, nil), q
}

// sketch is a reply in one string: rcode and flags, then each section's records.
func sketch(m *dns.Msg) string {
	var b strings.Builder
	b.WriteString(dns.RcodeToString[m.Rcode])
	if m.Authoritative {
		b.WriteString(" aa")
	}
	if m.Truncated {
		b.WriteString(" tc")
	}
	for _, section := range []struct {
		name string
		rrs  []dns.RR
	}{{"an", m.Answer}, {"ns", m.Ns}, {"ar", m.Extra}} {
		for _, rr := range section.rrs {
			if rr.Header().Rrtype == dns.TypeOPT {
				continue
			}
			text := strings.ReplaceAll(rr.String(), "\tIN\t", "\t")
			fmt.Fprintf(&b, "\n%s %s", section.name, strings.ReplaceAll(text, "\t", " "))
		}
	}
	return b.String()
}

const soa = "ns example.com. 300 SOA ns1.example.com. admin.example.com. 1 7200 900 1209600 300"

func TestLookup(t *testing.T) {
	s := testServer(t, Options{Minimal: true})
	subReferral := `
ns sub.example.com. 3600 NS ns.sub.example.com.
ns sub.example.com. 3600 NS ns1.example.com.
ns sub.example.com. 3600 NS ns.other.example.
ar ns.sub.example.com. 3600 A 192.0.2.53
ar ns1.example.com. 3600 A 192.0.2.1
ar ns1.example.com. 3600 AAAA 2001:db8::1`
	www := `
an www.example.com. 60 A 192.0.2.10
an www.example.com. 60 A 192.0.2.11`
	for question, want := range map[string]string{
		"www.example.com. A":         "NOERROR aa" + www,
		"www.example.com. AAAA":      "NOERROR aa\n" + soa,
		"www.example.com. ANY":       "NOERROR aa" + www + "\nan www.example.com. 3600 CLASS1 TYPE65280 \\# 3 0a0b0c",
		"nope.example.com. A":        "NXDOMAIN aa\n" + soa,
		"a.b.c.nope.example.com. A":  "NXDOMAIN aa\n" + soa,
		"empty.example.com. A":       "NOERROR aa\n" + soa,
		"a1.example.com. A":          "NOERROR aa\nan a1.example.com. 3600 CNAME a2.example.com.\nan a2.example.com. 3600 CNAME www.example.com." + www,
		"a1.example.com. CNAME":      "NOERROR aa\nan a1.example.com. 3600 CNAME a2.example.com.",
		"a1.example.com. ANY":        "NOERROR aa\nan a1.example.com. 3600 CNAME a2.example.com.",
		"out.example.com. A":         "NOERROR aa\nan out.example.com. 3600 CNAME www.example.net.",
		"nowhere.example.com. A":     "NXDOMAIN aa\nan nowhere.example.com. 3600 CNAME missing.example.com.\n" + soa,
		"a1.example.com. MX":         "NOERROR aa\nan a1.example.com. 3600 CNAME a2.example.com.\nan a2.example.com. 3600 CNAME www.example.com.\n" + soa,
		"across.example.com. A":      "NOERROR aa\nan across.example.com. 3600 CNAME www.sub.example.com." + subReferral,
		"x.wild.example.com. A":      "NOERROR aa\nan x.wild.example.com. 3600 A 192.0.2.77",
		"x.y.wild.example.com. A":    "NOERROR aa\nan x.y.wild.example.com. 3600 A 192.0.2.77",
		"x.wild.example.com. MX":     "NOERROR aa\n" + soa,
		"*.wild.example.com. A":      "NOERROR aa\nan *.wild.example.com. 3600 A 192.0.2.77",
		"wild.example.com. A":        "NOERROR aa\n" + soa,
		"host.wild.example.com. TXT": "NOERROR aa\n" + soa,
		"b.host.wild.example.com. A": "NXDOMAIN aa\n" + soa, // RFC 4592 §2.2.1: host.wild is the closest encloser
		"x.cwild.example.com. A":     "NOERROR aa\nan x.cwild.example.com. 3600 CNAME www.example.com." + www,
		"www.old.example.com. A":     "NOERROR aa\nan old.example.com. 3600 DNAME example.net.\nan www.old.example.com. 3600 CNAME www.example.net.",
		"old.example.com. DNAME":     "NOERROR aa\nan old.example.com. 3600 DNAME example.net.",
		"old.example.com. A":         "NOERROR aa\n" + soa,
		"x.here.example.com. A":      "NOERROR aa\nan here.example.com. 3600 DNAME wild.example.com.\nan x.here.example.com. 3600 CNAME x.wild.example.com.\nan x.wild.example.com. 3600 A 192.0.2.77",
		"sub.example.com. A":         "NOERROR" + subReferral,
		"www.sub.example.com. A":     "NOERROR" + subReferral,
		"ns.sub.example.com. A":      "NOERROR" + subReferral,
		"x.deep.sub.example.com. A":  "NOERROR" + subReferral,
		"sub.example.com. DS":        "NOERROR aa\n" + soa,
		"www.sub.example.com. DS":    "NOERROR" + subReferral,
		"signed.example.com. DS":     "NOERROR aa\nan signed.example.com. 3600 DS 12345 15 2 0000000000000000000000000000000000000000000000000000000000000000",
		"example.com. SOA":           strings.Replace("NOERROR aa\n"+soa, "ns example.com. 300", "an example.com. 3600", 1),
		"example.com. MX":            "NOERROR aa\nan example.com. 3600 MX 10 mail.example.com.\nar mail.example.com. 3600 A 192.0.2.25",
		"example.net. A":             "REFUSED",
		"com. NS":                    "REFUSED",
		"www.example.com. AXFR":      "REFUSED",
	} {
		if got := sketch(ask(t, s, question)); got != want {
			t.Errorf("%s\n got %s\nwant %s", question, got, want)
		}
	}
}

// A circle of aliases ends, each of them told often enough.
func TestAliasCircle(t *testing.T) {
	m := ask(t, testServer(t, Options{Minimal: true}), "circle.example.com. A tcp")
	if len(m.Answer) == 0 || len(m.Answer) > maxChain {
		t.Errorf("%d records", len(m.Answer))
	}
}

func TestDNAMETooLong(t *testing.T) {
	label := strings.Repeat("x", 63)
	z, err := ParseZone("example.", "long", strings.NewReader(
		"@ SOA ns admin 1 1 1 1 1\n@ NS ns\nd DNAME "+strings.Repeat(label+".", 3)+"example.\n"))
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(Options{Minimal: true})
	s.SetZone(z)
	if got := sketch(ask(t, s, label+".d.example. A")); !strings.HasPrefix(got, "YXDOMAIN aa\nan d.example.") {
		t.Error(got)
	}
}

func TestVerboseAnswerNamesServers(t *testing.T) {
	got := sketch(ask(t, testServer(t, Options{}), "mail.example.com. A"))
	want := `NOERROR aa
an mail.example.com. 3600 A 192.0.2.25
ns example.com. 3600 NS ns1.example.com.
ns example.com. 3600 NS ns.example.net.
ar ns1.example.com. 3600 A 192.0.2.1
ar ns1.example.com. 3600 AAAA 2001:db8::1`
	if got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

// Parent and child on one server: each question goes to the zone it is for.
func TestClosestZone(t *testing.T) {
	s := testServer(t, Options{Minimal: true})
	z, err := ParseZone("sub.example.com", "sub", strings.NewReader(
		"@ 60 SOA ns admin 9 1 1 1 30\n@ 60 NS ns\nns 60 A 192.0.2.53\nwww 60 A 192.0.2.80\n"))
	if err != nil {
		t.Fatal(err)
	}
	s.SetZone(z)
	for question, want := range map[string]string{
		"www.sub.example.com. A": "NOERROR aa\nan www.sub.example.com. 60 A 192.0.2.80",
		"sub.example.com. DS":    "NOERROR aa\n" + soa,
		"mail.example.com. A":    "NOERROR aa\nan mail.example.com. 3600 A 192.0.2.25",
	} {
		if got := sketch(ask(t, s, question)); got != want {
			t.Errorf("%s\n got %s\nwant %s", question, got, want)
		}
	}
	s.RemoveZone(dnsname.MustParse("sub.example.com"))
	if m := ask(t, s, "www.sub.example.com. A"); len(m.Answer) != 0 || m.Authoritative {
		t.Error("zone is still answered from after its removal")
	}
}

func TestReplaceZone(t *testing.T) {
	s := NewServer(Options{Minimal: true})
	for i := range 3 {
		z, err := ParseZone("example.", "z", strings.NewReader(fmt.Sprintf("@ SOA ns admin %d 1 1 1 1\nwww A 192.0.2.%d\n", i, i)))
		if err != nil {
			t.Fatal(err)
		}
		s.SetZone(z)
		want := fmt.Sprintf("NOERROR aa\nan www.example. 3600 A 192.0.2.%d", i)
		if got := sketch(ask(t, s, "www.example. A")); got != want || s.Zone(z.Origin()).Serial() != uint32(i) {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
}

func TestParseErrorsNameTheLine(t *testing.T) {
	soa := "@ SOA ns admin 1 1 1 1 1\n"
	for _, c := range []struct{ text, want string }{
		{soa + "\n; comment\nwww A 192.0.2.300\n", "f:4: bad A"},
		{soa + "a TXT (\n \"x\"\n \"y\" )\nwww.example.net. A 192.0.2.1\n", "f:5: www.example.net. lies outside"},
		{soa + "sub SOA ns admin 1 1 1 1 1\n", "f:2: SOA at sub.example.com."},
		{"www A 192.0.2.1\n", "f:1: zone example.com.: no SOA"},
		{soa + "www CH A 192.0.2.1\n", "f:2: "},
		{soa + "www NOSUCH x", "f:2: "},
		{soa + "$INCLUDE /dev/null\n", "f:2: "},
		{soa + "www A 192.0.2.1\nx A", "f:3: "},
		{soa + "www A 192.0.2.1\nx.example.net. A 192.0.2.1", "f:3: x.example.net. lies"},
	} {
		_, err := ParseZone("example.com", "f", strings.NewReader(c.text))
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %s…", c.text, err, c.want)
		}
	}
}

func TestCheck(t *testing.T) {
	if err := testZone(t, "example.com").Check(); err != nil {
		t.Errorf("good zone: %v", err)
	}
	bad, err := ParseZone("example.", "bad", strings.NewReader(
		"@ SOA ns admin 1 1 1 1 1\na CNAME b\na A 192.0.2.1\nd DNAME e\nx.d A 192.0.2.1\nsub NS ns.sub\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"no NS", "a.example. has a CNAME beside", "x.d.example. lies below the DNAME", "delegation of sub.example. to ns.sub.example. without glue"} {
		if err := bad.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Check says %v, not %q", err, want)
		}
	}
}

func TestRecordsComeBack(t *testing.T) {
	z := testZone(t, "example.com")
	var text strings.Builder
	for _, r := range z.Records() {
		fmt.Fprintln(&text, r)
	}
	again, err := ParseZone("example.com", "again", strings.NewReader(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range again.Records() {
		if w := z.records[i]; r.Name != w.Name || r.Type != w.Type || r.TTL != w.TTL || string(r.Data) != string(w.Data) {
			t.Errorf("%v came back as %v", w, r)
		}
	}
}
