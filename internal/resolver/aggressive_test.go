package resolver

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/stale"
	"lastgood/internal/wire"
)

// alone asks and tells whether the answer was made without the zone.
func (w *signedZone) alone(owner string, t wire.Type) (*Answer, bool) {
	before := w.asked
	a := w.ask(name(owner), t)
	return a, w.asked == before
}

// expectMade asks what is to be answered without the zone, or is not.
func (w *signedZone) expectMade(owner string, t wire.Type, rcode wire.Rcode, want bool) *Answer {
	w.t.Helper()
	a, alone := w.alone(owner, t)
	if alone != want || a.Rcode != rcode {
		w.t.Errorf("%s %s: %s, made without the zone: %v", owner, t, shape(a), alone)
	}
	return a
}

// secureAddress is one that the cache has from elsewhere.
func secureAddress(owner string, ttl uint32) *cache.Entry {
	e := address(owner, ttl, 7)
	e.Security, e.Cut = rrset.Secure, name("z.")
	return &e
}

// RFC 8198 §5.1–5.3, §5.4: names, types and wildcards are answered from what was
// proven of others, with proof and as authentic, and each is counted.
func TestSynthesises(t *testing.T) {
	for _, plan := range []string{"", "nsec3=2:ab"} {
		synctest.Test(t, func(t *testing.T) {
			w := newSignedZone(t, "a.z. 60 A 192.0.2.1\n*.w.z. 300 A 192.0.2.2\nm.z. 60 MX 1 a.z.\n", strings.Fields(plan)...)
			w.expectMade("b.z.", wire.TypeA, wire.RcodeNXDomain, false)
			w.expectMade("x.w.z.", wire.TypeA, wire.RcodeNoError, false)
			for _, known := range []string{"bb.z.", "c.z.", "d.z.", "e.z."} { // hashes lie anywhere
				w.ask(name(known), wire.TypeA)
			}
			w.ask(name("a.z."), wire.TypeTXT)
			made := w.made()
			for _, q := range []struct {
				owner string
				t     wire.Type
				rcode wire.Rcode
				kind  cache.Kind
			}{
				{"bbb.z.", wire.TypeAAAA, wire.RcodeNXDomain, cache.NXDomain}, {"a.z.", wire.TypeMX, wire.RcodeNoError, cache.NoData},
				{"y.w.z.", wire.TypeA, wire.RcodeNoError, cache.Data}, {"a.b.w.z.", wire.TypeA, wire.RcodeNoError, cache.Data},
			} {
				a := w.expectMade(q.owner, q.t, q.rcode, true)
				if h := a.Chain[0].Entry; h.Kind != q.kind || !a.AD {
					t.Errorf("%q: %s: kind %d, AD %v", plan, q.owner, h.Kind, a.AD)
				}
				if p := a.Chain[0].Entry.Proof; q.kind != cache.Data && (p[0].Type != wire.TypeSOA || p[0].Sigs.Len() != 1) {
					t.Errorf("%q: %s: no signed SOA record, but %s", plan, q.owner, p[0].Type)
				}
				w.check(q.owner, a, q.t)
			}
			if w.made() != made+4 {
				t.Errorf("%q: counted %+v", plan, w.r.Stats())
			}
			if s := w.r.Stats(); s.SynthesisedNames == 0 || s.SynthesisedTypes == 0 || s.SynthesisedStars != 2 {
				t.Errorf("%q: counted %d, %d, %d", plan, s.SynthesisedNames, s.SynthesisedTypes, s.SynthesisedStars)
			}
		})
	}
}

// What the cache has of a name counts before what is proven of it; and what came
// after the proof, also when it has expired.
func TestSynthesisAndWhatIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSignedZone(t, "a.z. 60 A 192.0.2.1\ny.z. 60 A 192.0.2.1\n")
		w.expectMade("b.z.", wire.TypeA, wire.RcodeNXDomain, false) // proves that nothing is between a and ns
		time.Sleep(time.Second)
		w.cache.Put(w.clock.Now(), secureAddress("c.z.", 60))
		if a, alone := w.alone("c.z.", wire.TypeA); a.Rcode != wire.RcodeNoError || !alone {
			t.Errorf("the fresh entry does not win: %s", shape(a))
		}
		w.expectMade("c.z.", wire.TypeTXT, wire.RcodeNXDomain, false) // the zone is asked
		w.cache.FlushNegative(w.clock.Now())
		w.expectMade("b.z.", wire.TypeA, wire.RcodeNXDomain, false)
		time.Sleep(time.Second)
		w.cache.Put(w.clock.Now(), secureAddress("d.z.", 60))
		time.Sleep(time.Minute)
		w.expectMade("d.z.", wire.TypeTXT, wire.RcodeNXDomain, false) // nor does it deny another type
		w.cache.Flush(name("d.z."), wire.TypeNone)
		w.expectMade("bb.z.", wire.TypeTXT, wire.RcodeNXDomain, false)
		time.Sleep(time.Second)
		w.cache.Put(w.clock.Now(), secureAddress("c.z.", 60))
		time.Sleep(time.Minute)
		w.expectMade("c.z.", wire.TypeA, wire.RcodeNXDomain, false) // the proof is older than what has expired
		w.expectMade("cc.z.", wire.TypeA, wire.RcodeNXDomain, true)
	})
}

