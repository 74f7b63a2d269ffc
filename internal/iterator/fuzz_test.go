package iterator

import (
	"strings"
	"testing"

	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// FuzzVerdict puts arbitrary messages through all that comes before belief:
// nothing may panic, and nothing outside the zone be believed.
func FuzzVerdict(f *testing.F) {
	for _, r := range []reply{
		{aa: true, answer: records(www)},
		{aa: true, answer: records("www.example.com. 60 CNAME b.example.com.\nb.example.com. 60 A 192.0.2.1\nwww.bank.example. 60 A 192.0.2.66")},
		{aa: true, answer: records("www.example.com. 60 CNAME b.example.net.\nb.example.net. 60 A 192.0.2.1")},
		{aa: true, answer: records("example.com. 60 DNAME example.net.\nwww.example.com. 60 CNAME www.example.net.")},
		{aa: true, answer: records("com. 60 DNAME evil.example.")},
		{aa: true, rcode: wire.RcodeNXDomain, authority: records(soaExample + "\nexample.com. 60 NSEC z.example.com.")},
		{authority: records("www.example.com. 60 NS ns.www.example.com.\nwww.example.com. 60 NS ns.bank.example."), additional: records("ns.www.example.com. 60 A 192.0.2.11\nns.bank.example. 60 A 192.0.2.66")},
		{authority: append(records("www.example.com. 60 NS ns.www.example.com."), signed(set("www.example.com.", 60, "DS", "x")))},
		{authority: append(records("www.example.com. 60 NS ns.www.example.com."), signed(set("www.example.com.", 60, "NSEC", "z.example.com.")))},
		{authority: records("com. 60 NS a.root.\nbank.example. 60 NS ns.evil.example."), additional: records("a.root. 60 A 192.0.2.66")},
		{aa: true, authority: records("com. 60 SOA a.example. b.example. 60")},
		{rcode: wire.RcodeYXDomain, answer: records("example.com. 60 DNAME " + strings.Repeat("a", 60) + "." + strings.Repeat("b", 60) + ".")},
	} {
		for _, flags := range []byte{0, 1, 3} {
			f.Add(r.view(f, Query{Name: n("www.example.com."), Type: wire.TypeA}).Bytes(), uint16(wire.TypeA), flags)
		}
	}
	f.Fuzz(func(t *testing.T, msg []byte, typ uint16, flags byte) {
		view, err := wire.Read(msg)
		if err != nil {
			return
		}
		a := asked{
			Question: event.Question{Name: n("www.example.com."), Type: wire.Type(typ)}, zone: n("example.com."),
			lenient: flags&1 != 0, forward: flags&2 != 0, hops: 11,
		}
		it := &Iterator{limits: Limits{}.withDefaults()}
		checkBelieved(t, it.verdict(Reply{View: view}, a, new(judgement)), &it.limits)
	})
}

// checkBelieved looks at everything that may be stored.
func checkBelieved(t *testing.T, v *verdict, lim *Limits) {
	zone := v.asked.zone
	if !v.outcome.Useful() {
		return
	}
	if v.outcome == event.Referral {
		if !v.ns.Name.Below(zone) || !v.asked.Name.Under(v.ns.Name) {
			t.Errorf("referral of %s to %s", zone, v.ns.Name)
		}
		for _, s := range serversIn(v, lim) {
			if len(s.Addrs) > 0 && (!s.Name.Under(zone) || !names(v.ns)[s.Name]) {
				t.Errorf("glue for %s by a server of %s", s.Name, zone)
			}
		}
		if e, ok := link(v); ok {
			checkLink(t, v, &e)
		}
		return
	}
	out := entries(v.message, &v.class, v.asked)
	if len(out) == 0 {
		t.Fatalf("%s without entries", v.outcome)
	}
	for i := range out {
		e := &out[i]
		if !e.Name.Under(zone) || e.Set.Name != "" && e.Set.Name != e.Name || e.Cut != zone {
			t.Errorf("entry %s (set %s, cut %s) by a server of %s", e.Name, e.Set.Name, e.Cut, zone)
		}
		for _, p := range e.Proof {
			if !p.Name.Under(zone) && !(v.asked.forward && (p.Type == wire.TypeSOA || isProof(p.Type))) {
				t.Errorf("proof %s %s by a server of %s", p.Name, p.Type, zone)
			}
			if p.TTL < e.TTL {
				t.Errorf("%s lives %d s, its proof %s %d", e.Name, e.TTL, p.Name, p.TTL)
			}
		}
	}
	first := out[0].Name
	if first != v.asked.Name && !(out[0].Type == wire.TypeDNAME && v.asked.Name.Below(first)) {
		t.Errorf("the first entry is %s", first)
	}
}

// checkLink looks at what a referral says of the chain of trust.
func checkLink(t *testing.T, v *verdict, e *cache.Entry) {
	if e.Name != v.ns.Name || e.Type != wire.TypeDS || e.Cut != v.asked.zone || (e.Kind == cache.Data) == e.Set.Empty() {
		t.Errorf("link %+v by a server of %s", e, v.asked.zone)
	}
	for _, p := range e.Proof {
		if !p.Name.Under(v.asked.zone) || !isProof(p.Type) || len(p.Sigs) == 0 || p.TTL < e.TTL {
			t.Errorf("link %s with the proof %+v", e.Name, p)
		}
	}
}

// names are those in the data of a set of NS records.
func names(s *rrset.Set) map[dnsname.Name]bool {
	out := map[dnsname.Name]bool{}
	for rd := range s.Data.All() {
		if name, err := dnsname.FromWire(rd); err == nil {
			out[name] = true
		}
	}
	return out
}
