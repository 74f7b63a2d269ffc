package infra

import (
	"bytes"
	"testing"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
)

// RFC 6298 §2.2, §2.3 by hand: 100 ms, then 180 ms.
func TestRoundTripEstimate(t *testing.T) {
	var a address
	a.hear(1, 100*ms)
	if a.srtt != 100*ms || a.rttvar != 50*ms || a.timeout() != 300*ms {
		t.Errorf("first sample: %v %v %v", a.srtt, a.rttvar, a.timeout())
	}
	a.hear(2, 180*ms)
	if a.srtt != 110*ms || a.rttvar != 57500*time.Microsecond {
		t.Errorf("second sample: %v %v", a.srtt, a.rttvar)
	}
	for range 100 {
		a.hear(3, 10*ms)
	}
	if got := a.timeout(); got != minTimeout {
		t.Errorf("timeout of a fast server: %v", got)
	}
	a.hear(4, time.Minute)
	if got := a.timeout(); got != maxTimeout {
		t.Errorf("timeout is not capped: %v", got)
	}
}

// The definition of suspect, at its edges.
func TestSuspectDefinition(t *testing.T) {
	i := fresh(Options{})
	a := addr(0)
	base := clock.Mono(time.Second)
	answered(i, base, a, 10*ms)
	start := base.Add(time.Minute)
	for n := range 3 {
		i.Sent(start.Add(time.Duration(n)*ms), a)
	}
	third := start.Add(2 * ms)
	if i.Suspect(third.Add(100*ms-1), a) {
		t.Error("suspect before the third is 100 ms old")
	}
	if !i.Suspect(third.Add(100*ms), a) {
		t.Error("not suspect when it is")
	}
	i.Answered(third.Add(101*ms), a, 0)
	if i.Suspect(third.Add(10*time.Second), a) {
		t.Error("suspect after something was heard")
	}
	i.Sent(third.Add(11*time.Second), a)
	i.Sent(third.Add(11*time.Second), a)
	if i.Suspect(third.Add(time.Hour), a) {
		t.Error("suspect after two")
	}
}

// What was not waited for is no silence.
func TestAbandonedIsNoSilence(t *testing.T) {
	i := fresh(Options{})
	answered(i, 1, addr(0), 10*ms)
	now := clock.Mono(time.Second)
	for range 10 {
		i.Sent(now, addr(0))
		i.Abandoned(now.Add(20*ms), addr(0), now)
		now = now.Add(30 * ms)
	}
	if info, _ := i.Server(now.Add(time.Minute), addr(0)); info.Health != "good" {
		t.Errorf("after tries cut short it is %s", info.Health)
	}
	for range 3 {
		i.Sent(now, addr(0))
		i.Abandoned(now.Add(150*ms), addr(0), now)
	}
	if !i.Suspect(now.Add(150*ms), addr(0)) {
		t.Error("tries that had their time do not count")
	}
}

func TestCutHealth(t *testing.T) {
	i := fresh(Options{})
	now := clock.Mono(time.Second)
	cause := &ede.Error{Code: ede.NoReachableAuthority, ID: "TEST"}
	if _, failing := i.CutFailing(now, zone); failing || i.AskParent(now, zone) {
		t.Fatal("failing from the start")
	}
	if !i.CutFailed(now, zone, cause, Blame{}) {
		t.Error("the first failure does not begin it")
	}
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300} {
		f, failing := i.CutFailing(now, zone)
		if !failing || f.Cause != cause || f.Since != clock.Mono(time.Second) || f.Until.Sub(now) != want*time.Second {
			t.Fatalf("got %+v, %v; want until %d s from now", f, failing, want)
		}
		i.CutFailed(now, zone, cause, Blame{}) // another flight of the same attempt: no backoff of its own
		now = f.Until
		if i.CutFailed(now, zone, cause, Blame{}) {
			t.Error("began again")
		}
	}
	if !i.Useful(now, zone, addr(0)) || i.Useful(now, zone, addr(0)) {
		t.Error("recovery must be told once")
	}
	if _, failing := i.CutFailing(now, zone); failing {
		t.Error("failing after a useful answer")
	}
}

func TestSeveralNamesMakeACutFail(t *testing.T) {
	i := fresh(Options{})
	a, b, c := dnsname.MustParse("a.example"), dnsname.MustParse("b.example"), dnsname.MustParse("c.example")
	for _, name := range []dnsname.Name{a, a, a, b} {
		if i.NameFailed(1, zone, name, nil, Blame{}) {
			t.Error("two names suffice")
		}
	}
	i.Useful(2, zone, addr(0))
	if i.NameFailed(3, zone, c, nil, Blame{}) {
		t.Error("a success in between does not count")
	}
	if i.NameFailed(3, zone, a, nil, Blame{}) || !i.NameFailed(3, zone, b, nil, Blame{}) {
		t.Error("three names do not make it fail")
	}
}

