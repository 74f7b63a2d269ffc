package resolver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/anchor"
	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
	"lastgood/internal/ede"
	"lastgood/internal/event"
	"lastgood/internal/infra"
	"lastgood/internal/iterator"
	"lastgood/internal/rrset"
	"lastgood/internal/validator"
	"lastgood/internal/wire"
)

// scripted is an iterator that a test wrote, and what is known of its servers.
type scripted struct {
	asked  atomic.Int32
	clock  *clock.Clock
	script func(ctx context.Context, r iterator.Request) iterator.Result

	mu      sync.Mutex
	sick    map[dnsname.Name]infra.Trouble // zones in trouble
	above   bool                           // and what is beneath them, for there are no other zones
	wanted  []event.Question
	sooner  bool
	due     []infra.Recheck // given once
	next    clock.Mono
	plans   int // how often the plan of rechecks was looked at
	probe   func(infra.Recheck) iterator.Result
	learned time.Duration
	samples []time.Duration
	offline bool
	blamed  []string   // what infra heard of validation
	cause   *ede.Error // of what it forgets
}

func (s *scripted) Resolve(ctx context.Context, r iterator.Request) iterator.Result {
	s.asked.Add(1)
	if r.Until != 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.Until.Sub(s.clock.Now()))
		defer cancel()
	}
	return s.script(ctx, r)
}

func (s *scripted) Trouble(_ clock.Mono, cut dnsname.Name) (infra.Trouble, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tr, ok := s.sick[cut]
	if tr.Cut = cut; !ok && s.above {
		for up := cut; !ok && !up.IsRoot(); tr.Cut = up {
			up = up.Parent()
			tr, ok = s.sick[up]
		}
	}
	return tr, ok
}

func (s *scripted) Undo(clock.Mono, *iterator.Result) {}

func (s *scripted) NameBogus(_ clock.Mono, cut, name dnsname.Name, _ *ede.Error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blamed = append(s.blamed, "bogus "+cut.String()+" "+name.String())
	return false
}

func (s *scripted) CutSound(_ clock.Mono, cut dnsname.Name) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blamed = append(s.blamed, "sound "+cut.String())
	return false
}

func (s *scripted) SoundBelow(clock.Mono, dnsname.Name) *ede.Error { return s.cause }

func (s *scripted) Want(_ clock.Mono, _ dnsname.Name, q event.Question) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted = append(s.wanted, q)
	return s.sooner
}

func (s *scripted) Recheck(_ context.Context, c infra.Recheck) iterator.Result {
	s.mu.Lock()
	probe := s.probe
	s.mu.Unlock()
	return probe(c)
}

func (s *scripted) Rechecks(clock.Mono) ([]infra.Recheck, clock.Mono) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plans++
	due, next := s.due, s.next
	s.due, s.next = nil, 0
	return due, next
}

func (s *scripted) Resolved(_ clock.Mono, _ dnsname.Name, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.samples = append(s.samples, took)
}

func (s *scripted) ClientTimeout(dnsname.Name) (time.Duration, int) { return s.learned, len(s.samples) }

func (s *scripted) Offline(clock.Mono) (clock.Mono, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return 0, s.offline
}

// with changes what the script says, or looks at it.
func (s *scripted) with(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// ail makes a zone be in trouble, nil ends it.
func (s *scripted) ail(cut string, tr *infra.Trouble) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sick == nil {
		s.sick = map[dnsname.Name]infra.Trouble{}
	}
	if delete(s.sick, name(cut)); tr != nil {
		s.sick[name(cut)] = *tr
	}
}

type script = func(context.Context, iterator.Request) iterator.Result

func newTest(t *testing.T, change func(*Options), s script) (*Resolver, *scripted) {
	t.Helper()
	clk := clock.New()
	it := &scripted{clock: clk, script: s, learned: 500 * time.Millisecond}
	o := Options{
		Cache: cache.New(cache.Options{Size: 4 << 20, MaxTTL: 7 * 24 * time.Hour, MaxNegativeTTL: time.Hour,
			FailureMin: time.Second, FailureMax: 5 * time.Minute, Seed: 1}),
		Clock:       clk,
		NewIterator: func(iterator.Flights) Iterator { return it }, Health: it,
		Deadline: 10 * time.Second, UpstreamQueries: 50, ReplyBytes: 1 << 20, CNAMEHops: 11, Depth: 4, Flights: 1000,
		Minimal: true, SpecialNames: true,
	}
	if change != nil {
		change(&o)
	}
	r := New(o)
	t.Cleanup(r.Close)
	return r, it
}

