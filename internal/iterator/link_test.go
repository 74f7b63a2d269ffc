package iterator

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"lastgood/internal/cache"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// signed adds a signature, which need not be good.
func signed(s rrset.Set) rrset.Set {
	s.Sigs = s.Sigs.Append(signature(s.Type, s.Name.Labels(), 1))
	return s
}

// delegates makes a server add record sets to its referrals to a cut.
func (w *world) delegates(addr, cut string, with ...rrset.Set) {
	s := w.server(addr)
	before := s.fault
	s.fault = func(q Query, r *reply) bool {
		if before != nil {
			before(q, r)
		}
		if !r.aa && get(r.authority, n(cut), wire.TypeNS) != nil {
			r.authority = append(r.authority, with...)
		}
		return true
	}
}

// linked shows links: cut, who said so, TTL, records and signatures, or the proof.
func linked(list []cache.Entry) string {
	var b strings.Builder
	for _, e := range list {
		fmt.Fprintf(&b, "%s %s of %s %d rank %d: %d+%d", e.Name, e.Type, e.Cut, e.TTL, e.Rank, e.Set.Data.Len(), e.Set.Sigs.Len())
		if e.Kind == cache.NoData {
			b.WriteString(" denied by")
		}
		for _, p := range e.Proof {
			fmt.Fprintf(&b, " %s %s+%d", p.Name, p.Type, p.Sigs.Len())
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// What referrals say of DS records comes along: the records, or the proof that there
// are none, as the parent signed them.
func TestReferralsGiveLinks(t *testing.T) {
	ds := set("com.", 3600, "DS", "x")
	nsec := set("example.com.", 600, "NSEC", "z.com.")
	for _, c := range []struct {
		what       string
		off        bool
		com, lower []rrset.Set
		want       string
	}{
		{what: "DS, and none", com: []rrset.Set{signed(ds)}, lower: []rrset.Set{signed(nsec)},
			want: "com. DS of . 3600 rank 1: 1+1\nexample.com. DS of com. 600 rank 1: 0+0 denied by example.com. NSEC+1\n"},
		{what: "no longer than the delegation", lower: []rrset.Set{signed(set("example.com.", 9999, "NSEC", "z.com."))},
			want: "example.com. DS of com. 3600 rank 1: 0+0 denied by example.com. NSEC+1\n"},
		{what: "not signed", com: []rrset.Set{ds}, lower: []rrset.Set{nsec}},
		{what: "half of it signed", lower: []rrset.Set{signed(nsec), set("f.com.", 60, "NSEC", "z.com.")},
			want: "example.com. DS of com. 600 rank 1: 0+0 denied by example.com. NSEC+1\n"},
		{what: "of another cut", com: []rrset.Set{signed(set("net.", 3600, "DS", "x"))}},
		{what: "outside the zone", lower: []rrset.Set{signed(set("example.net.", 3600, "NSEC", "z.net."))}},
		{what: "nobody validates", off: true, com: []rrset.Set{signed(ds)}},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, small)
			w.opts.DNSSEC = !c.off
			w.delegates("192.0.2.1", "com.", c.com...)
			w.delegates("192.0.2.2", "example.com.", c.lower...)
			w.start()
			res := w.resolve("www.example.com.", "A")
			expect(t, res, "www.example.com. A 300 198.51.100.1")
			if got := linked(res.Links); got != c.want {
				t.Errorf("%s: got\n%swant\n%s", c.what, got, c.want)
			}
			if got := linked(w.resolve("alias.example.com.", "A").Links); got != "" {
				t.Errorf("%s: from what is known\n%s", c.what, got)
			}
			if _, ok := w.cache.Lookup(new(cache.Reader), w.clock.Now(), n("com."), wire.TypeDS); ok {
				t.Errorf("%s: stored before somebody validated it", c.what)
			}
		})
	}
}

// The links come with a failure too, and they are bounded.
func TestLinksAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const levels = 12
		text := "@192.0.2.1 .\n. 86400 NS a.root.\na.root. 86400 A 192.0.2.1\n"
		zone := ""
		var cuts []string
		for i := 1; i <= levels; i++ {
			zone = fmt.Sprintf("l%d.%s", i, zone)
			cuts = append(cuts, zone)
			text += fmt.Sprintf("%s 3600 NS ns.%s\nns.%s 3600 A 192.0.2.%d\n@192.0.2.%d %s\n", zone, zone, zone, 10+i, 10+i, zone)
		}
		text += "www." + zone + " 60 A 198.51.100.1\n"
		w := newWorld(t, text)
		w.opts.DNSSEC = true
		for i, cut := range cuts {
			addr := "192.0.2.1"
			if i > 0 {
				addr = fmt.Sprintf("192.0.2.%d", 10+i)
			}
			w.delegates(addr, cut, signed(set(cut, 3600, "DS", "x")))
		}
		w.start()
		w.server(fmt.Sprintf("192.0.2.%d", 10+levels)).fault = func(_ Query, r *reply) bool {
			*r = reply{rcode: wire.RcodeServFail}
			return true
		}
		res := w.resolve("www."+zone, "A")
		if res.Failure == nil || len(res.Links) != mostLinks || res.Links[0].Name != n("l1.") || res.Links[mostLinks-1].Name != n(cuts[mostLinks-1]) {
			t.Errorf("%d links, %v\n%s", len(res.Links), res.Failure, linked(res.Links))
		}
	})
}

// A parent that is asked again has the last word, and who is asked past the end of
// his delegation has none.
func TestNewerLinkReplaces(t *testing.T) {
	task := &task{it: &Iterator{dnssec: true}}
	for _, ttl := range []int{60, 70} {
		r := reply{authority: append(records("sub.example.com. 300 NS ns.sub.example.com."), signed(set("sub.example.com.", ttl, "DS", "x")))}
		task.keepLink(judged(t, &r, askedFor("a.sub.example.com.", wire.TypeA)))
	}
	if len(task.links) != 1 || task.links[0].TTL != 70 {
		t.Errorf("%s", linked(task.links))
	}
	task.links, task.via = nil, true
	r := reply{authority: append(records("sub.example.com. 300 NS ns.sub.example.com."), signed(set("sub.example.com.", 60, "DS", "x")))}
	if task.keepLink(judged(t, &r, askedFor("a.sub.example.com.", wire.TypeA))); len(task.links) != 0 {
		t.Errorf("through a delegation past its TTL: %s", linked(task.links))
	}
}
