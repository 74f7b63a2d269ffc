package resolver

import (
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
	"lastgood/internal/event"
	"lastgood/internal/infra"
	"lastgood/internal/iterator"
)

// behind refreshes a stale answer that a client has got already, unless that is
// under way or the zone has just come back and it has to wait for its turn. seen
// is flights.landed before the cache was asked.
func (r *Resolver) behind(key flightKey, cut dnsname.Name, seen uint64) {
	if r.launch(key, job{cut: cut, stale: true, seen: seen}) {
		r.stats.behind.Add(1)
	}
}

// launch starts a flight that nobody waits for, with a budget of its own. False:
// it did not start.
func (r *Resolver) launch(key flightKey, j job) bool {
	j.alone, j.behind, j.budget, j.work = true, true, iterator.NewBudget(r.queries, r.bytes), dnssec.NewBudget(r.work)
	f, fresh, _ := r.flights.board(key, j, r.clock.Now())
	if !fresh {
		return false
	}
	r.start(f)
	return true
}

// trouble tells whether a zone's servers are known not to answer, or to fail, and
// notices when that ends: then what was held against anything beneath it is
// forgotten, and its refreshes begin slowly.
func (r *Resolver) trouble(now clock.Mono, cut dnsname.Name) (infra.Trouble, bool) {
	if cut == "" {
		return infra.Trouble{}, false
	}
	tr, bad := r.iterator.Trouble(now, cut)
	r.note(now, cut, tr, bad)
	return tr, bad
}

// troubleAbove is trouble of the zone that a name is in, as far as that is known.
func (r *Resolver) troubleAbove(now clock.Mono, name dnsname.Name) (infra.Trouble, bool) {
	tr, bad := r.iterator.Trouble(now, name)
	r.note(now, tr.Cut, tr, bad)
	return tr, bad
}

// InTrouble tells whether a zone's servers are known not to answer, or to fail,
// now: all of them.
func (r *Resolver) InTrouble(cut dnsname.Name) bool {
	_, bad := r.trouble(r.clock.Now(), cut)
	return bad
}

// note takes in what was told of a zone.
func (r *Resolver) note(now clock.Mono, cut dnsname.Name, tr infra.Trouble, bad bool) {
	if bad {
		if began := r.troubled.add(cut, ailment{failing: tr.Failing, servers: tr.Servers}); began {
			r.flights.ramps.end(cut, tr.Silent)
		}
		return
	}
	a, was := r.troubled.has(cut)
	owed := a.failing || tr.Recovered
	if owed && r.troubled.clear(now, cut) {
		r.cache.RecoverBelow(cut)
		owed = false
	}
	if was && !a.back || tr.Recovered {
		if tr.Servers != "" {
			a.servers = tr.Servers
		}
		r.flights.ramps.begin(now, cut, a.servers) // before others see that the trouble is over
	}
	switch {
	case owed:
		r.troubled.add(cut, ailment{failing: true, back: true, servers: a.servers})
	case was:
		r.troubled.remove(cut)
	}
}

// want has the servers of a zone in trouble rechecked, since a client could have
// had something better.
func (r *Resolver) want(now clock.Mono, cut dnsname.Name, q event.Question) {
	if r.iterator.Want(now, cut, q) {
		r.poke()
	}
}