func name(s string) dnsname.Name { return dnsname.MustParse(s) }

func newClock() *clock.Clock { return clock.New() }

func entry(owner string, t wire.Type, ttl uint32, rdata ...string) cache.Entry {
	e := cache.Entry{Kind: cache.Data, Name: name(owner), Type: t, Rank: cache.RankAuthAnswer, TTL: ttl, Cut: dnsname.Root}
	e.Set = rrset.Set{Name: e.Name, Type: t, TTL: ttl}
	for _, rd := range rdata {
		e.Set.Add(ttl, []byte(rd))
	}
	return e
}

func alias(owner string, ttl uint32, to string) cache.Entry {
	return entry(owner, wire.TypeCNAME, ttl, string(name(to)))
}

func address(owner string, ttl uint32, last byte) cache.Entry {
	return entry(owner, wire.TypeA, ttl, string([]byte{192, 0, 2, last}))
}

func denial(k cache.Kind, owner string, t wire.Type, ttl uint32) cache.Entry {
	return cache.Entry{Kind: k, Name: name(owner), Type: t, Rank: cache.RankAuthAnswer, TTL: ttl, Cut: dnsname.Root,
		Proof: []rrset.Set{specialSOA(name("example."))}}
}

func (r *Resolver) ask(owner string, t wire.Type) *Answer {
	return r.Resolve(context.Background(), Query{Name: name(owner), Type: t, RD: true, Stays: true, Arrival: r.clock.Now()})
}

// shape is a chain as text.
func shape(a *Answer) string {
	s := a.Rcode.String()
	for _, h := range a.Chain {
		s += fmt.Sprintf(" %s/%s:%d", h.Entry.Name, h.Entry.Type, a.ttl(&h))
	}
	for _, e := range a.Errors {
		s += " " + e.ID
	}
	return s
}

func expect(t *testing.T, a *Answer, want string) {
	t.Helper()
	if got := shape(a); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestManyClientsOneFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, it := newTest(t, nil, func(context.Context, iterator.Request) iterator.Result {
			time.Sleep(100 * time.Millisecond)
			return iterator.Result{Entries: []cache.Entry{address("www.example.", 0, 1)}}
		})
		var good atomic.Int32
		var clients sync.WaitGroup
		for range 10_000 {
			clients.Go(func() {
				if a := r.ask("www.example.", wire.TypeA); shape(a) == "NOERROR www.example./A:0" {
					good.Add(1)
				}
			})
		}
		clients.Wait()
		if good.Load() != 10_000 || it.asked.Load() != 1 {
			t.Errorf("%d good answers of %d resolutions, want 10000 of 1", good.Load(), it.asked.Load())
		}
		if s := r.Stats(); s.FlightsJoined != 9_999 || s.FlightsOpen != 0 {
			t.Errorf("joined %d, still open %d", s.FlightsJoined, s.FlightsOpen)
		}
	})
}

func TestFlightOutlivesItsClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, it := newTest(t, nil, func(context.Context, iterator.Request) iterator.Result {
			time.Sleep(time.Second)
			return iterator.Result{Entries: []cache.Entry{address("www.example.", 60, 1)}}
		})
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		defer cancel()
		a := r.Resolve(ctx, Query{Name: name("www.example."), Type: wire.TypeA, RD: true, Arrival: r.clock.Now()})
		expect(t, a, "SERVFAIL DEAD")
		time.Sleep(2 * time.Second)
		expect(t, r.ask("www.example.", wire.TypeA), "NOERROR www.example./A:59")
		if it.asked.Load() != 1 {
			t.Errorf("%d resolutions: the first client took its flight along", it.asked.Load())
		}
	})
}

func TestClientWaitsNoLongerThanTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newTest(t, nil, func(ctx context.Context, _ iterator.Request) iterator.Result {
			<-ctx.Done()
			return iterator.Result{Failure: &ede.Error{Code: ede.NoReachableAuthority, ID: "SLOW"}}
		})
		start := time.Now()
		a := r.ask("www.example.", wire.TypeA)
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("after %s", took)
		}
		expect(t, a, "SERVFAIL SLOW") // the flight's own cause, not just that time ran out
	})
}

// Two flights that need each other must both end, whichever comes first.
func TestFlightsThatNeedEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		need := map[dnsname.Name]string{name("ns.a."): "ns.b.", name("ns.b."): "ns.a."}
		var r *Resolver
		r, _ = newTest(t, nil, func(ctx context.Context, req iterator.Request) iterator.Result {
			time.Sleep(time.Millisecond) // both flights are on the table before either asks
			if _, _, err := r.Addresses(ctx, req, name(need[req.Name]), wire.TypeA); err != nil {
				return iterator.Result{Failure: &ede.Error{Code: ede.NoReachableAuthority, ID: "NEED", Text: err.Error()}}
			}
			return iterator.Result{Entries: []cache.Entry{address(req.Name.String(), 60, 1)}}
		})
		start := time.Now()
		var clients sync.WaitGroup
		for _, n := range []string{"ns.a.", "ns.b."} {
			clients.Go(func() { expect(t, r.ask(n, wire.TypeA), "SERVFAIL NEED") })
		}
		clients.Wait()
		if took := time.Since(start); took > time.Second {
			t.Errorf("the circle was broken by a deadline only, after %s", took)
		}
		if r.Stats().LoopsRefused == 0 {
			t.Error("no wait was refused")
		}
	})
}

func TestNameServersNeedingNameServersHaveADepth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r *Resolver
		var it *scripted
		r, it = newTest(t, nil, func(ctx context.Context, req iterator.Request) iterator.Result {
			deeper, _ := req.Name.Prepend("ns")
			_, _, err := r.Addresses(ctx, req, deeper, wire.TypeA)
			var e *ede.Error
			if !errors.As(err, &e) {
				t.Errorf("no cause in %v", err)
			}
			return iterator.Result{Failure: e}
		})
		expect(t, r.ask("example.", wire.TypeA), "SERVFAIL DEEP")
		if it.asked.Load() != 5 {
			t.Errorf("%d flights, want the question's and 4 deeper ones", it.asked.Load())
		}
		// The deepest one failed for its depth only: asked by itself it has all of it.
		before := it.asked.Load()
		r.ask("ns.ns.ns.ns.example.", wire.TypeA)
		if n := it.asked.Load() - before; n != 5 {
			t.Errorf("%d flights for the deepest name, want 5: its failure was held against it", n)
		}
	})
}

func TestJoinerOfAFlightThatEndedOnItsBudgetRestartsItOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r *Resolver
		r, it := newTest(t, nil, func(_ context.Context, req iterator.Request) iterator.Result {
			time.Sleep(time.Second)
			if req.Depth == 0 && req.Flight == 1 {
				return iterator.Result{Budget: true, Failure: &ede.Error{Code: ede.Other, ID: "BUDG"}}
			}
			return iterator.Result{Entries: []cache.Entry{address("www.example.", 60, 1)}}
		})
		var clients sync.WaitGroup
		clients.Go(func() { expect(t, r.ask("www.example.", wire.TypeA), "SERVFAIL BUDG") })
		synctest.Wait()
		for range 10 {
			clients.Go(func() { expect(t, r.ask("www.example.", wire.TypeA), "NOERROR www.example./A:60") })
		}
		clients.Wait()
		if it.asked.Load() != 2 {
			t.Errorf("%d resolutions, want 2", it.asked.Load())
		}
	})
}