// The same holds for a type that came to a name after the proof that it has none.
func TestSynthesisAndTypesThatCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSignedZone(t, "a.z. 60 TXT x\n")
		w.expectMade("a.z.", wire.TypeAAAA, wire.RcodeNoError, false)
		w.expectMade("a.z.", wire.TypeMX, wire.RcodeNoError, true)
		time.Sleep(time.Second)
		w.cache.Put(w.clock.Now(), secureAddress("a.z.", 60))
		time.Sleep(time.Minute)
		w.expectMade("a.z.", wire.TypeA, wire.RcodeNoError, false)
	})
}

// DS records are the parent's word (RFC 4035 §2.4), also where the zone beneath is
// known, and all else there is not.
func TestSynthesisAtACut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSignedZone(t, "a.z. 60 TXT x\nown.z. 60 NS ns.z.\n")
		w.expectMade("own.z.", wire.TypeDS, wire.RcodeNoError, false)
		w.cache.Flush(name("own.z."), wire.TypeDS) // and what proves it
		w.expectMade("owns.z.", wire.TypeTXT, wire.RcodeNXDomain, false)
		child := rrset.Set{Name: name("own.z."), Type: wire.TypeNSEC, TTL: 300}
		child.Data = child.Data.Append(append([]byte(name("x.own.z.")), 0, 1, 0x40))
		child.Sigs = child.Sigs.Append(append(append([]byte{0, 47, 15, 2, 14: 0, 17: 0}, name("own.z.")...), 1))
		e := cache.Entry{Kind: cache.NXDomain, Name: name("b.own.z."), Security: rrset.Secure, TTL: 300, Proof: []rrset.Set{child}}
		w.cache.Put(w.clock.Now(), &e)
		w.cache.PutRanges(w.clock.Now(), w.cache.Generation(), &e)
		if z, ok := w.cache.Ranges(w.clock.Now(), name("own.z.")); !ok || z.Name() != name("own.z.") {
			t.Fatal("the zone beneath is not known")
		}
		w.expectMade("own.z.", wire.TypeDS, wire.RcodeNoError, true)
	})
}

// A name that has become a cut since is not said to have no DS records, for it is not
// there: what is beneath would be taken for bogus.
func TestSynthesisAndANewCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSignedZone(t, "a.z. 60 TXT x\ny.z. 60 TXT x\n")
		w.expectMade("ox.z.", wire.TypeA, wire.RcodeNXDomain, false)
		w.expectMade("oy.z.", wire.TypeDS, wire.RcodeNXDomain, true)
		cut := &cache.Delegation{Cut: name("own.z."), Parent: name("z."), TTL: 600, Servers: []cache.NameServer{{Name: name("ns.z.")}}}
		w.cache.PutDelegation(w.clock.Now(), cut)
		w.expectMade("own.z.", wire.TypeDS, wire.RcodeNXDomain, true) // the proof is as young
		time.Sleep(time.Second)
		w.cache.PutDelegation(w.clock.Now(), cut)
		w.expectMade("own.z.", wire.TypeDS, wire.RcodeNXDomain, false)
	})
}

// A proof that is younger than what has expired replaces it: it is not served stale
// any more, even if nobody answers.
func TestSynthesisReplacesStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSignedZone(t, "a.z. 60 A 192.0.2.1\nc.z. 60 A 192.0.2.1\nc.z. 60 TXT x\n")
		w.expectMade("c.z.", wire.TypeA, wire.RcodeNoError, false)
		w.expectMade("c.z.", wire.TypeTXT, wire.RcodeNoError, false)
		time.Sleep(30 * time.Second)
		w.sign("a.z. 60 A 192.0.2.1\n")
		w.expectMade("b.z.", wire.TypeA, wire.RcodeNXDomain, false)
		if a, alone := w.alone("c.z.", wire.TypeA); a.Rcode != wire.RcodeNoError || !alone {
			t.Errorf("what is fresh does not count first: %s", shape(a))
		}
		time.Sleep(31 * time.Second)
		var rd cache.Reader
		if hit, ok := w.cache.Lookup(&rd, w.clock.Now(), name("c.z."), wire.TypeA); !ok || hit.State(w.clock.Now()) != stale.Stale {
			t.Fatal("there is nothing stale")
		}
		if a := w.expectMade("c.z.", wire.TypeA, wire.RcodeNXDomain, true); a.Stale {
			t.Error("the answer is stale")
		}
		for _, typ := range []wire.Type{wire.TypeA, wire.TypeTXT} {
			hit, ok := w.cache.Lookup(&rd, w.clock.Now(), name("c.z."), typ)
			if !ok || hit.Kind() != cache.NXDomain {
				t.Errorf("the cache still has %s %s", hit.Name(), hit.Type())
			}
		}
	})
}

