package infra

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/event"
	"lastgood/internal/wire"
)

const sec = clock.Mono(time.Second)

// suspects makes addresses suspect from a moment on, which it gives.
func suspects(i *Infra, now clock.Mono, addrs ...netip.AddrPort) clock.Mono {
	for _, a := range addrs {
		answered(i, now, a, 10*ms)
	}
	now = now.Add(time.Second)
	for _, a := range addrs {
		fallSilent(i, now, a, 3)
	}
	return now.Add(2*ms + 100*ms)
}

// A cut that fails by silence has failed since the last of its servers fell silent,
// not since somebody came to the end of an attempt; any other since then.
func TestFailingSince(t *testing.T) {
	i := fresh(Options{})
	now := suspects(i, sec, addr(0), addr(1)).Add(10 * time.Second)
	i.CutFailed(now, zone, nil, Blame{Silent: cands(addr(0), addr(1))})
	if f, _ := i.CutFailing(now, zone); f.Since != 2*sec {
		t.Errorf("since %v", f.Since)
	}
	if z := i.Zones(now); len(z) != 1 || z[0].Since != 2*sec {
		t.Errorf("%+v", z)
	}
	other := dnsname.MustParse("other.example")
	i.CutFailed(now, other, nil, Blame{Refused: true})
	if f, _ := i.CutFailing(now, other); f.Since != now {
		t.Errorf("refused since %v", f.Since)
	}
}

// A cut is in trouble when all its servers are suspect or unreachable, from the
// very moment on, and no longer than until one of them is heard.
func TestTroubleOfSuspects(t *testing.T) {
	i := fresh(Options{})
	servers := cands(addr(0), addr(1))
	now := suspects(i, sec, addr(0), addr(1))
	if _, bad := i.Trouble(now-1, zone, servers); bad {
		t.Error("in trouble before the last of them is suspect")
	}
	tr, bad := i.Trouble(now, zone, servers)
	if !bad || tr.Failing || tr.Refused || tr.Recovered || tr.Cause == nil || tr.Cause.Text != "192.0.2.1 does not answer" {
		t.Errorf("%+v, %v", tr, bad)
	}
	if _, bad := i.Trouble(now, zone, append(servers, cands(addr(2))...)); bad {
		t.Error("in trouble with a server of whom nothing is known")
	}
	if _, bad := i.Trouble(now, zone, nil); bad {
		t.Error("in trouble without servers")
	}
	i.Answered(now, addr(1), 10*ms)
	if tr, bad := i.Trouble(now, zone, servers); bad || tr.Recovered {
		t.Errorf("after a reply: %+v, %v", tr, bad)
	}
	i.Unreachable(now, addr(1), "connection refused", false)
	if _, bad := i.Trouble(now, zone, servers); !bad {
		t.Error("not in trouble with one suspect and one unreachable")
	}
	if !i.Quiet(now, servers) || i.Quiet(now, nil) || i.Quiet(now, cands(addr(2))) {
		t.Error("quiet differs")
	}
}

// Addresses of a family that is not used, or dead while the other lives, neither
// make trouble nor keep a cut out of it.
func TestTroubleLeavesFamiliesOut(t *testing.T) {
	i := fresh(Options{IPv4: true})
	now := suspects(i, sec, addr(0))
	if _, bad := i.Trouble(now, zone, cands(addr(0), v6(0))); !bad {
		t.Error("kept out of trouble by an address that is not used")
	}
	if _, bad := i.Trouble(now, zone, cands(v6(0))); bad {
		t.Error("in trouble by an address that is not used")
	}
}

