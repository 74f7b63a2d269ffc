package scenario

import (
	"context"
	"encoding/csv"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/app"
	"lastgood/internal/authority"
	"lastgood/internal/cache"
	"lastgood/internal/config"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/event"
	"lastgood/internal/resolver"
	"lastgood/internal/simauth"
	"lastgood/internal/simnet"
	"lastgood/internal/wire"
)

// A top-level domain signs its zone with a key that it does not publish, from 19:30
// to 22:17, as .de did on 5 May 2026: each referral to a zone beneath, signed or
// not, is bogus, and so is each denial.
const (
	incidentZones = 2000
	incidentRate  = 2.0 // questions a second
	incidentBegin = 13*time.Hour + 30*time.Minute
	incidentBreak = 19*time.Hour + 30*time.Minute
	incidentNTA   = incidentBreak + 20*time.Minute
	incidentMend  = 22*time.Hour + 17*time.Minute
	incidentEnd   = 24 * time.Hour
	incidentBin   = 10 * time.Minute
	hosters       = 4
)

// incidentTTLs are those of the names, a quarter each.
var incidentTTLs = [...]int{60, 300, 3600, 86400}

// incident is one evening, with one configuration.
type incident struct {
	t     *testing.T
	rand  *rand.Rand
	began time.Time // 13:30
	app   *app.App
	tld   *simauth.Server
	plan  *authority.Plan
	plain *authority.Zone // of the top-level domain
	asks  sync.WaitGroup

	mu        sync.Mutex
	known     map[string]bool // names that were answered before it broke
	bins      map[time.Duration]*incidentBinned
	suggested []string // commands that would end it, until somebody might give one
}

// incidentBinned counts the questions of a span of the evening.
type incidentBinned struct {
	asked, good           int // all
	knownAsked, knownGood int // of names that were answered before it broke
	stale, secure         int
}

func (i *incident) now() time.Duration { return incidentBegin + time.Since(i.began) }

// TestIncident replays the evening with and without stale answers, and with and
// without the negative trust anchor that the program suggests, twenty minutes in.
// With INCIDENT_CSV=DIR it leaves the course of each as DIR/NAME.csv.
func TestIncident(t *testing.T) {
	heavy(t)
	for _, v := range []struct {
		name       string
		stale, nta bool
	}{{"stale", true, false}, {"stale-nta", true, true}, {"plain", false, false}, {"plain-nta", false, true}} {
		t.Run(v.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i := newIncident(t, v.stale)
				i.play(v.nta)
				i.judge(v.stale, v.nta)
				i.write(v.name)
			})
		})
	}
}

// judge holds what clients saw against what they may expect.
func (i *incident) judge(stale, nta bool) {
	before := i.span(incidentBreak-2*time.Hour, incidentBreak)
	during := i.span(incidentBreak, incidentMend)
	after := i.span(incidentMend+10*time.Minute, incidentEnd)
	ended := i.span(incidentNTA+incidentBin, incidentMend)
	i.t.Logf("good answers for names known before: %.2f %% before, %.2f %% while it was broken; all: %.2f %%, %.2f %%, %.2f %% after; stale %.1f %%; last two hours %.2f %%",
		before.known(), during.known(), before.all(), during.all(), after.all(), 100*float64(during.stale)/float64(during.asked), ended.all())
	if before.all() < 99.9 || after.all() < 99.9 || after.stale > 0 || before.secure == 0 || after.secure == 0 {
		i.t.Errorf("before it broke, and after, all is well: %+v, %+v", before, after)
	}
	if want := []string{`lastgood nta add tld. --for 2h --reason "dnskey missing"`}; !slices.Equal(i.suggested, want) {
		i.t.Errorf("suggested by 19:50: %q, want %q", i.suggested, want)
	}
	switch {
	case stale && during.known() < 0.99*before.known():
		i.t.Errorf("of names known before, %.2f %% were answered", during.known())
	case !stale && !nta && during.known() > 90:
		i.t.Errorf("%.2f %% without stale answers: nothing was broken", during.known())
	}
	if nta && ended.all() < 99.9 {
		i.t.Errorf("%.2f %% answered after the negative trust anchor", ended.all())
	}
	if nta && ended.secure > 0 {
		i.t.Errorf("%d answers are said to be authentic under the negative trust anchor", ended.secure)
	}
}

func (b *incidentBinned) known() float64 { return 100 * float64(b.knownGood) / float64(b.knownAsked) }
func (b *incidentBinned) all() float64   { return 100 * float64(b.good) / float64(b.asked) }