// A name server's address that could not be found on what another question had
// left of its budget is not held against who asks for it with a budget of its own.
func TestSpentBudgetIsNotHeldAgainstANameServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r *Resolver
		r, _ = newTest(t, nil, func(ctx context.Context, req iterator.Request) iterator.Result {
			if req.Depth > 0 {
				return iterator.Result{Budget: true, Failure: &ede.Error{Code: ede.Other, ID: "BUDG"}}
			}
			if req.Name == name("ns.example.") {
				return iterator.Result{Entries: []cache.Entry{address("ns.example.", 60, 1)}}
			}
			_, _, err := r.Addresses(ctx, req, name("ns.example."), wire.TypeA)
			var e *ede.Error
			if !errors.As(err, &e) {
				t.Errorf("no cause in %v", err)
			}
			return iterator.Result{Budget: true, Failure: e}
		})
		expect(t, r.ask("costly.example.", wire.TypeA), "SERVFAIL BUDG")
		expect(t, r.ask("ns.example.", wire.TypeA), "NOERROR ns.example./A:60")
		expect(t, r.ask("costly.example.", wire.TypeA), "SERVFAIL BUDG RFAI")
	})
}

func TestGivenUpQuestionSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newTest(t, nil, func(ctx context.Context, _ iterator.Request) iterator.Result {
			time.Sleep(time.Second)
			return iterator.Result{Failure: &ede.Error{ID: "LATE"}}
		})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(100*time.Millisecond, cancel)
		expect(t, r.Resolve(ctx, Query{Name: name("www.example."), Type: wire.TypeA, RD: true, Arrival: r.clock.Now()}), "SERVFAIL STOP")
	})
}

// RFC 8767 §4, RFC 1035 §3.2.1: TTL 0 is for the transaction in progress only.
func TestZeroTTLIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, it := newTest(t, nil, func(_ context.Context, req iterator.Request) iterator.Result {
			if req.Name == name("www.example.") {
				return iterator.Result{Entries: []cache.Entry{alias("www.example.", 0, "host.example.")}}
			}
			return iterator.Result{Entries: []cache.Entry{address("host.example.", 60, 1)}}
		})
		for want := range int32(3) {
			expect(t, r.ask("www.example.", wire.TypeA), "NOERROR www.example./CNAME:0 host.example./A:60")
			if it.asked.Load() != 2+want {
				t.Fatalf("%d resolutions after %d questions: only the alias is asked again", it.asked.Load(), want+1)
			}
		}
	})
}

func TestChainIsWholeOrNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newTest(t, nil, func(_ context.Context, req iterator.Request) iterator.Result {
			switch req.Name {
			case name("a.example."):
				return iterator.Result{Entries: []cache.Entry{alias("a.example.", 60, "b.example."), alias("b.example.", 60, "c.example.")}}
			case name("nx.example."):
				return iterator.Result{Entries: []cache.Entry{alias("nx.example.", 60, "no.example.")}}
			case name("no.example."):
				return iterator.Result{Entries: []cache.Entry{denial(cache.NXDomain, "no.example.", 0, 60)}}
			}
			return iterator.Result{Failure: &ede.Error{Code: ede.NoReachableAuthority, ID: "DOWN"}}
		})
		expect(t, r.ask("a.example.", wire.TypeA), "SERVFAIL DOWN")
		expect(t, r.ask("a.example.", wire.TypeA), "SERVFAIL DOWN RFAI")
		expect(t, r.ask("nx.example.", wire.TypeA), "NXDOMAIN nx.example./CNAME:60 no.example./TYPE0:60")
	})
}

func TestAliasesInACircle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, it := newTest(t, nil, func(_ context.Context, req iterator.Request) iterator.Result {
			to := map[dnsname.Name]string{name("a.example."): "b.example.", name("b.example."): "a.example.", name("self.example."): "self.example."}[req.Name]
			if to == "" { // an endless chain
				next, _ := req.Name.Prepend("x")
				to = next.String()
			}
			return iterator.Result{Entries: []cache.Entry{alias(req.Name.String(), 60, to)}}
		})
		expect(t, r.ask("self.example.", wire.TypeA), "SERVFAIL CLUP")
		expect(t, r.ask("a.example.", wire.TypeA), "SERVFAIL CLUP")
		before := it.asked.Load()
		expect(t, r.ask("x.example.", wire.TypeA), "SERVFAIL CHOP")
		if n := it.asked.Load() - before; n != 12 {
			t.Errorf("%d hops resolved, want 11 aliases and the one too many", n)
		}
	})
}