// A silent cut comes back by itself with any reply of one of its servers; one that
// fails for errors or lameness with something useful of its own only.
func TestWhatEndsAFailure(t *testing.T) {
	for _, silent := range []bool{true, false} {
		i := fresh(Options{})
		servers := cands(addr(0), addr(1))
		now := suspects(i, sec, addr(0), addr(1))
		cause := &ede.Error{Code: ede.NoReachableAuthority, ID: "TEST"}
		blame := Blame{Refused: !silent}
		if silent {
			blame.Silent = servers
		}
		if !i.CutFailed(now, zone, cause, blame) || i.CutFailed(now, zone, cause, blame) {
			t.Fatal("it begins once")
		}
		if tr, bad := i.Trouble(now, zone, nil); !bad || !tr.Failing || tr.Refused == silent || tr.Cause != cause {
			t.Errorf("%+v, %v", tr, bad)
		}
		if f, _ := i.CutFailing(now, zone); f.Refused == silent {
			t.Errorf("%+v", f)
		}
		now = now.Add(time.Second)
		i.Answered(now, addr(1), 10*ms) // to whatever question, of whatever zone
		if _, failing := i.CutFailing(now, zone); failing == silent {
			t.Errorf("silent %v: failing %v", silent, failing)
		}
		tr, bad := i.Trouble(now, zone, servers)
		if bad == silent || tr.Recovered != silent {
			t.Errorf("silent %v: after a reply %+v, %v", silent, tr, bad)
		}
		if tr, _ := i.Trouble(now, zone, servers); tr.Recovered {
			t.Error("told twice")
		}
		if got := i.Useful(now, zone, addr(1)); got == silent {
			t.Errorf("silent %v: recovered %v", silent, got)
		}
		if tr, bad := i.Trouble(now, zone, servers); bad || tr.Recovered {
			t.Errorf("in the end: %+v, %v", tr, bad)
		}
	}
}

// A failure that is reported after the reply, by those who were silent again,
// begins anew; and whoever hears of the return hears it once, by whatever way.
func TestSilentAgain(t *testing.T) {
	i := fresh(Options{})
	servers := cands(addr(0))
	now := suspects(i, sec, addr(0))
	i.CutFailed(now, zone, nil, Blame{Silent: servers})
	i.Answered(now.Add(ms), addr(0), 10*ms)
	now = suspects(i, now.Add(time.Second), addr(0))
	if !i.CutFailed(now, zone, nil, Blame{Silent: servers}) {
		t.Error("the second outage is not told of")
	}
	i.Answered(now.Add(ms), addr(0), 10*ms)
	if !i.Useful(now.Add(ms), zone, addr(0)) || i.Useful(now.Add(ms), zone, addr(0)) {
		t.Error("the return is not told once")
	}
	if tr, bad := i.Trouble(now.Add(ms), zone, servers); bad || tr.Recovered {
		t.Errorf("%+v, %v", tr, bad)
	}
}

