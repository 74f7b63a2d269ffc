package resolver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"lastgood/internal/anchor"
	"lastgood/internal/authority"
	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
	"lastgood/internal/ede"
	"lastgood/internal/event"
	"lastgood/internal/infra"
	"lastgood/internal/iterator"
	"lastgood/internal/rrset"
	"lastgood/internal/stale"
	"lastgood/internal/validator"
	"lastgood/internal/wire"
)

// signedZone is a resolver with all that it needs, and the signed zone z., whose
// server is the truth.
type signedZone struct {
	t      testing.TB
	r      *Resolver
	v      *validator.Validator
	server *authority.Server
	asked  int
	mute   bool // it does not answer
	cache  *cache.Cache
	infra  *infra.Infra
	clock  *clock.Clock
}

var lenientPolicy = dnssec.Policy{SHA1: true, Iterations: 50, Refused: 500} // constant in effect

func newSignedZone(t testing.TB, zone string, words ...string) *signedZone {
	return newSignedZoneWith(t, nil, zone, words...)
}

func newSignedZoneWith(t testing.TB, change func(*Options), zone string, words ...string) *signedZone {
	t.Helper()
	w := &signedZone{t: t, clock: clock.New(), server: authority.NewServer(authority.Options{})}
	ds := w.sign(zone, words...)
	anchors, err := anchor.Parse("test", ds, w.clock.Wall())
	if err != nil {
		t.Fatal(err)
	}
	w.v = validator.New(validator.Options{Grounds: anchor.NewTable(anchors, nil), Clock: w.clock, Policy: lenientPolicy})
	staleRules := stale.NewRules(stale.Policy{Enabled: true, ClientTimeout: time.Second, Max: 24 * time.Hour, Negative: time.Hour, AnswerTTL: 30 * time.Second}, nil, nil)
	w.cache = cache.New(cache.Options{Size: 4 << 20, Seed: 1, Ranges: true, Stale: staleRules})
	w.infra = infra.New(infra.Options{Rand: rand.New(rand.NewPCG(1, 1)), IPv4: true})
	o := Options{
		Cache: w.cache, Clock: w.clock, Health: w.infra, Validator: w.v, Aggressive: &lenientPolicy,
		Work: dnssec.Limits{Signatures: 64, PerSet: 8, PerTag: 4, Keys: 32, Hashes: 256},
		NewIterator: func(fl iterator.Flights) Iterator {
			return iterator.New(iterator.Options{
				Cache: w.cache, Infra: w.infra, Exchanger: w, Flights: fl, Clock: w.clock, Rand: rand.New(rand.NewPCG(2, 1)), DNSSEC: true, IPv4: true,
				Minimise: iterator.Off, Zones: []iterator.Zone{{Name: name("z."), Servers: []iterator.Target{{Addr: netip.MustParseAddrPort("192.0.2.1:53")}}}},
				Limits: iterator.Limits{Records: 500, CNAMEHops: 11, Depth: 4, Referrals: 30, NSLookups: 5, LookupsTotal: 20, PerZone: 200},
			})
		},
		Deadline: 10 * time.Second, UpstreamQueries: 50, ReplyBytes: 1 << 20, CNAMEHops: 11, Depth: 4, Flights: 1000, Minimal: true,
		Stale: staleRules,
	}
	if change != nil {
		change(&o)
	}
	w.r = New(o)
	t.Cleanup(w.r.Close)
	return w
}

// sign makes the server's zone, and gives the DS records of its keys.
func (w *signedZone) sign(zone string, words ...string) (ds string) {
	w.t.Helper()
	z, err := authority.ParseZone("z.", "test", strings.NewReader("z. 3600 SOA ns.z. admin.z. 1 7200 900 1209600 600\nz. 3600 NS ns.z.\nns.z. 3600 A 192.0.2.1\n"+zone))
	if err != nil {
		w.t.Fatal(err)
	}
	plan, err := authority.ParsePlan(name("z."), words)
	if err != nil {
		w.t.Fatal(err)
	}
	if z, err = plan.Sign(z, w.clock.Wall()); err != nil {
		w.t.Fatal(err)
	}
	w.server.SetZone(z)
	records, err := plan.DS()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range records {
		ds += r.String() + "\n"
	}
	return ds
}