func TestDNAME(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		long := "x." + fmt.Sprintf("%063d.%063d.%063d.%040d.", 1, 2, 3, 4)
		r, it := newTest(t, nil, func(_ context.Context, req iterator.Request) iterator.Result {
			if req.Name.Under(name("old.example.")) {
				return iterator.Result{Entries: []cache.Entry{entry("old.example.", wire.TypeDNAME, 60, string(name("new.example.")))}}
			}
			if req.Name.Under(name("deep.example.")) {
				return iterator.Result{Entries: []cache.Entry{entry("deep.example.", wire.TypeDNAME, 60, string(name(long)))}}
			}
			return iterator.Result{Entries: []cache.Entry{address(req.Name.String(), 30, 9)}}
		})
		a := r.ask("www.old.example.", wire.TypeA)
		expect(t, a, "NOERROR old.example./DNAME:60 www.new.example./A:30")
		if a.Chain[0].Alias != name("www.old.example.") || a.Chain[0].Target != name("www.new.example.") {
			t.Errorf("synthesised %s -> %s", a.Chain[0].Alias, a.Chain[0].Target)
		}
		// The second name below the DNAME needs no question about it.
		expect(t, r.ask("ftp.old.example.", wire.TypeA), "NOERROR old.example./DNAME:60 ftp.new.example./A:30")
		if it.asked.Load() != 3 {
			t.Errorf("%d resolutions, want 3", it.asked.Load())
		}
		tooLong := fmt.Sprintf("%063d.%063d.deep.example.", 1, 2)
		expect(t, r.ask(tooLong, wire.TypeA), "YXDOMAIN deep.example./DNAME:60")
	})
}

// Invariant 1: a failure never overwrites data, and is not asked for again
// while it is remembered (RFC 9520 §3.2).
func TestFailureIsRememberedApartFromData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fail := false
		r, it := newTest(t, nil, func(context.Context, iterator.Request) iterator.Result {
			if fail {
				return iterator.Result{Refused: true, Failure: &ede.Error{Code: ede.NetworkError, ID: "REFU"}}
			}
			return iterator.Result{Entries: []cache.Entry{address("www.example.", 60, 1)}}
		})
		r.ask("www.example.", wire.TypeA)
		fail = true
		expect(t, r.ask("www.example.", wire.TypeAAAA), "REFUSED REFU")
		expect(t, r.ask("www.example.", wire.TypeAAAA), "REFUSED REFU RFAI")
		expect(t, r.ask("www.example.", wire.TypeA), "NOERROR www.example./A:60")
		if it.asked.Load() != 2 {
			t.Errorf("%d resolutions, want 2", it.asked.Load())
		}
		time.Sleep(time.Minute)
		fail = false
		expect(t, r.ask("www.example.", wire.TypeA), "NOERROR www.example./A:60")
	})
}

func TestWithoutRDTheCacheAloneAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, it := newTest(t, nil, func(context.Context, iterator.Request) iterator.Result {
			return iterator.Result{Entries: []cache.Entry{alias("a.example.", 60, "b.example."), address("b.example.", 60, 1)}}
		})
		q := Query{Name: name("a.example."), Type: wire.TypeA, Arrival: r.clock.Now()}
		expect(t, r.Resolve(context.Background(), q), "REFUSED NORD")
		r.ask("a.example.", wire.TypeA)
		expect(t, r.Resolve(context.Background(), q), "NOERROR a.example./CNAME:60 b.example./A:60")
		if it.asked.Load() != 1 {
			t.Errorf("a question without RD was resolved")
		}
	})
}

func TestPanicBecomesServfailAndIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard any
		r, _ := newTest(t, func(o *Options) { o.Panicked = func(v any, _ []byte) { heard = v } },
			func(context.Context, iterator.Request) iterator.Result { panic("a bug") })
		expect(t, r.ask("www.example.", wire.TypeA), "SERVFAIL PANC")
		if heard != "a bug" {
			t.Errorf("reported %v", heard)
		}
	})
}

// panicky is a validator with a bug.
type panicky struct{ Validator }

func (panicky) Judge(context.Context, validator.Fetcher, event.Question, []cache.Entry, *dnssec.Budget) validator.Verdict {
	panic("a bug")
}

func (panicky) Anchored(dnsname.Name, wire.Type) bool           { return true }
func (panicky) Against(dnsname.Name, wire.Type) *anchor.Against { return nil }

