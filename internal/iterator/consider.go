package iterator

import (
	"slices"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/event"
)

// registryLabels is up to how many labels a cut is run by a registry, whose
// delegations may outlive its own in the cache; see delegationTTL.
const registryLabels = 1

// consider acts on a useful reply: down, on, or done.
func (t *task) consider() state {
	v := t.reply
	t.reply = nil
	switch {
	case v.outcome == event.Referral:
		return t.refer(v)
	case t.priming:
		return t.primed(v)
	case v.asked.Question != (event.Question{Name: t.req.Name, Type: t.req.Type}):
		return t.passed(v)
	}
	t.denied(v)
	t.result = Result{Entries: entries(v.message, &v.class, v.asked), From: v.from, Borrowed: t.borrowed(v)}
	zone := t.it.zoneOf(t.req.Name)
	t.result.Entries = inZone(t.result.Entries, func(n dnsname.Name) bool { return t.it.zoneOf(n) == zone })
	return done
}

// borrowed tells whether a reply is what a resolver that is forwarded to has left
// of better times.
func (t *task) borrowed(v *verdict) bool { return t.forwarding() && v.message.pastTTL }

// doubted is the cut below the present one whose servers failed, or whose
// delegation is past its TTL, "" without one: its parent is asked anew.
func (t *task) doubted() dnsname.Name {
	if t.avoid == "" && t.lapsed != nil && t.lapsed.Cut.Below(t.place.cut) {
		return t.lapsed.Cut
	}
	return t.avoid
}

// denied ends a doubted cut which its parent no longer delegates: it and
// everything beneath is gone, and so is a cut between that is in doubt as well.
// The denial must be of a zone above: a server of both denies names in the cut as
// the cut's own server.
func (t *task) denied(v *verdict) {
	cut := t.doubted()
	if cut == "" || !v.aa || v.outcome != event.NXDomain || v.soa == nil || !cut.Below(v.soa.Name) {
		return
	}
	for up := cut.Parent(); up.Below(v.soa.Name) && up.Below(t.place.cut); up = up.Parent() {
		if _, ok := t.it.cache.Delegation(t.now(), up); ok {
			cut = up
		}
	}
	t.undo(Undone{Cut: cut, Gone: true})
	t.aside = slices.DeleteFunc(t.aside, func(e cache.Entry) bool { return e.Name.Under(cut) })
	t.since = t.it.cache.Generation() // the denial is not of what was buried
}

// takenIn ends doubted cuts for whose names the zone above answers itself by now.
// A server of both answers as the cut's own, which says nothing of that: it is one
// of those that the delegation names, and its denials are not the parent's.
func (t *task) takenIn(y *try, v *verdict) {
	nodata := v.outcome == event.NoData
	if t.doubted() == "" || !v.aa || t.forwarding() || nodata && v.soa == nil ||
		v.outcome == event.NXDomain || v.outcome == event.Referral {
		return
	}
	for cut := v.asked.Name; cut.Below(t.place.cut); cut = cut.Parent() {
		d, ok := t.it.cache.Delegation(t.now(), cut)
		if !ok || nodata && !cut.Below(v.soa.Name) || !nodata && namesServer(d, y) {
			continue
		}
		t.undo(Undone{Cut: cut})
	}
}

// namesServer tells whether who was asked is one of a delegation's servers.
func namesServer(d *cache.Delegation, y *try) bool {
	return slices.ContainsFunc(d.Servers, func(s cache.NameServer) bool {
		return s.Name == y.Host || slices.Contains(s.Addrs, y.Addr.Addr())
	})
}

// passed goes on after a reply to a minimised question that is no referral:
// there is no cut here. A name that does not exist ends it only in strict mode
// (RFC 8020); otherwise the server may be one of those that deny empty
// non-terminals, and is asked for the whole name (RFC 9156 §2.3).
func (t *task) passed(v *verdict) state {
	if v.outcome == event.NXDomain {
		if (!t.trustsDenial(v) || t.avoided(v)) && t.relax() {
			return send
		}
		t.denied(v)
		return t.believeNXDomain(v)
	}
	if t.leads != nil && t.leads.key.name == v.asked.Name {
		t.it.walks.learnt(t.leads, found{passed: true})
	}
	t.setAside(v)
	t.min.passed(v.asked.Name)
	return send
}

