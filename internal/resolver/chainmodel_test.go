package resolver

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/ede"
	"lastgood/internal/iterator"
	"lastgood/internal/stale"
	"lastgood/internal/wire"
)

// link is a hop of a chain that a test makes up: what the cache has of it, and
// what comes of asking for it.
type link struct {
	have    stale.State
	e       cache.Entry // what the cache has
	now     cache.Entry // what the servers say
	took    time.Duration
	fails   bool
	hangs   bool
	failed  time.Duration // since its last attempt failed, 0 for none
	trouble bool          // its zone is in trouble, and it is known
	stored  clock.Mono
	asked   clock.Mono // when the servers were asked
	landed  clock.Mono // when what they say came
}

// links makes a chain of up to 11 aliases, some of which lead elsewhere by now.
func links(rnd *rand.Rand) map[string]*link {
	all := map[string]*link{}
	n := 1 + rnd.IntN(12)
	for i := range n {
		owner, next := fmt.Sprintf("h%d.example.", i), fmt.Sprintf("h%d.example.", i+1)
		l := &link{took: time.Duration(1 + rnd.IntN(int(300*ms)))}
		ttl, again := uint32(1+rnd.IntN(100)), uint32(60+rnd.IntN(100))
		switch last := i == n-1; {
		case last && rnd.IntN(4) == 0:
			l.e, l.now = denial(cache.NXDomain, owner, wire.TypeNone, ttl), denial(cache.NXDomain, owner, wire.TypeNone, again)
		case last && rnd.IntN(4) == 0:
			l.e, l.now = denial(cache.NoData, owner, wire.TypeA, ttl), denial(cache.NoData, owner, wire.TypeA, again)
		case last:
			l.e, l.now = address(owner, ttl, 1), address(owner, again, 2)
		default:
			l.e, l.now = alias(owner, ttl, next), alias(owner, again, next)
			if rnd.IntN(12) == 0 {
				l.now = alias(owner, again, "elsewhere.example.")
			}
		}
		zone := fmt.Sprintf("zone%d.", i)
		l.e, l.now = of(zone, l.e), of(zone, l.now)
		l.have = [...]stale.State{stale.Fresh, stale.Fresh, stale.Stale, stale.Stale, stale.Stale, stale.Stale, stale.Stale, stale.Gone}[rnd.IntN(8)]
		l.fails, l.hangs = rnd.IntN(4) == 0, rnd.IntN(6) == 0
		l.trouble = rnd.IntN(5) == 0
		if rnd.IntN(8) == 0 && !l.trouble {
			l.failed = time.Duration(5+rnd.IntN(60)) * time.Second
		}
		all[owner] = l
	}
	all["elsewhere.example."] = &link{e: address("elsewhere.example.", 3000, 3)}
	return all
}

// model is what is to become of the question, told once more in other words.
type model struct {
	begin, now clock.Mono
	links      map[string]*link
	hops       []string
	asked      []string
	old        bool
	failure    bool
	denied     bool
	since      bool // a flight was waited for when a hop was stale already
}

const patience, toldTTL = 500 * ms, 30

// walk goes along the chain, and once more if something better came meanwhile for
// a hop that was stale.
func (m *model) walk() {
	m.once()
	if m.failure || !m.since {
		return
	}
	better := slices.ContainsFunc(m.hops, func(hop string) bool {
		owner, rest, _ := strings.Cut(hop, " ")
		l := m.links[owner]
		m.settle(l)
		return strings.HasSuffix(rest, ":stale") && l.landed != 0
	})
	if better {
		m.hops, m.old = nil, false
		m.once()
	}
}

// settle looks whether what a link was asked for has come by now.
func (m *model) settle(l *link) {
	if l.asked == 0 || l.landed != 0 || l.hangs || l.asked.Add(l.took) > m.now {
		return
	}
	if l.fails {
		l.failed = m.begin.Sub(l.asked.Add(l.took))
		return
	}
	l.landed = l.asked.Add(l.took)
}

// ask begins a resolution, unless one is under way.
func (m *model) ask(owner string, l *link) {
	if l.asked == 0 {
		l.asked, m.asked = m.now, append(m.asked, owner)
	}
}

func (m *model) once() {
	timer := m.begin.Add(patience)
	for owner := "h0.example."; owner != "" && !m.failure; {
		l := m.links[owner]
		if owner != "elsewhere.example." {
			timer = m.hop(owner, l, timer)
		} else {
			m.hops = append(m.hops, fmt.Sprintf("%s A:fresh", owner))
		}
		e := &l.e
		if l.landed != 0 {
			e = &l.now
		}
		m.denied = e.Kind == cache.NXDomain
		if owner = ""; e.Type == wire.TypeCNAME {
			to, _ := e.Set.Target()
			owner = to.String()
		}
	}
}

// hop gives when the client stops waiting from then on.
func (m *model) hop(owner string, l *link, timer clock.Mono) clock.Mono {
	serve := func(how string) {
		e := &l.e
		if how == "new" {
			e = &l.now
		}
		m.old = m.old || how == "stale"
		m.hops = append(m.hops, fmt.Sprintf("%s %s:%s", owner, e.Type, how))
	}
	m.settle(l)
	recent := l.failed != 0 && m.now.Sub(m.begin)+l.failed < 30*time.Second
	switch {
	case l.landed != 0:
		serve("new")
	case l.have == stale.Fresh:
		serve("fresh")
	case l.have == stale.Stale && (l.trouble || recent):
		serve("stale")
	case l.have == stale.Stale && (l.failed != 0 || m.now >= timer):
		m.ask(owner, l)
		serve("stale")
		if l.failed == 0 {
			timer = m.begin
		}
	default:
		m.ask(owner, l)
		m.since = m.since || m.old
		end := l.asked.Add(l.took)
		switch {
		case l.have == stale.Gone && (l.hangs || l.fails):
			m.failure = true
		case l.have == stale.Stale && (l.hangs || end >= timer):
			m.now = timer
			serve("stale")
			timer = m.begin
		default:
			m.now = end
			if m.settle(l); l.fails {
				serve("stale")
			} else {
				serve("new")
			}
		}
	}
	return timer
}