// span adds up the bins that begin in a span.
func (i *incident) span(from, until time.Duration) *incidentBinned {
	sum := new(incidentBinned)
	for at, b := range i.bins {
		if at >= from && at+incidentBin <= until {
			sum.asked += b.asked
			sum.good += b.good
			sum.knownAsked += b.knownAsked
			sum.knownGood += b.knownGood
			sum.stale += b.stale
			sum.secure += b.secure
		}
	}
	return sum
}

// newIncident builds the world and starts the app.
func newIncident(t *testing.T, stale bool) *incident {
	i := &incident{t: t, rand: rand.New(rand.NewPCG(1, 9)), began: time.Now(), known: map[string]bool{}, bins: map[time.Duration]*incidentBinned{}}
	net := simnet.New(simnet.Options{Seed: 1, Queue: 1 << 15})
	sim := simauth.New(t, net)
	host := net.Host(resolver4)
	link := simnet.Link{Latency: defaultLatency}
	serve := func(name, addr string) *simauth.Server {
		s := sim.Add(name, addr)
		net.SetLinks(host, s.Host(), link)
		return s
	}
	var beneath []*simauth.Server
	for n := range hosters {
		beneath = append(beneath, serve(fmt.Sprintf("ns%d.hoster.", n), fmt.Sprintf("192.0.2.%d", 60+n)))
	}
	root, rootPlan := serve("a.root.", rootServer[1]), i.planned(".")
	i.tld, i.plan = serve("ns.tld.", "192.0.2.50"), i.planned("tld.", "nsec3=0", "opt-out")
	i.plain = i.registry(beneath)
	i.sign(i.tld, i.plan)
	ds, err := i.plan.DS()
	i.check(err)
	top := i.zone(".", soaOf(300)+". 86400 NS a.root.\na.root. 86400 A "+rootServer[1]+"\ntld. 86400 NS ns.tld.\nns.tld. 86400 A 192.0.2.50\n", ds)
	signed, err := rootPlan.Sign(top, time.Now())
	i.check(err)
	root.SetZone(signed)
	anchors, err := rootPlan.DS()
	i.check(err)
	cfg, err := config.Parse("incident", fmt.Appendf(nil, "stale: {enabled: %v}\n", stale))
	i.check(err)
	cfg.Listen = []config.Endpoint{{Scheme: "dns", Addr: netip.AddrPortFrom(resolver4, 53)}}
	for _, r := range anchors {
		cfg.DNSSEC.TrustAnchors = append(cfg.DNSSEC.TrustAnchors, r.String())
	}
	i.app, err = app.New(app.Options{
		Config: cfg, Log: slog.New(slog.DiscardHandler), Events: i.hear, Upstream: host, Listen: host, Seed: 1,
		Hints: []cache.NameServer{{Name: dnsname.MustParse("a.root."), Addrs: []netip.Addr{netip.MustParseAddr(rootServer[1])}}},
	})
	i.check(err)
	i.check(i.app.Start())
	t.Cleanup(net.Close)
	return i
}

func (i *incident) check(err error) {
	i.t.Helper()
	if err != nil {
		i.t.Fatal(err)
	}
}

func (i *incident) planned(zone string, words ...string) *authority.Plan {
	plan, err := authority.ParsePlan(dnsname.MustParse(zone), words)
	i.check(err)
	return plan
}

func (i *incident) zone(origin, text string, more []authority.Record) *authority.Zone {
	z, err := authority.ParseZone(origin, origin, strings.NewReader(text))
	i.check(err)
	z, err = authority.NewZone(z.Origin(), append(z.Records(), more...))
	i.check(err)
	return z
}

func soaOf(minimum int) string {
	return fmt.Sprintf("@ 3600 SOA ns. admin. 1 7200 900 1209600 %d\n", minimum)
}

// registry makes the top-level domain's zone and those beneath, every third of
// which is signed.
func (i *incident) registry(beneath []*simauth.Server) *authority.Zone {
	var text strings.Builder
	var all []authority.Record
	text.WriteString(soaOf(7200) + "@ 86400 NS ns\nns 86400 A 192.0.2.50\n")
	for n := range incidentZones {
		zone, at := fmt.Sprintf("d%d.tld.", n), n%hosters
		servers := fmt.Sprintf("%s 86400 NS ns.%s\nns.%s 86400 A 192.0.2.%d\n", zone, zone, zone, 60+at)
		text.WriteString(servers)
		z := i.zone(zone, soaOf(300)+servers+fmt.Sprintf("www %d A 192.0.2.80\n* 300 A 192.0.2.81\n", incidentTTLs[n/hosters%len(incidentTTLs)]), nil)
		if n%3 == 0 {
			plan := i.planned(zone)
			ds, err := plan.DS()
			i.check(err)
			all = append(all, ds...)
			z, err = plan.Sign(z, time.Now())
			i.check(err)
		}
		beneath[at].SetZone(z)
	}
	return i.zone("tld.", text.String(), all)
}