func (panicky) Explain(context.Context, validator.Fetcher, *cache.Entry, *dnssec.Budget) []validator.Link {
	panic("a bug")
}

// Rejudging asks for one to judge with.
func (panicky) Regardless() *validator.Validator { return nil }

func TestValidatorThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		heard := 0
		r, _ := newTest(t, func(o *Options) {
			o.Panicked, o.Validator = func(any, []byte) { heard++ }, panicky{}
		}, func(context.Context, iterator.Request) iterator.Result {
			return iterator.Result{Entries: []cache.Entry{address("www.example.", 60, 1)}}
		})
		expect(t, r.ask("www.example.", wire.TypeA), "SERVFAIL PANC")
		if heard != 1 {
			t.Errorf("reported %d times", heard)
		}
		q := Query{Name: name("www.example."), Type: wire.TypeA, RD: true, Arrival: r.clock.Now()}
		if list := r.Trust(t.Context(), &q, &Answer{}); heard != 2 || len(list) != 1 || len(list[0].Links) > 0 {
			t.Errorf("the chain of trust: reported %d times, %+v", heard, list)
		}
		if j := r.Rejudge(t.Context(), event.Question{Name: q.Name, Type: q.Type}); heard != 3 || j.Security != rrset.Indeterminate || j.Failure == nil || j.Failure.ID != "PANC" {
			t.Errorf("judged again: reported %d times, %+v", heard, j)
		}
		if e := r.Latest(t.Context(), event.Question{Name: q.Name, Type: q.Type}, func(*cache.Entry) bool { panic("a bug") }); heard != 4 || e == nil || e.ID != "PANC" {
			t.Errorf("whoever accepts: reported %d times, %v", heard, e)
		}
	})
}

func TestTooManyFlights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newTest(t, func(o *Options) { o.Flights = 2 }, func(context.Context, iterator.Request) iterator.Result {
			time.Sleep(time.Second)
			return iterator.Result{Failure: &ede.Error{Code: ede.Other, ID: "DONE"}}
		})
		var clients sync.WaitGroup
		for _, n := range []string{"a.", "b."} {
			clients.Go(func() { expect(t, r.ask(n, wire.TypeA), "SERVFAIL DONE") })
		}
		synctest.Wait()
		expect(t, r.ask("c.", wire.TypeA), "SERVFAIL FULL")
		clients.Wait()
	})
}

func TestAddressesFollowAliases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newTest(t, nil, func(_ context.Context, req iterator.Request) iterator.Result {
			return iterator.Result{Entries: []cache.Entry{alias("ns.example.", 60, "real.example."), address("real.example.", 60, 7)}}
		})
		got, stale, err := r.Addresses(context.Background(), iterator.Request{Budget: iterator.NewBudget(5, 1<<20)}, name("ns.example."), wire.TypeA)
		if err != nil || stale || len(got) != 1 || got[0] != netip.MustParseAddr("192.0.2.7") {
			t.Errorf("%v, %v, %v", got, stale, err)
		}
	})
}

func TestAdditionalRecordsOnlyWhenWanted(t *testing.T) {
	for _, minimal := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			r, _ := newTest(t, func(o *Options) { o.Minimal = minimal }, nothing)
			mx := entry("example.", wire.TypeMX, 300, "\x00\x0a"+string(name("mail.example.")))
			host := address("mail.example.", 60, 25)
			r.cache.Put(r.clock.Now(), &mx)
			r.cache.Put(r.clock.Now(), &host)
			time.Sleep(10 * time.Second)
			var b wire.Builder
			b.Reset(nil, 512, wire.Header{})
			r.ask("example.", wire.TypeMX).Write(&b)
			v, err := wire.Read(b.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			var extra []string
			for c := v.Records(); c.Next(); {
				if rec := c.Record(); rec.Section == wire.AdditionalSection {
					extra = append(extra, fmt.Sprintf("%s %d", rec.Type, rec.TTL))
				}
			}
			if want := map[bool]string{true: "[]", false: "[A 50]"}[minimal]; fmt.Sprint(extra) != want {
				t.Errorf("minimal %v: %v, want %s", minimal, extra, want)
			}
		})
	}
}
