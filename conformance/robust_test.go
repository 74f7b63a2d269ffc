package conformance

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/miekg/dns"

	"lastgood/conformance/proxy"
)

// TestAdversity breaks and mends the paths and processes of real servers under
// a running resolver. Its parts follow one another in one world.
func TestAdversity(t *testing.T) {
	binary, s := build(t), seed(t)
	n := newNamespace(t, addrs()...)
	w := makeWorld()
	n.startNSD(w.zones)
	n.startKnot(w.zones)
	named := n.startNamed(w.zones)
	n.startProxies(w, s)
	n.startResolver(binary, n.write("hints", w.hints()))
	c, err := n.client(resolverAt, s)
	if err != nil {
		t.Fatal(err)
	}
	a := &adversity{t: t, n: n, w: w, c: c, named: named}
	a.onlyIPv6()
	a.datagramSizes()
	a.stalledTCP()
	a.selfReferring()
	a.onlyTCP()
	a.load()
	a.restart()
}

type adversity struct {
	t     *testing.T
	n     *namespace
	w     *world
	c     *client
	named *process
}

// want asks and insists on an rcode and a number of records.
func (a *adversity) want(name string, typ uint16, rcode, count int) outcome {
	a.t.Helper()
	o := a.c.ask(question{name: name, typ: typ})
	if o.rcode != rcode || len(o.answers) != count || o.fault != "" {
		a.t.Errorf("%s %s: %s; want %s with %d records", name, dns.Type(typ), o, dns.RcodeToString[rcode], count)
	}
	return o
}

// sent gives the sum of what went through a server's proxies.
func (a *adversity) sent(server string) (sum proxy.Stats) {
	for _, p := range a.w.proxies[server] {
		s := p.Stats()
		sum.Queries += s.Queries
		sum.Connections += s.Connections
		sum.LargestReply = max(sum.LargestReply, s.LargestReply)
		sum.LargestBufferSize = max(sum.LargestBufferSize, s.LargestBufferSize)
	}
	return sum
}

func (a *adversity) set(server string, f proxy.Faults) {
	for _, p := range a.w.proxies[server] {
		p.Set(f)
	}
}

// onlyIPv6 asks for a zone whose only server has only an IPv6 address.
func (a *adversity) onlyIPv6() {
	a.want("h1.six-only.one.", dns.TypeA, dns.RcodeSuccess, 1)
	if a.sent("six").Queries == 0 {
		a.t.Error("nothing was asked over IPv6")
	}
}

// datagramSizes gets answers around and above the size that no path should
// fragment. No server may send more than that over UDP (RFC 9715).
func (a *adversity) datagramSizes() {
	for _, daemon := range []string{"large0.three.", "large1.four.", "large2.example."} {
		for _, size := range []int{900, 1100, 1150, 1180, 1200, 1232, 1400, 1500, 4000, 4096, 16000, 60000} {
			a.want(fmt.Sprintf("txt%d.%s", size, daemon), dns.TypeTXT, dns.RcodeSuccess, 1)
		}
		a.want("a900."+daemon, dns.TypeA, dns.RcodeSuccess, 900)
	}
	for server := range a.w.servers {
		s := a.sent(server)
		if s.LargestReply > offered || s.LargestBufferSize > offered {
			a.t.Errorf("%s was offered %d octets and sent %d", server, s.LargestBufferSize, s.LargestReply)
		}
	}
	largest := map[string]int64{}
	for name, server := range a.w.servers {
		largest[server.daemon] = max(largest[server.daemon], a.sent(name).LargestReply)
	}
	for _, daemon := range []string{"nsd", "knot", "named"} {
		if largest[daemon] < 900 {
			a.t.Errorf("%s sent at most %d octets: the sizes were not tried", daemon, largest[daemon])
		}
	}
}

// stalledTCP asks for a zone of which one server truncates over UDP and stalls
// in the midst of its replies over TCP.
func (a *adversity) stalledTCP() {
	for i := range 12 {
		began := time.Now()
		a.want(fmt.Sprintf("h%d.stalling.one.", i), dns.TypeA, dns.RcodeSuccess, 1)
		if took := time.Since(began); took > 6*time.Second {
			a.t.Errorf("an answer took %v because a server stalled", took)
		}
	}
	if a.sent("stall").Connections == 0 {
		a.t.Error("the stalling server was never tried over TCP")
	}
}