// sign publishes the top-level domain's zone as planned.
func (i *incident) sign(s *simauth.Server, plan *authority.Plan) {
	z, err := plan.Sign(i.plain, time.Now())
	i.check(err)
	s.SetZone(z)
}

// play lets the evening pass.
func (i *incident) play(nta bool) {
	broken := *i.plan
	b, err := authority.ParseBreak("wrong-key", "", wire.TypeNone)
	i.check(err)
	broken.Breaks = append(broken.Breaks, b)
	i.ask(incidentBreak)
	i.sign(i.tld, &broken)
	if i.ask(incidentNTA); nta {
		_, err := i.app.NTAs().AddNTA(dnsname.MustParse("tld."), time.Now().Add(incidentMend-incidentNTA-time.Minute), "signed with an unpublished key", true)
		i.check(err)
	}
	i.ask(incidentMend)
	i.sign(i.tld, i.plan)
	i.ask(incidentEnd)
	i.asks.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	i.check(i.app.Stop(ctx))
}

// hear keeps what the program suggests while it is broken.
func (i *incident) hear(e event.Event) {
	if e, ok := e.(event.Incident); ok && i.now() < incidentNTA {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.suggested = append(i.suggested, e.Command)
	}
}

// ask lets clients ask until a time: of each hundred questions 98 for the names of
// zones along Zipf's law, the others for names that nobody asked for before.
func (i *incident) ask(until time.Duration) {
	zipf := rand.NewZipf(i.rand, 1.05, 2, incidentZones-1)
	for n := 0; i.now() < until; n++ {
		time.Sleep(time.Duration(i.rand.ExpFloat64() / incidentRate * 1e9))
		label := "www"
		if i.rand.IntN(100) < 2 {
			label = "n" + strconv.FormatInt(int64(i.now()), 36)
		}
		i.question(fmt.Sprintf("%s.d%d.tld.", label, zipf.Uint64()))
	}
}

// question asks one and counts what comes of it.
func (i *incident) question(name string) {
	at := i.now()
	q := resolver.Query{Name: dnsname.MustParse(name), Type: wire.TypeA, RD: true, AD: true, Client: client4, Arrival: i.app.Clock().Now()}
	i.asks.Go(func() {
		a := i.app.Resolver().Resolve(context.Background(), q)
		i.mu.Lock()
		defer i.mu.Unlock()
		b := i.bins[at.Truncate(incidentBin)]
		if b == nil {
			b = new(incidentBinned)
			i.bins[at.Truncate(incidentBin)] = b
		}
		good := a.Rcode == wire.RcodeNoError && len(a.Chain) > 0
		if good && at < incidentBreak {
			i.known[name] = true
		}
		b.asked++
		b.good += count(good)
		if i.known[name] || at < incidentBreak {
			b.knownAsked++
			b.knownGood += count(good)
		}
		b.secure += count(good && a.AD)
		for _, e := range a.Errors {
			b.stale += count(e.Code == ede.StaleAnswer)
		}
	})
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// write leaves the course of the evening as a table.
func (i *incident) write(name string) {
	dir := os.Getenv("INCIDENT_CSV")
	if dir == "" {
		return
	}
	f, err := os.Create(filepath.Join(dir, name+".csv"))
	i.check(err)
	w := csv.NewWriter(f)
	w.Write([]string{"time", "asked", "good", "known-asked", "known-good", "stale", "secure"})
	for at := incidentBegin; at < incidentEnd; at += incidentBin {
		if b := i.bins[at]; b != nil {
			row := []string{fmt.Sprintf("%02d:%02d", int(at.Hours()), int(at.Minutes())%60)}
			for _, n := range []int{b.asked, b.good, b.knownAsked, b.knownGood, b.stale, b.secure} {
				row = append(row, strconv.Itoa(n))
			}
			w.Write(row)
		}
	}
	w.Flush()
	i.check(w.Error())
	i.check(f.Close())
}