// All servers refused, and one says SERVFAIL by now: a single name tells that it
// is no longer a refusal, as soon as the last failure does not count any more.
func TestOneNameTellsHowAFailingCutFailsNow(t *testing.T) {
	i := fresh(Options{})
	a := dnsname.MustParse("a.example")
	refused, mixed := &ede.Error{ID: "RFSD"}, &ede.Error{ID: "ERCD"}
	i.CutFailed(sec, zone, refused, Blame{Refused: true})
	for n, want := range []*ede.Error{refused, mixed} {
		now := sec.Add(time.Duration(n) * time.Second)
		if i.NameFailed(now, zone, a, mixed, Blame{}) {
			t.Error("it began to fail again")
		}
		if f, failing := i.CutFailing(now, zone); !failing || f.Cause != want || f.Refused != (want == refused) {
			t.Errorf("at %v: %+v, %v", now, f, failing)
		}
	}
}

// At most once in 30 s, also when the cut recovers and fails again in between.
func TestAskParent(t *testing.T) {
	i := fresh(Options{})
	asked := 0
	for now := clock.Mono(time.Second); now < clock.Mono(5*time.Minute); now = now.Add(time.Second) {
		i.CutFailed(now, zone, nil, Blame{})
		for range 3 {
			if i.AskParent(now, zone) {
				asked++
			}
		}
		i.Useful(now, zone, addr(0))
	}
	if asked != 10 {
		t.Errorf("asked %d times in five minutes", asked)
	}
}

func TestCapabilitiesExpire(t *testing.T) {
	i := fresh(Options{})
	now, a := clock.Mono(1), addr(0)
	if !i.LearnEDNS(now, a, false) || i.LearnEDNS(now, a, false) || !i.LearnMangledCase(now, a) || !i.LearnTCP(now, a, true) || !i.LearnNoCookies(now, a) {
		t.Error("news are told once")
	}
	if got := i.Capability(now, a); got != (Capability{EDNS: EDNSBroken, ManglesCase: true, NoCookies: true, TCP: true}) {
		t.Errorf("learnt %+v", got)
	}
	if got := i.Capability(now.Add(2*time.Hour), a); got != (Capability{}) {
		t.Errorf("two hours later still %+v", got)
	}
	if i.LearnTCP(now, a, false); i.Capability(now, a).TCP {
		t.Error("TCP cannot be taken back")
	}
	i.LearnEDNS(now, a, true)
	if got := i.Capability(now, a).EDNS; got != EDNSWorks {
		t.Errorf("EDNS %v", got)
	}
}

func TestCookieJar(t *testing.T) {
	i := fresh(Options{})
	now, one, two := clock.Mono(1), [8]byte{1}, [8]byte{2}
	if c := i.Cookie(now, addr(0), one); c.Client != one || len(c.Server()) != 0 {
		t.Errorf("fresh jar: %+v", c)
	}
	server := bytes.Repeat([]byte{7}, 16)
	i.LearnCookie(addr(0), two, server) // not with our cookie
	i.LearnCookie(addr(0), one, server[:7])
	if c := i.Cookie(now, addr(0), two); c.Client != one || len(c.Server()) != 0 {
		t.Errorf("took what it must not: %+v", c)
	}
	i.LearnCookie(addr(0), one, server)
	if c := i.Cookie(now, addr(0), two); !bytes.Equal(c.Server(), server) {
		t.Errorf("did not learn: %+v", c)
	}
	if c := i.Cookie(now, addr(1), two); c.Client != two || len(c.Server()) != 0 {
		t.Errorf("servers share a cookie: %+v", c)
	}
	if c := i.Cookie(now.Add(25*time.Hour), addr(0), two); c.Client != two || len(c.Server()) != 0 {
		t.Errorf("a day later: %+v", c)
	}
}

func TestServersListing(t *testing.T) {
	i := fresh(Options{})
	answered(i, 1, addr(0), 10*ms)
	i.Unreachable(1, addr(1), "connection refused", false)
	var got []ServerInfo
	i.Servers(2, func(s ServerInfo) bool { got = append(got, s); return true })
	if len(got) != 2 || got[0].Health != "unreachable" || got[0].Text != "connection refused" || got[1].SRTT != 10*ms || got[1].Answered != 8 {
		t.Errorf("got %+v", got)
	}
	i.Servers(2, func(ServerInfo) bool { got = nil; return false })
	if got != nil {
		t.Error("goes on after false")
	}
}

// A server that was slow has its chance again with one reply that is much
// faster, but not for one lucky reply among others.
func TestSlowServerGetsFast(t *testing.T) {
	var a address
	at := clock.Mono(time.Second)
	a.hear(at, 2*time.Second)
	a.hear(at.Add(time.Second), 20*ms)
	if a.srtt < time.Second {
		t.Errorf("after one among others: %v", a.srtt)
	}
	a.hear(at.Add(time.Minute), 20*ms)
	if a.srtt != 20*ms {
		t.Errorf("after a pause: %v", a.srtt)
	}
	a.hear(at.Add(2*time.Minute), 2*time.Second)
	if a.srtt > time.Second {
		t.Errorf("slow again at once: %v", a.srtt)
	}
}