// What is made of a wildcard is kept, with the wildcard's times, and is the last good
// answer when the zone does not answer any more; denials that disprove nothing are not.
func TestSynthesisOfWildcardsIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSignedZone(t, "a.z. 60 A 192.0.2.1\n*.w.z. 300 A 192.0.2.2\n")
		w.expectMade("x.w.z.", wire.TypeA, wire.RcodeNoError, false)
		w.expectMade("b.z.", wire.TypeA, wire.RcodeNXDomain, false)
		time.Sleep(100 * time.Second)
		began := w.clock.Now()
		w.expectMade("y.w.z.", wire.TypeA, wire.RcodeNoError, true)
		w.expectMade("c.z.", wire.TypeA, wire.RcodeNXDomain, true)
		var rd cache.Reader
		hit, ok := w.cache.Lookup(&rd, began, name("y.w.z."), wire.TypeA)
		if !ok {
			t.Fatal("the wildcard's answer is not kept")
		}
		if hit.Expiry() != began.Add(200*time.Second) || hit.Stored() != began.Add(-100*time.Second) || hit.ProofLen() != 1 || hit.Security() != rrset.Secure {
			t.Errorf("kept: %+v", hit.Entry())
		}
		if _, ok := w.cache.Lookup(&rd, began, name("c.z."), wire.TypeA); ok {
			t.Error("a denial is kept")
		}
		time.Sleep(201 * time.Second)
		w.mute = true
		if a := w.ask(name("y.w.z."), wire.TypeA); !a.Stale || a.Rcode != wire.RcodeNoError {
			t.Errorf("when nobody answers: %s", shape(a))
		}
	})
}

// RFC 8198 §5.4, RFC 9077: an answer that is made lives no longer than the SOA record
// says, nor than what proves it; what has expired proves nothing.
func TestSynthesisTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSignedZone(t, "a.z. 60 A 192.0.2.1\n*.w.z. 900 A 192.0.2.2\n")
		w.expectMade("b.z.", wire.TypeA, wire.RcodeNXDomain, false)
		time.Sleep(100 * time.Second)
		if a := w.expectMade("c.z.", wire.TypeA, wire.RcodeNXDomain, true); a.ttl(&a.Chain[0]) != 500 {
			t.Errorf("told with %d", a.ttl(&a.Chain[0]))
		}
		w.expectMade("x.w.z.", wire.TypeA, wire.RcodeNoError, false)
		time.Sleep(50 * time.Second)
		if a := w.expectMade("y.w.z.", wire.TypeA, wire.RcodeNoError, true); a.ttl(&a.Chain[0]) != 550 {
			t.Errorf("a wildcard's is told with %d", a.ttl(&a.Chain[0]))
		}
		time.Sleep(450 * time.Second)
		w.expectMade("d.z.", wire.TypeA, wire.RcodeNXDomain, false)
	})
}

// Where others are to be asked for a name, or nothing is to be cached, or a cut is
// known beneath the zone, what the zone proves is not used.
func TestSynthesisKeepsOut(t *testing.T) {
	own := func(o *Options) { o.NotSpecial = []dnsname.Name{name("z."), name("own.z.")} }
	uncached := func(o *Options) { o.Uncached = func(n dnsname.Name) bool { return n.Under(name("own.z.")) } }
	off := func(o *Options) { o.Aggressive = nil }
	for what, tc := range map[string]struct {
		change func(*Options)
		cut    bool
		owner  string
		made   bool
	}{
		"a zone with servers of its own": {own, false, "x.own.z.", false}, "beside it": {own, false, "owns.z.", true},
		"nothing cached": {uncached, false, "x.own.z.", false}, "switched off": {off, false, "owns.z.", false},
		"a cut": {nil, true, "x.own.z.", false}, "beside the cut": {nil, true, "owns.z.", true}, "nothing of that": {nil, false, "x.own.z.", true},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newSignedZoneWith(t, tc.change, "a.z. 60 A 192.0.2.1\n")
			w.expectMade("nz.z.", wire.TypeA, wire.RcodeNXDomain, false)
			w.expectMade("b.z.", wire.TypeA, wire.RcodeNXDomain, tc.owner == "")
			w.expectMade("ny.z.", wire.TypeA, wire.RcodeNXDomain, what != "switched off")
			w.ask(name("ob.z."), wire.TypeA)
			if tc.cut {
				w.cache.PutDelegation(w.clock.Now(), &cache.Delegation{Cut: name("own.z."), Parent: name("z."), TTL: 60, Servers: []cache.NameServer{
					{Name: name("ns.z."), Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.9")}},
				}})
			}
			if a, alone := w.alone(tc.owner, wire.TypeA); (alone && len(a.Chain) > 0) != tc.made {
				t.Errorf("%s: %s, alone %v", what, shape(a), alone)
			}
		})
	}
}

