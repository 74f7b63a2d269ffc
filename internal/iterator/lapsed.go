package iterator

import (
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/infra"
	"lastgood/internal/wire"
)

// A delegation past its TTL leads on while whoever could renew it is out of
// reach: at once when the servers above are known to be in trouble, or gave it
// within 30 s to a cut that fails, else when the attempt at them fails. A parent
// that answers ends that: its referral replaces the delegation, its denial drops
// it with all that is beneath. What is found so lives no longer than a stale
// answer does.

// lapses looks for such a delegation below where a resolution would begin, and
// goes there if it is to be used at once.
func (t *task) lapses(anchor dnsname.Name, p place) bool {
	t.lapsed = nil
	if p.zone != nil && p.zone.Forward {
		return false
	}
	now := t.now()
	d, ok := t.it.cache.Lapsed(now, anchor)
	if !ok || !d.Cut.Below(p.cut) {
		return false
	}
	t.lapsed = d
	if t.req.Lapsed || t.it.confirmed(now, d) {
		t.throughLapsed()
		return true
	}
	s := t.it.seat(now, p.cut)
	if !t.it.troubled(now, s) {
		return false
	}
	t.it.askBehind(s, d.Cut)
	t.throughLapsed()
	return true
}

// parentRest is how long the parent of a cut that fails is not asked again after
// its referral (invariant 7).
const parentRest = 30 * time.Second

// confirmed tells whether a cut is failing whose parent gave its delegation so
// lately that it is not asked again, however short the delegation lives. If not,
// the caller asks: a parent that says something else by now is believed.
func (it *Iterator) confirmed(now clock.Mono, d *cache.Delegation) bool {
	if _, failing := it.infra.CutFailing(now, d.Cut); !failing {
		return false
	}
	if now.Sub(d.Learned) < parentRest {
		return true
	}
	it.infra.AskParent(now, d.Cut) // by this resolution: that is the turn of all
	return false
}

// useLapsed goes to the delegation past its TTL after the attempt above it
// failed, once.
func (t *task) useLapsed() bool {
	if t.lapsed == nil || t.pinned || !t.lapsed.Cut.Below(t.place.cut) {
		return false
	}
	t.throughLapsed()
	return true
}

func (t *task) throughLapsed() {
	d := t.lapsed
	t.lapsed, t.via, t.undone = nil, true, nil
	t.enter(place{cut: d.Cut, deleg: d, cached: true})
}

// shorten bounds the lifetime of what was found through something past its TTL.
func (t *task) shorten(r *Result) {
	if !t.via {
		return
	}
	r.Lapsed = true
	for _, list := range [...][]cache.Entry{r.Entries, r.Aside} {
		for i := range list {
			e := &list[i]
			most := t.it.answerTTL(e.Name)
			e.TTL, e.Set.TTL, e.Most = min(e.TTL, most), min(e.Set.TTL, most), max(1, most)
		}
	}
}

// askBehind has one of the servers of a cut in trouble asked for a delegation of
// theirs, once a second for all who want one, out of the budget of rechecks. Nobody
// waits for it: what it learns is for the next.
func (it *Iterator) askBehind(s *seat, cut dnsname.Name) {
	if len(s.servers) == 0 || !it.infra.Turn(it.clock.Now(), s.cut) {
		return
	}
	it.flights.Behind(infra.Recheck{
		Cut: s.cut, Server: s.servers[it.pick(len(s.servers))], RD: s.zone != nil && s.zone.Forward,
		Question: event.Question{Name: cut, Type: wire.TypeNS},
	})
}