// Neither question allocates: an outage brings tens of thousands a second.
func TestTroubleAllocatesNothing(t *testing.T) {
	i := fresh(Options{})
	servers := cands(addr(0), addr(1), addr(2), addr(3))
	now := suspects(i, sec, addr(0), addr(1), addr(2), addr(3))
	i.Resolved(now, zone, 30*ms)
	failing := dnsname.MustParse("failing.example")
	i.CutFailed(now, failing, &ede.Error{}, Blame{Silent: servers})
	w := Want{Cut: zone, Servers: servers}
	i.Wanted(now, w)
	if n := testing.AllocsPerRun(100, func() {
		i.Trouble(now, zone, servers)
		i.Trouble(now, failing, servers)
		i.ClientTimeout(zone)
		i.Wanted(now, w)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The own network is down when three addresses and more were asked, none was
// heard for three seconds, nor was somebody else within one more, and until
// anybody is.
func TestOffline(t *testing.T) {
	for _, c := range []struct {
		addrs int
		after time.Duration // the last question, since the first
		want  bool
	}{{3, 3 * time.Second, true}, {3, 3*time.Second - 1, false}, {2, time.Hour, false}, {20, 3 * time.Second, true}} {
		i := fresh(Options{})
		answered(i, sec, addr(0), 10*ms)
		start := 10 * sec
		for n := range 100 {
			i.Sent(start.Add(time.Duration(n)), addr(n%c.addrs))
		}
		now := start.Add(c.after)
		due, next := i.Rechecks(now)
		if len(due) == 1 != c.want || c.want && next != now.Add(time.Second) || c.addrs == 3 && !c.want && next < start.Add(3*time.Second) {
			t.Errorf("%+v: %+v, next %v", c, due, next)
		}
		if _, off := i.Offline(now.Add(time.Second - 1)); off {
			t.Errorf("%+v: before somebody else had time to answer", c)
		}
		since, off := i.Offline(now.Add(time.Second))
		if off != c.want || off && since != start {
			t.Errorf("%+v: %v, %v", c, since, off)
		}
		if due, _ := i.Rechecks(now.Add(time.Second)); len(due) > 0 && c.want {
			t.Errorf("%+v: again %+v", c, due)
		}
		i.Answered(now.Add(time.Second), addr(50), 0)
		if _, off := i.Offline(start.Add(time.Hour)); off {
			t.Errorf("%+v: after a reply", c)
		}
	}
	i := fresh(Options{})
	for n := range 3 {
		i.Sent(sec, addr(n))
		i.Unreachable(sec, addr(n), "connection refused", false) // somebody says so
	}
	i.Rechecks(9 * sec)
	if _, off := i.Offline(10 * sec); off {
		t.Error("offline, though servers refuse")
	}
	for n := range 3 {
		i.Unreachable(sec, addr(n), "no route", true)
	}
	i.Rechecks(9 * sec)
	if _, off := i.Offline(10 * sec); !off {
		t.Error("online without a route")
	}
}

// Who is asked before the own network is said to be down: a server of the root,
// else the one that was heard last, not those that were asked already; when none
// is known, whoever asks finds one. What was silent before tells nothing new.
func TestBystander(t *testing.T) {
	other := dnsname.MustParse("other.")
	i := fresh(Options{})
	now := sec
	useful := func(n int, cut dnsname.Name) {
		answered(i, now, addr(n), 10*ms)
		i.Useful(now, cut, addr(n))
		now = now.Add(time.Second)
	}
	silence := func() (due []Recheck) {
		for n := range 4 {
			fallSilent(i, now, addr(n), 3)
		}
		now = now.Add(3 * time.Second)
		due, _ = i.Rechecks(now)
		return due
	}
	ask := func(want Recheck) {
		t.Helper()
		due := silence()
		if len(due) != 1 || due[0].Server != want.Server || due[0].Cut != want.Cut || due[0].Question != (event.Question{Name: want.Cut, Type: wire.TypeNS}) {
			t.Fatalf("%+v, want %+v", due, want)
		}
		if now = now.Add(10 * ms); want.Server.Addr.IsValid() {
			i.Answered(now, want.Server.Addr, 10*ms)
		} else {
			i.Answered(now, addr(99), 10*ms)
		}
		for n := range 4 {
			i.Answered(now, addr(n), 10*ms)
		}
	}
	ask(Recheck{Cut: dnsname.Root})
	for n := range 4 {
		useful(n, zone)
	}
	ask(Recheck{Cut: dnsname.Root})
	useful(11, zone)
	ask(Recheck{Cut: zone, Server: Candidate{Addr: addr(11)}})
	useful(10, other)
	useful(11, zone)
	ask(Recheck{Cut: other, Server: Candidate{Addr: addr(10)}})
	useful(12, dnsname.Root)
	useful(13, other)
	now = now.Add(time.Minute)
	ask(Recheck{Cut: dnsname.Root, Server: Candidate{Addr: addr(12)}})
	now = now.Add(time.Minute)
	silence()
	now = now.Add(10 * ms)
	i.Answered(now, addr(12), 10*ms)
	silence() // began within the same silence
	now = now.Add(10 * ms)
	i.Answered(now, addr(12), 10*ms)
	for range 8 {
		if due := silence(); len(due) != 0 {
			t.Fatalf("asked %+v for what was silent already", due)
		}
	}
	now = now.Add(offlineDoubts)
	if due := silence(); len(due) != 1 {
		t.Errorf("asked %+v for a long silence of all", due)
	}
}

// The client timeout follows the last 64 resolutions.
func TestClientTimeout(t *testing.T) {
	i := fresh(Options{MaxCuts: 2})
	for n, want := range map[int]time.Duration{0: 500 * ms, 15: 500 * ms, 16: 300 * ms, 64: 300 * ms, 200: 300 * ms} {
		cut := dnsname.MustParse("x.example")
		i = fresh(Options{MaxCuts: 2})
		for range n {
			i.Resolved(sec, cut, 150*ms)
		}
		got, samples := i.ClientTimeout(cut)
		if got != want || samples != min(n, 64) {
			t.Errorf("%d: %v of %d", n, got, samples)
		}
		i.ClientTimeout(cut) // as remembered
		for range 64 {
			i.Resolved(sec, cut, 400*ms)
		}
		if got, _ := i.ClientTimeout(cut); got != 800*ms {
			t.Errorf("%d: then %v", n, got)
		}
	}
	for _, cut := range []string{"a.example", "b.example", "c.example"} {
		i.Resolved(sec, dnsname.MustParse(cut), time.Second)
	}
	if n := i.speeds.len(); n != 2 {
		t.Errorf("%d cuts", n)
	}
	i.Resolved(sec, zone, 200*time.Hour) // more than a sample holds
	i.Resolved(sec, zone, -1)
	if got := i.speeds.ring.next.value.samples(new([64]time.Duration)); got[0] < time.Hour || got[1] != 0 {
		t.Errorf("%v", got)
	}
}

// What outlives a restart: failing cuts, which are rechecked at once and come back
// as usual, and what was learnt of speed.
func TestMemory(t *testing.T) {
	servers := cands(addr(0), addr(1))
	silent, erring := dnsname.MustParse("silent.example"), dnsname.MustParse("erring.example")
	i := fresh(Options{})
	now := suspects(i, sec, addr(0), addr(1))
	i.CutFailed(now, silent, &ede.Error{Code: ede.NoReachableAuthority, ID: "MUTE", Text: "so"}, Blame{Silent: servers})
	i.CutFailed(now, erring, &ede.Error{Code: ede.NetworkError}, Blame{Refused: true})
	for n := range 100 {
		i.Resolved(now, erring, time.Duration(n)*ms)
	}
	memory := i.Memory()
	if len(memory) != 2 {
		t.Fatalf("%+v", memory)
	}
	r := New(Options{Rand: rand.New(rand.NewPCG(1, 1))})
	r.Restore(memory)
	now = 5 * sec
	if got, n := r.ClientTimeout(erring); n != 64 || got != first(i.ClientTimeout(erring)) {
		t.Errorf("%v of %d", got, n)
	}
	for _, cut := range []dnsname.Name{silent, erring} {
		tr, bad := r.Trouble(now, cut, servers)
		if !bad || !tr.Failing || tr.Refused != (cut == erring) || tr.Cause.Code == 0 {
			t.Errorf("%v: %+v, %v", cut, tr, bad)
		}
		r.Wanted(now, Want{Cut: cut, Servers: servers, Question: question("www", cut)})
	}
	due, _ := r.Rechecks(now)
	asked := map[dnsname.Name]int{}
	for _, d := range due {
		if !d.Parent {
			asked[d.Cut]++
		}
	}
	if asked[silent] != 2 || asked[erring] != 2 {
		t.Errorf("rechecked at once: %v", asked)
	}
	r.Answered(now, addr(1), 10*ms)
	if tr, bad := r.Trouble(now, silent, servers); bad || !tr.Recovered {
		t.Errorf("after a reply: %+v, %v", tr, bad)
	}
	if !r.Useful(now, erring, addr(0)) {
		t.Error("not recovered by a useful answer")
	}
	if list := r.Memory(); len(list) != 1 || list[0].Failing || len(list[0].Samples) != 64 || list[0].Samples[63] != 99*ms {
		t.Errorf("%+v", list)
	}
}

func first[A, B any](a A, _ B) A { return a }

// The list of zones is sorted, and tells of health, speed and the next recheck.
func TestZones(t *testing.T) {
	i := fresh(Options{})
	silent, suspect, fine := dnsname.MustParse("b.example"), dnsname.MustParse("a.example"), dnsname.MustParse("c.example")
	servers := cands(addr(0))
	servers[0].Host = dnsname.MustParse("ns1.example")
	now := suspects(i, sec, addr(0))
	i.CutFailed(now, silent, &ede.Error{ID: "TEST"}, Blame{Silent: servers})
	i.Resolved(now, fine, 100*ms)
	i.Wanted(now, Want{Cut: suspect, Servers: servers, Question: question("www", suspect)})
	list := i.Zones(now)
	if len(list) != 3 || list[0].Cut != suspect || list[1].Cut != silent || list[2].Cut != fine {
		t.Fatalf("%+v", list)
	}
	if z := list[0]; !z.Suspect || z.Failing || z.Cause == nil || z.Since != 2*sec || z.NextRecheck <= now || z.NextRecheck > now.Add(1100*ms) {
		t.Errorf("suspect: %+v", z)
	} else if z.Cause.Text != "ns1.example. "+addr(0).Addr().String()+" does not answer" { // clients are told the same
		t.Errorf("the cause does not name the server: %s", z.Cause.Text)
	}
	if z := list[1]; !z.Failing || z.Suspect || z.Cause.ID != "TEST" || z.Since != 2*sec || z.LastFailure != now {
		t.Errorf("failing: %+v", z)
	}
	if z := list[2]; z.Failing || z.Suspect || z.Samples != 1 || z.Timeout != 500*ms {
		t.Errorf("fine: %+v", z)
	}
	i.Answered(now.Add(ms), addr(0), 10*ms)
	for _, z := range i.Zones(now.Add(ms)) {
		if z.Failing || z.Suspect {
			t.Errorf("after a reply: %+v", z)
		}
	}
	// A failure is told of when it is over, and one that is nobody's fault too.
	i.AttemptFailed(now.Add(2*ms), fine, &ede.Error{ID: "LOST"})
	told := 0
	for _, z := range i.Zones(now.Add(3 * ms)) {
		lost := z.Cut == fine && z.LastFailure == now.Add(2*ms) && z.Cause.ID == "LOST"
		if over := z.Cut == silent && z.LastFailure == now && z.Cause.ID == "TEST"; (lost || over) && !z.Failing && !z.Suspect {
			told++
		}
	}
	if told != 2 {
		t.Errorf("of what is over: %+v", i.Zones(now.Add(3*ms)))
	}
	// Of a failure that nobody looked after for long it is told that there was one.
	i.CutFailed(now, fine, &ede.Error{ID: "TEST"}, Blame{})
	for later, want := range map[time.Duration]bool{backoffLast - 1: true, backoffLast: false} {
		for _, z := range i.Zones(now.Add(later)) {
			if z.Cut == fine && (z.Failing != want || z.Cause == nil || z.LastFailure != now) {
				t.Errorf("after %v: %+v", later, z)
			}
		}
	}
}

// Trouble that nobody looked after for five minutes is none: whoever asks then
// finds out anew. A failed attempt and a recheck look after a cut; who asks a
// silent server for another cut looks after all that it is silent to.
func TestTroubleIsNotRememberedForLong(t *testing.T) {
	const most = backoffLast
	cause := &ede.Error{Code: ede.NetworkError, ID: "TEST", Text: "said SERVFAIL"}
	servers := cands(addr(0))
	bad := func(i *Infra, now clock.Mono) bool {
		_, bad := i.Trouble(now, zone, servers)
		return bad
	}
	fails := func(b Blame) *Infra {
		i := fresh(Options{})
		answered(i, 1, addr(0), 10*ms)
		i.CutFailed(sec, zone, cause, b)
		return i
	}
	i := fails(Blame{})
	if !bad(i, sec.Add(most-1)) || bad(i, sec.Add(most)) {
		t.Error("a failing cut: not five minutes from the last attempt")
	}
	for later, want := range map[time.Duration]bool{most - 1: true, most: false} {
		if _, failing := i.CutFailing(sec.Add(later), zone); failing != want {
			t.Errorf("failing %v after %v", failing, later)
		}
	}
	again := sec.Add(most + time.Minute)
	if began := i.CutFailed(again, zone, cause, Blame{}); began || !bad(i, again) || bad(i, again.Add(most)) {
		t.Error("a further attempt does not count")
	}
	i = fails(Blame{})
	i.Wanted(sec, Want{Cut: zone, Servers: servers, Question: question("www", zone)})
	at := sec
	for range 5 {
		at = at.Add(time.Second)
		i.Rechecks(at)
	}
	if !bad(i, at.Add(most-3*time.Second)) || bad(i, at.Add(most)) {
		t.Error("a recheck does not count")
	}
	i = fails(Blame{Silent: servers})
	i.Sent(sec.Add(time.Minute), addr(0))
	if !bad(i, sec.Add(most)) || bad(i, sec.Add(most+time.Minute)) {
		t.Error("another cut's question to a silent server does not count")
	}
	i = fails(Blame{Silent: servers})
	late := sec.Add(most + time.Minute)
	i.Sent(late, addr(0)) // another cut's, the first after so long
	if bad(i, late.Add(100*ms-1)) || !bad(i, late.Add(100*ms)) {
		t.Error("the first question after that to a silent server, another cut's, has no time to be answered")
	}
	i = fresh(Options{})
	now := suspects(i, sec, addr(0))
	if !bad(i, now) || !bad(i, now.Add(most-2*time.Second)) || bad(i, now.Add(most)) {
		t.Error("a suspect server: not five minutes from the last question")
	}
	i.Sent(now.Add(most), addr(0)) // the question that finds out
	if bad(i, now.Add(most+100*ms-1)) || !bad(i, now.Add(most+100*ms)) {
		t.Error("the first question after that has no time to be answered, or is waited for longer")
	}
	i = fresh(Options{})
	now = suspects(i, sec, addr(0))
	if !i.Quiet(now.Add(most-2*time.Second), servers) || i.Quiet(now.Add(most), servers) {
		t.Error("quiet for longer than in trouble: nothing would be sent")
	}
}