// selfReferring asks for a zone of which one server serves the zone above only,
// and refers to the zone itself.
func (a *adversity) selfReferring() {
	for _, typ := range []uint16{dns.TypeA, dns.TypeMX, dns.TypeTXT, dns.TypeCAA, dns.TypeHTTPS} {
		a.want("self-referring.one.", typ, dns.RcodeSuccess, 1)
	}
	for i := range 12 {
		a.want(fmt.Sprintf("h%d.self-referring.one.", i), dns.TypeAAAA, dns.RcodeSuccess, 1)
	}
	if a.sent("lame").Queries == 0 {
		a.t.Error("the lame server was never asked")
	}
}

// onlyTCP blocks UDP on the way to the only server of a zone, which goes on
// answering over TCP. Silence over UDP is silence (docs/divergences.md); it ends
// soon after UDP is back.
func (a *adversity) onlyTCP() {
	a.want("h0.slow.one.", dns.TypeA, dns.RcodeSuccess, 1)
	a.set("slow", proxy.Faults{DropUDP: true})
	began := time.Now()
	o := a.c.ask(question{name: "h1.slow.one.", typ: dns.TypeA})
	took := time.Since(began)
	a.t.Logf("UDP blocked: %s after %v, over %d connections", o, took.Round(time.Millisecond), a.sent("slow").Connections)
	if o.rcode == silence || took > 11*time.Second {
		a.t.Errorf("%s after %v", o, took)
	}
	a.set("slow", a.w.servers["slow"].faults)
	a.recovers("w", "slow.one.")
}

// recovers asks for one name after the other beneath zone until one is
// answered, for at most ten seconds.
func (a *adversity) recovers(below, zone string) {
	a.t.Helper()
	began := time.Now()
	for i := 0; ; i++ {
		o := a.c.ask(question{name: fmt.Sprintf("after%d.%s.%s", i, below, zone), typ: dns.TypeA})
		took := time.Since(began)
		if !o.failed() {
			a.t.Logf("%s answers again after %v, at question %d", zone, took.Round(time.Millisecond), i+1)
			return
		}
		if took > 10*time.Second {
			a.t.Fatalf("%s: still %s after %v", zone, o, took)
		}
		<-time.After(20 * time.Millisecond) // as clients come, not as a flood
	}
}

var (
	completed = regexp.MustCompile(`Queries completed: +(\d+)`)
	lost      = regexp.MustCompile(`Queries lost: +(\d+)`)
	sentAll   = regexp.MustCompile(`Queries sent: +(\d+)`)
)

// load runs dnsperf over names that are not cached, half of them in a zone of
// which one server has just died. Every question must be answered.
func (a *adversity) load() {
	a.set("nsd1", proxy.Faults{DropUDP: true, DropTCP: true})
	defer a.set("nsd1", a.w.servers["nsd1"].faults)
	const questions = 4000
	var list []byte
	for i := range questions / 2 {
		list = fmt.Appendf(list, "q%d.w.wild0.one. A\nh%d.plain1.one. AAAA\n", i, i%12)
	}
	file := a.n.write("dnsperf.txt", string(list))
	out := a.n.run("dnsperf", "-s", resolverHost, "-p", resolverPort, "-d", file, "-n", "1", "-c", "4", "-q", "100", "-t", "12", "-Q", "1000")
	number := func(re *regexp.Regexp) int {
		m := re.FindStringSubmatch(out)
		if m == nil {
			a.t.Fatalf("no %s in what dnsperf said:\n%s", re, out)
		}
		v, _ := strconv.Atoi(m[1])
		return v
	}
	if number(sentAll) != questions || number(completed) != questions || number(lost) != 0 {
		a.t.Errorf("dnsperf lost replies:\n%s", out)
	}
	if !regexp.MustCompile(`Response codes: +NOERROR 4000 \(100\.00%\)`).MatchString(out) {
		a.t.Errorf("not every reply is NOERROR:\n%s", out)
	}
}

// restart kills an authority, sees the failure told and others unharmed, and
// measures how soon after its return names are answered again.
func (a *adversity) restart() {
	a.want("before.w.wild2.three.", dns.TypeA, dns.RcodeSuccess, 1)
	a.named.kill()
	began := time.Now()
	a.want("during.w.wild2.three.", dns.TypeA, dns.RcodeServerFailure, 0)
	if took := time.Since(began); took > 11*time.Second {
		a.t.Errorf("the failure took %v", took)
	}
	a.want("before.w.wild2.three.", dns.TypeA, dns.RcodeSuccess, 1) // from the cache
	a.want("during.w.wild0.one.", dns.TypeA, dns.RcodeSuccess, 1)   // other servers
	a.want("h11.every.four.", dns.TypeTXT, dns.RcodeSuccess, 0)     // two servers of three
	a.n.startNamed(a.w.zones)
	a.recovers("w", "wild2.three.")
	a.want("afterwards.w.wild2.three.", dns.TypeA, dns.RcodeSuccess, 1)
}
