package validator

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
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
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

var (
	noon   = time.Date(2026, 5, 5, 12, 0, 0, 0, time.UTC)
	policy = dnssec.Policy{SHA1: true, Iterations: 50, Refused: 500}
	ample  = dnssec.Limits{Signatures: 400, PerSet: 8, PerTag: 4, Keys: 32, Hashes: 2000}
)

// world is a tree of zones with one server for each, and a validator that gets its
// links from them.
type world struct {
	t      testing.TB
	v      *Validator
	zones  map[dnsname.Name]*authority.Server
	plans  map[dnsname.Name]string
	budget *dnssec.Budget
	change func(q event.Question, entries []cache.Entry) // of every answer before it is judged, if not nil
	memo   map[event.Question]link
}

type link struct {
	entry cache.Entry
	err   *ede.Error
}

// newWorld makes zones of text such as
//
//	. keys=csk1
//	a A 192.0.2.1
//	example. nsec3=0 opt-out
//	www A 192.0.2.2
//
// A line whose second word is no type begins a zone: its name, "unsigned" or how it is
// signed, alien-digest and alien-algorithm for DS records of those; SOA and NS records come by themselves, and so does the delegation in the zone
// above, with DS records as the plan has them.
func newWorld(t testing.TB, text string) *world {
	t.Helper()
	w := &world{t: t, zones: map[dnsname.Name]*authority.Server{}, plans: map[dnsname.Name]string{}, memo: map[event.Question]link{}}
	bodies := map[dnsname.Name]string{}
	var order []dnsname.Name
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if _, err := wire.ParseType(strings.ToUpper(at(fields, 1))); err != nil || len(fields) < 3 {
			zone := dnsname.MustParse(fields[0])
			order = append(order, zone)
			w.plans[zone] = strings.Join(fields[1:], " ")
			bodies[zone] = "@ 3600 SOA ns mail 1 3600 600 86400 300\n@ 3600 NS ns\nns 3600 A 192.0.2.53\n"
			continue
		}
		zone := order[len(order)-1]
		bodies[zone] += fields[0] + " 300 " + strings.Join(fields[1:], " ") + "\n"
	}
	for _, zone := range order {
		parent, ok := w.above(bodies, zone)
		if ok {
			bodies[parent] += fmt.Sprintf("%s 3600 NS ns.%s\n", zone, strings.TrimPrefix(zone.String(), ".")) + w.pointers(zone)
		}
	}
	for _, zone := range order {
		w.serve(zone, bodies[zone])
	}
	w.v = New(Options{Grounds: anchor.NewTable(w.anchors(order[0]), nil), Clock: clock.New(), Policy: policy, Pinned: noon})
	w.budget = dnssec.NewBudget(ample)
	return w
}

func at(fields []string, i int) string {
	if i < len(fields) {
		return fields[i]
	}
	return ""
}

func (w *world) above(bodies map[dnsname.Name]string, zone dnsname.Name) (dnsname.Name, bool) {
	for up := zone; !up.IsRoot(); {
		up = up.Parent()
		if _, ok := bodies[up]; ok {
			return up, true
		}
	}
	return "", false
}