// Exchange asks the server.
func (w *signedZone) Exchange(_ context.Context, q iterator.Query) (iterator.Reply, error) {
	now := w.clock.Now()
	if w.infra.Sent(now, q.Server); w.mute || q.Server.Addr() != netip.MustParseAddr("192.0.2.1") {
		return iterator.Reply{}, errors.New("no such server")
	}
	w.asked++
	w.infra.Answered(now, q.Server, 0)
	v, err := wire.Read(w.says(q.Name, q.Type))
	return iterator.Reply{View: v, At: now}, err
}

// says is what the server says.
func (w *signedZone) says(name dnsname.Name, t wire.Type) []byte {
	m := new(dns.Msg).SetQuestion(name.String(), uint16(t))
	m.SetEdns0(4096, true)
	m.RecursionDesired = false
	b, err := m.Pack()
	if err != nil {
		w.t.Fatal(err)
	}
	return w.server.Handle(b, event.TCP, netip.AddrPort{}, nil).Reply
}

func (w *signedZone) ask(name dnsname.Name, t wire.Type) *Answer {
	return w.r.Resolve(context.Background(), Query{Name: name, Type: t, RD: true, DO: true, Arrival: w.clock.Now()})
}

func (w *signedZone) made() uint64 {
	s := w.r.Stats()
	return s.SynthesisedNames + s.SynthesisedTypes + s.SynthesisedStars
}

// Fetch gets a link of the chain of trust for a second judgement.
func (w *signedZone) Fetch(_ context.Context, zone dnsname.Name, t wire.Type) (cache.Entry, bool, *ede.Error) {
	a := w.ask(zone, t)
	if len(a.Chain) == 0 {
		return cache.Entry{}, false, a.Errors[0]
	}
	return a.Chain[0].Entry, false, nil
}

// check holds an answer that is no failure against the truth, a hop at a time: the
// zone says the same of the hop's name, and whoever gets the hop can verify it.
func (w *signedZone) check(at string, a *Answer, t wire.Type) {
	w.t.Helper()
	for i := range a.Chain {
		h := &a.Chain[i]
		asked := h.Entry.Name
		if h.Alias != "" {
			asked = h.Alias
		}
		truth := new(dns.Msg)
		if err := truth.Unpack(w.says(asked, t)); err != nil {
			w.t.Fatal(err)
		}
		if got, want := w.hopText(&h.Entry), truthText(truth, &h.Entry, asked); got != want {
			w.t.Errorf("%s: hop %s: %s, the zone says %s", at, asked, got, want)
		}
		again := []cache.Entry{h.Entry}
		again[0].Security = rrset.Unchecked
		if v := w.v.Judge(context.Background(), w, event.Question{Name: a.Chain[0].Entry.Name, Type: t}, again, dnssec.NewBudget(dnssec.Limits{Signatures: 64, PerSet: 8, PerTag: 4, Keys: 32, Hashes: 256})); v.Good != 1 || again[0].Security != h.Entry.Security {
			w.t.Errorf("%s: hop %s is %v, judged again %v: %v", at, asked, h.Entry.Security, again[0].Security, v.Failure)
		}
	}
}

func (w *signedZone) hopText(e *cache.Entry) string {
	switch e.Kind {
	case cache.NXDomain:
		return "NXDOMAIN"
	case cache.NoData:
		return "NODATA"
	}
	return fmt.Sprintf("%s %x", e.Type, rrset.Canonical(e.Type, e.Set.Data))
}