// trustsDenial tells whether a server's denial of an ancestor is believed in
// relaxed mode too: the root's servers are known to cope with minimised names,
// and need not see the rest of one that ends in no top-level domain.
func (t *task) trustsDenial(v *verdict) bool {
	return t.place.zone == nil && t.place.cut.IsRoot() && v.aa && v.soa != nil && v.soa.Name.IsRoot()
}

// believeNXDomain takes the denial of an ancestor as that of the name asked
// for, and of nothing else.
func (t *task) believeNXDomain(v *verdict) state {
	e := entries(v.message, &v.class, v.asked)
	last := &e[len(e)-1]
	last.Name = t.req.Name
	t.result = Result{Entries: e[len(e)-1:], From: v.from}
	return done
}

// refer follows a referral. The cut lies below the present one, so this ends.
func (t *task) refer(v *verdict) state {
	if t.pinned {
		return t.giveUp(&ede.Error{Code: ede.NoReachableAuthority, ID: "GLUE",
			Text: "the parent does not know the address of " + t.req.Name.String()})
	}
	if t.referrals++; t.referrals > t.it.limits.Referrals {
		t.bound("referrals")
		return t.giveUp(&ede.Error{Code: ede.Other, ID: "REFS", Text: "too many referrals, the last to " + v.ns.Name.String()})
	}
	l := t.keepLink(v)
	d := t.delegate(v)
	if t.leads != nil && t.leads.key.name.Under(d.Cut) {
		t.it.walks.learnt(t.leads, found{deleg: d, link: l})
	}
	t.avoid = ""
	t.enter(place{cut: d.Cut, deleg: d, parent: t.place.deleg})
	return gather
}

// delegate makes a delegation of a referral and stores it, unless it has no
// lifetime: what a delegation past its TTL refers to is asked for each time.
func (t *task) delegate(v *verdict) *cache.Delegation {
	now := t.now()
	d := &cache.Delegation{
		Cut: v.ns.Name, Parent: t.place.cut, Learned: now,
		Servers: serversIn(v, &t.it.limits), TTL: t.delegationTTL(v),
	}
	d.Expiry = now.Add(time.Duration(d.TTL) * time.Second)
	if !t.via || d.TTL > 0 {
		t.it.cache.PutDelegationSince(now, t.since, d)
		t.it.seats.forget(d.Cut)
	}
	return d
}

// serversIn takes the name servers of a referral, with the glue that its sender
// may give: addresses at or below the zone that it serves, of servers that the
// referral names. Of many, those with glue come first.
func serversIn(v *verdict, lim *Limits) []cache.NameServer {
	var with, without []cache.NameServer
	for data := range v.ns.Data.All() {
		name, err := dnsname.FromWire(data)
		if err != nil || len(with) >= lim.NameServers {
			continue
		}
		if addrs := glueIn(v.additional, name, lim.Addresses); len(addrs) > 0 {
			with = append(with, cache.NameServer{Name: name, Addrs: addrs})
		} else if len(without) < lim.NameServers {
			without = append(without, cache.NameServer{Name: name})
		}
	}
	all := append(with, without...)
	return all[:min(len(all), lim.NameServers)]
}

// delegationTTL is how long a referral is believed: its NS records' TTL, no longer
// than the addresses that came with it (RFC 1035 §3.2.1: they have a life of their
// own, and mostly the same), and no longer than the delegation of the cut that
// gave it. Otherwise a domain that
// its parent removed could live on by delegating to itself further and further
// down. Registries' cuts are exempt: they are not removed, and all that they
// delegate would be asked for anew whenever theirs expires.
func (t *task) delegationTTL(v *verdict) uint32 {
	ttl := v.ns.TTL
	for data := range v.ns.Data.All() {
		name, _ := dnsname.FromWire(data)
		for i := range v.additional {
			if s := &v.additional[i]; s.Name == name { // addresses: scrub leaves no other types
				ttl = min(ttl, s.TTL)
			}
		}
	}
	if t.via {
		ttl = min(ttl, t.it.answerTTL(v.ns.Name))
	}
	if d := t.place.deleg; d != nil && d.Cut.Labels() > registryLabels {
		ttl = min(ttl, uint32(max(0, d.Expiry.Sub(t.now())/time.Second)))
	}
	return ttl
}