func (w *world) plan(zone dnsname.Name) *authority.Plan {
	if w.plans[zone] == "unsigned" {
		return nil
	}
	words := slices.DeleteFunc(strings.Fields(w.plans[zone]), func(word string) bool { return strings.HasPrefix(word, "alien-") })
	p, err := authority.ParsePlan(zone, words)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func (w *world) pointers(zone dnsname.Name) (text string) {
	p := w.plan(zone)
	if p == nil {
		return ""
	}
	list, err := p.DS()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range list {
		if strings.Contains(w.plans[zone], "alien-digest") {
			r.Data[3] = 3
		}
		if strings.Contains(w.plans[zone], "alien-algorithm") {
			r.Data[2] = 200
		}
		text += r.String() + "\n"
	}
	return text
}

func (w *world) serve(zone dnsname.Name, body string) {
	z, err := authority.ParseZone(zone.String(), "zone", strings.NewReader(body))
	if err != nil {
		w.t.Fatalf("%v\n%s", err, body)
	}
	if p := w.plan(zone); p != nil {
		if z, err = p.Sign(z, noon); err != nil {
			w.t.Fatalf("%v\n%s", err, body)
		}
	}
	s := authority.NewServer(authority.Options{UDPSize: 65000, Minimal: true})
	s.SetZone(z)
	w.zones[zone] = s
}

// anchors are those of a zone.
func (w *world) anchors(zone dnsname.Name) []*anchor.Anchor {
	p := w.plan(zone)
	if p == nil {
		return nil
	}
	records, err := p.DNSKEYs()
	if err != nil {
		w.t.Fatal(err)
	}
	a := &anchor.Anchor{Zone: zone}
	for _, r := range records {
		k, err := dnssec.ReadKey(r.Data)
		if err != nil {
			w.t.Fatal(err)
		}
		a.Keys = append(a.Keys, k)
	}
	return []*anchor.Anchor{a}
}

// zoneOf is the zone that has a name, or the DS records of it.
func (w *world) zoneOf(name dnsname.Name, t wire.Type) dnsname.Name {
	if t == wire.TypeDS && !name.IsRoot() {
		name = name.Parent()
	}
	for ; ; name = name.Parent() {
		if w.zones[name] != nil {
			return name
		}
		if name.IsRoot() {
			return ""
		}
	}
}

// answer has a question answered by the server of its zone.
func (w *world) answer(q event.Question) []cache.Entry {
	zone := w.zoneOf(q.Name, q.Type)
	m := new(dns.Msg)
	m.SetQuestion(q.Name.String(), uint16(q.Type))
	m.SetEdns0(65000, true)
	packed, err := m.Pack()
	if err != nil {
		w.t.Fatal(err)
	}
	reply := w.zones[zone].Handle(packed, event.TCP, netip.MustParseAddrPort("192.0.2.1:53"), nil).Reply
	if err := m.Unpack(reply); err != nil {
		w.t.Fatal(err)
	}
	entries := entriesOf(w.t, m, q, zone)
	if w.change != nil {
		w.change(q, entries)
	}
	return entries
}

// Fetch gets a link, judged as any answer is.
func (w *world) Fetch(ctx context.Context, zone dnsname.Name, t wire.Type) (cache.Entry, bool, *ede.Error) {
	q := event.Question{Name: zone, Type: t}
	if l, ok := w.memo[q]; ok {
		return l.entry, false, l.err
	}
	w.memo[q] = link{err: &ede.Error{Code: ede.NoReachableAuthority, ID: "LOOP"}} // as a resolver refuses circles
	entries := w.answer(q)
	v := w.v.Judge(ctx, w, q, entries, w.budget)
	l := link{err: v.Failure}
	if v.Good > 0 {
		l = link{entry: entries[0]}
	}
	w.memo[q] = l
	return l.entry, false, l.err
}

// judge asks and judges.
func (w *world) judge(name string, t wire.Type) (Verdict, []cache.Entry) {
	q := event.Question{Name: dnsname.MustParse(name), Type: t}
	entries := w.answer(q)
	return w.v.Judge(context.Background(), w, q, entries, w.budget), entries
}

// entriesOf makes entries of a reply, as an iterator does.
func entriesOf(t testing.TB, m *dns.Msg, q event.Question, zone dnsname.Name) (list []cache.Entry) {
	answer, authority := setsOf(t, m.Answer), setsOf(t, m.Ns)
	name := q.Name
	for range 10 {
		e := cache.Entry{Kind: cache.Data, Cut: zone, TTL: 300}
		var s *rrset.Set
		for _, kind := range []wire.Type{q.Type, wire.TypeCNAME} {
			for i := range answer {
				if s == nil && answer[i].Name == name && answer[i].Type == kind {
					s = &answer[i]
				}
			}
		}
		if s != nil && s.Type == wire.TypeCNAME && len(s.Sigs) == 0 && q.Type != wire.TypeCNAME { // made of a DNAME
			for i := range answer {
				if answer[i].Type == wire.TypeDNAME && name.Below(answer[i].Name) {
					s = &answer[i]
				}
			}
		}
		if s == nil {
			break
		}
		e.Name, e.Type, e.Set = s.Name, s.Type, *s
		for rdata := range s.Sigs.All() {
			if sig, err := dnssec.ReadSignature(rdata); err == nil && sig.Labels < s.Name.Labels() && s.Name.FirstLabel() != "*" {
				e.Proof = proofsOf(authority)
				break
			}
		}
		list = append(list, e)
		to, ok := s.Target()
		switch {
		case s.Type == q.Type:
			return list
		case s.Type == wire.TypeDNAME:
			if to, err := name.Rebase(s.Name, to); err == nil {
				name = to
				continue
			}
			return list
		case !ok:
			return list
		}
		name = to
	}
	if len(list) > 0 && !name.Under(zone) || m.Authoritative && len(authority) == 0 {
		return list
	}
	e := cache.Entry{Kind: cache.NoData, Name: name, Type: q.Type, Cut: zone, TTL: 300, Proof: proofsOf(authority)}
	if m.Rcode == dns.RcodeNameError {
		e.Kind, e.Type = cache.NXDomain, wire.TypeNone
	}
	return append(list, e)
}

func proofsOf(sets []rrset.Set) (list []rrset.Set) {
	for _, s := range sets {
		if s.Type == wire.TypeSOA || s.Type == wire.TypeNSEC || s.Type == wire.TypeNSEC3 {
			list = append(list, s)
		}
	}
	return list
}

func setsOf(t testing.TB, records []dns.RR) (list []rrset.Set) {
	find := func(name dnsname.Name, typ wire.Type) *rrset.Set {
		for i := range list {
			if list[i].Name == name && list[i].Type == typ {
				return &list[i]
			}
		}
		list = append(list, rrset.Set{Name: name, Type: typ})
		return &list[len(list)-1]
	}
	for _, rr := range records {
		name := dnsname.MustParse(rr.Header().Name)
		if sig, ok := rr.(*dns.RRSIG); ok {
			s := find(name, wire.Type(sig.TypeCovered))
			s.Sigs = s.Sigs.Append(rdataOf(t, rr))
			continue
		}
		find(name, wire.Type(rr.Header().Rrtype)).Add(rr.Header().Ttl, rdataOf(t, rr))
	}
	return list
}

func rdataOf(t testing.TB, rr dns.RR) []byte {
	buf := make([]byte, dns.Len(rr)+64)
	end, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	_, off, err := dns.UnpackDomainName(buf, 0)
	if err != nil {
		t.Fatal(err)
	}
	return buf[off+10 : end]
}