// put brings the cache to what the links say.
func (m *model) put(r *Resolver, it *scripted) {
	now := r.clock.Now()
	m.begin, m.now = now, now
	for owner, l := range m.links {
		life := time.Duration(l.e.TTL) * time.Second
		switch l.have {
		case stale.Fresh:
			l.e.TTL += 20 // more than a question takes
			l.e.Set.TTL = l.e.TTL
			l.stored = now
		case stale.Stale:
			l.stored = now.Add(-life - time.Duration(l.e.TTL)*ms)
		case stale.Gone:
			l.stored = now.Add(-life - 25*time.Hour)
		}
		e := l.e
		r.cache.Put(l.stored, &e)
		if l.failed != 0 && l.have != stale.Gone {
			r.cache.Fail(now.Add(-l.failed), cache.Question{Name: name(owner), Type: wire.TypeA}, &ede.Error{ID: "BEFO"}, false)
			if now.Add(-l.failed) < l.stored {
				l.failed = 0 // which the answer ended
			}
		}
		if l.trouble {
			it.ail(l.e.Cut.String(), silent)
		}
	}
}

// ttl is what a hop is to be told with.
func (m *model) ttl(owner, how string, at clock.Mono) uint32 {
	l := m.links[owner]
	switch how {
	case "stale":
		return max(min(l.e.TTL, toldTTL), 1)
	case "new":
		return uint32(l.now.TTL) - uint32(at.Sub(l.landed)/time.Second)
	}
	return uint32((l.stored.Add(time.Duration(l.e.TTL)*time.Second).Sub(at) + time.Second - 1) / time.Second)
}

// told is the answer in the model's words.
func (m *model) told(a *Answer) string {
	list := []string{a.Rcode.String()}
	for i, hop := range m.hops {
		owner, rest, _ := strings.Cut(hop, " ")
		typ, how, _ := strings.Cut(rest, ":")
		if i < len(a.Chain) {
			list = append(list, fmt.Sprintf("%s/%s:%d", owner, typ, m.ttl(owner, how, a.At)))
		}
	}
	return strings.Join(list, " ")
}

// Whole or nothing, in order, each hop with its own TTL, told as stale when one of
// them is, and only what expired is asked for: of chains with any hop in any state
// and any outcome.
func TestChainsOfAnyHops(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	counts := map[string]int{}
	for round := range 1500 {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, uint64(round)))
			m := &model{links: links(rnd)}
			var mu sync.Mutex
			var asked []string
			r, it := newTest(t, lasting(usual(), nil), func(ctx context.Context, q iterator.Request) iterator.Result {
				mu.Lock()
				asked = append(asked, q.Name.String())
				l := m.links[q.Name.String()]
				mu.Unlock()
				if l.hangs {
					<-ctx.Done()
				} else if time.Sleep(l.took); !l.fails {
					return iterator.Result{Entries: []cache.Entry{l.now}}
				}
				return iterator.Result{Failure: &ede.Error{Code: ede.NetworkError, ID: "ERRS"}}
			})
			it.learned = patience
			time.Sleep(30 * time.Hour)
			m.put(r, it)
			m.walk()
			a := r.ask("h0.example.", wire.TypeA)
			m.check(t, a, fmt.Sprintf("seed %d round %d", seed, round))
			synctest.Wait()
			mu.Lock()
			slices.Sort(asked)
			slices.Sort(m.asked)
			if !slices.Equal(asked, m.asked) {
				t.Errorf("seed %d round %d: asked for %v, want %v: %s", seed, round, asked, m.asked, shape(a))
			}
			mu.Unlock()
			counts[fmt.Sprintf("stale %v, failure %v", m.old, m.failure)]++
			time.Sleep(11 * time.Second)
		})
		if t.Failed() {
			t.Fatalf("seed %d round %d", seed, round)
		}
	}
	if len(counts) < 3 || counts["stale true, failure false"] < 300 || counts["stale false, failure false"] < 30 || counts["stale false, failure true"] < 100 {
		t.Errorf("the rounds were %v: the test proves little", counts)
	}
}

func (m *model) check(t *testing.T, a *Answer, where string) {
	t.Helper()
	if m.failure {
		if len(a.Chain) > 0 || a.Rcode != wire.RcodeServFail || a.Stale {
			t.Errorf("%s: %s, want a failure", where, shape(a))
		}
		return
	}
	got := a.Rcode.String()
	for i := range a.Chain {
		h := &a.Chain[i]
		typ := h.Entry.Type
		got += fmt.Sprintf(" %s/%s:%d", h.Entry.Name, typ, a.ttl(h))
	}
	code := ede.StaleAnswer
	if m.denied {
		code = ede.StaleNXDOMAIN
	}
	want := m.told(a)
	if m.denied != (a.Rcode == wire.RcodeNXDomain) || got != want || len(a.Chain) != len(m.hops) || a.At != m.now {
		t.Errorf("%s: after %v\n%s, want after %v\n%s %v", where, a.At.Sub(m.begin), got, m.now.Sub(m.begin), want, m.hops)
	}
	if a.Stale != m.old || m.old && (len(a.Errors) == 0 || a.Errors[0].Code != code) || !m.old && len(a.Errors) > 0 {
		t.Errorf("%s: stale %v, %v; want %v\n%s", where, a.Stale, a.Errors, m.old, got)
	}
}