// truthText is what a reply says of a name.
func truthText(m *dns.Msg, e *cache.Entry, asked dnsname.Name) string {
	data := map[uint16]rrset.Packed{}
	for _, rr := range m.Answer {
		owner := dnsname.MustParse(strings.ToLower(rr.Header().Name))
		if owner != asked && (rr.Header().Rrtype != dns.TypeDNAME || owner != e.Name) {
			continue
		}
		b := make([]byte, 65536)
		n, err := dns.PackRR(rr, b, 0, nil, false)
		if err != nil {
			return err.Error()
		}
		_, off, _ := dns.UnpackDomainName(b[:n], 0)
		data[rr.Header().Rrtype] = data[rr.Header().Rrtype].Append(bytes.Clone(b[off+10 : n]))
	}
	if set, ok := data[uint16(e.Type)]; ok && e.Kind == cache.Data {
		return fmt.Sprintf("%s %x", e.Type, rrset.Canonical(e.Type, set))
	}
	switch {
	case len(m.Answer) > 0:
		return fmt.Sprintf("%v", m.Answer)
	case m.Rcode == dns.RcodeNameError:
		return "NXDOMAIN"
	case m.Rcode == dns.RcodeSuccess && m.Authoritative:
		return "NODATA"
	}
	return "a referral, or nothing"
}

// randomZone is the text of one whose names are near to one another.
func randomZone(r *rand.Rand) string {
	var b strings.Builder
	top := map[string]bool{} // names that nothing may stand beside or below
	for range 2 + r.IntN(12) {
		n := randomName(r)
		above := false
		for up := n; up != "z."; _, up, _ = strings.Cut(up, ".") {
			above = above || top[up]
		}
		if above || n == "z." || strings.Contains(b.String(), " "+n) || strings.Contains(b.String(), "."+n) {
			continue
		}
		fmt.Fprintf(&b, "; %s\n", n)
		switch r.IntN(9) {
		case 0:
			fmt.Fprintf(&b, "%s 300 NS ns.%s\n%s 300 DS 1 13 2 %064d\n", n, n, n, 1)
			top[n] = true
		case 1:
			fmt.Fprintf(&b, "%s 300 NS ns.%s\n", n, n)
			top[n] = true
		case 2:
			fmt.Fprintf(&b, "%s 300 DNAME b.z.\n", n)
			top[n] = true
		case 3, 4:
			fmt.Fprintf(&b, "%s 300 CNAME %s\n", n, randomName(r))
		default:
			fmt.Fprintf(&b, "%s 300 A 192.0.2.%d\n%s 200 TXT x\n", n, r.IntN(200), n)
		}
	}
	return b.String()
}

// randomName has up to three labels below z.
func randomName(r *rand.Rand) string {
	n := "z."
	for range r.IntN(4) {
		n = []string{"a", "b", "c", "ab", "*", "ba"}[r.IntN(6)] + "." + n
	}
	return n
}

// TestSynthesisAgainstTheTruth asks resolvers of random signed zones random
// questions, half of them again after they have expired. Whatever they answer, from
// what they have or from the zone, the zone says the same now.
func TestSynthesisAgainstTheTruth(t *testing.T) {
	types := []wire.Type{wire.TypeA, wire.TypeTXT, wire.TypeDS, wire.TypeCNAME, wire.TypeNS, wire.TypeMX}
	plans := [][]string{{}, {"nsec3=0"}, {"nsec3=3:c0ffee"}, {"nsec3=1", "opt-out"}}
	count := map[string]int{}
	for seed := range uint64(50) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			plan := plans[r.IntN(len(plans))]
			zone := randomZone(r)
			w := newSignedZone(t, zone, plan...)
			for i := range 60 {
				name, typ := name(randomName(r)), types[r.IntN(len(types))]
				before := w.made()
				asked := w.asked
				a := w.ask(name, typ)
				if len(a.Chain) == 0 {
					count["failed"]++ // beneath a cut, or an alias to there
					continue
				}
				at := fmt.Sprintf("zone %d %v, question %d: %s %s\n%s", seed, plan, i, name, typ, zone)
				if w.check(at, a, typ); t.Failed() {
					t.FailNow()
				}
				if w.made() > before {
					count[strings.Join(plan, " ")+" "+a.Rcode.String()]++
					if w.asked == asked {
						count["alone"]++
					}
				}
				if r.IntN(30) == 0 {
					time.Sleep(time.Duration(r.IntN(400)) * time.Second)
				}
			}
		})
		if t.Failed() {
			return
		}
	}
	t.Log(count)
	for _, what := range []string{" NOERROR", " NXDOMAIN", "nsec3=0 NXDOMAIN", "nsec3=3:c0ffee NOERROR", "alone"} {
		if count[what] < 50 {
			t.Errorf("only %d of %q", count[what], what)
		}
	}
}