// Hashing is bounded: who asks for deep names asks the zone.
func TestSynthesisHashesLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSignedZone(t, "a.z. 60 A 192.0.2.1\n", "nsec3=50")
		for i := range 10 { // until all of the few records are known
			w.ask(name(fmt.Sprintf("n%d.z.", i)), wire.TypeA)
		}
		w.expectMade("shallow.n1.z.", wire.TypeA, wire.RcodeNXDomain, true)
		w.expectMade(strings.Repeat("n.", 20)+"z.", wire.TypeA, wire.RcodeNXDomain, false)
	})
}

// Whoever asks what a client would get is told that it would be made, and nothing is
// kept or counted for it.
func TestSynthesisIsExplained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSignedZone(t, "a.z. 60 A 192.0.2.1\n*.w.z. 300 A 192.0.2.2\n")
		w.ask(name("x.w.z."), wire.TypeA)
		before := w.made()
		x := w.r.Explain(name("y.w.z."), wire.TypeA)
		if len(x.Hops) != 1 || x.Outcome != "fresh" || x.Hops[0].Why != madeOfProofs || x.Hops[0].TTL != 300 {
			t.Errorf("%+v", x)
		}
		var rd cache.Reader
		if _, ok := w.cache.Lookup(&rd, w.clock.Now(), name("y.w.z."), wire.TypeA); ok || w.made() != before {
			t.Error("it is kept, or counted")
		}
	})
}

// A name that nothing bears on costs next to nothing to look for: no allocation while
// nothing is known, one where something is (BenchmarkKnown).
func TestSynthesisCostsLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newSignedZone(t, "a.z. 60 A 192.0.2.1\ny.z. 60 A 192.0.2.1\n")
		q := Query{Name: name("zz.z."), Type: wire.TypeA, RD: true, Arrival: w.clock.Now()}
		tr := trail{r: w.r, q: &q, name: q.Name}
		for allowed := range 2 {
			if n := testing.AllocsPerRun(200, func() {
				if _, state := tr.known(w.clock.Now()); state != stale.Gone {
					t.Fatal(state)
				}
			}); n > float64(allowed) {
				t.Errorf("%v allocations, %d allowed", n, allowed)
			}
			w.ask(name("a.z."), wire.TypeTXT)
		}
	})
}

// BenchmarkKnown is a look for a name that the cache has not: without synthesis, with
// an empty index, with nothing there that bears on the name, and with proofs that
// answer it.
func BenchmarkKnown(b *testing.B) {
	for _, bm := range []struct {
		what, plan, ask string
		off, warm, made bool
	}{
		{what: "Off", ask: "b.z.", off: true}, {what: "Empty", ask: "b.z."},
		{what: "Beside", ask: "zz.z.", warm: true}, {what: "BesideNSEC3", plan: "nsec3=0", ask: "b.c.d.zz.z.", warm: true},
		{what: "NSEC", ask: "b.z.", warm: true, made: true}, {what: "NSEC3", plan: "nsec3=0", ask: "b.z.", warm: true, made: true},
	} {
		b.Run(bm.what, func(b *testing.B) {
			w := newSignedZone(b, "a.z. 60 A 192.0.2.1\n*.e.z. 60 A 192.0.2.2\nf.z. 60 A 192.0.2.1\ny.z. 60 A 192.0.2.1\n", strings.Fields(bm.plan)...)
			if bm.warm {
				w.ask(name("a.z."), wire.TypeTXT)
			}
			for i := 0; bm.made && i < 20; i++ {
				w.ask(name(fmt.Sprintf("bb%d.z.", i)), wire.TypeA)
			}
			if bm.off {
				w.r.aggressive = nil
			}
			q := Query{Name: name(bm.ask), Type: wire.TypeA, RD: true, DO: true, Arrival: w.clock.Now()}
			tr := trail{r: w.r, q: &q, name: q.Name}
			now := w.clock.Now()
			b.ReportAllocs()
			for b.Loop() {
				if _, state := tr.known(now); (state == stale.Fresh) != bm.made {
					b.Fatal(state)
				}
			}
		})
	}
}
