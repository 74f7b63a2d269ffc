package iterator

import (
	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// asked is what a reply is judged by.
type asked struct {
	event.Question
	zone    dnsname.Name // what its sender is a server of, or was configured for
	forward bool         // sender is a resolver
	lenient bool         // sender was configured for the zone: it need not be authoritative
	hops    int          // alias hops followed at most
}

// class is what a reply means.
type class struct {
	outcome event.Outcome
	chain   chain
	// denied tells that the name at the chain's end, or its type, does not
	// exist; soa is the authority for it, nil when the reply had none.
	denied bool
	soa    *rrset.Set
	ns     *rrset.Set // of a referral
	// soft: to be believed only if no other server knows better.
	soft bool
	text string // why the reply is no good
}

// useful tells whether the reply moves the resolution on without doubt.
func (c *class) useful() bool { return c.outcome.Useful() && !c.soft }

// baseless tells whether a server denies that should have the authority, and has
// neither the AA bit nor an SOA record for it. That is believed if nobody knows
// better, but it does not refresh a last good answer (RFC 8767 §4).
func (v *verdict) baseless() bool {
	return v.outcome.Useful() && v.denied && v.soa == nil && !v.message.aa && !v.asked.lenient
}

// classify tells what a scrubbed reply means for the question.
func classify(m *message, a asked) class {
	switch m.rcode {
	case wire.RcodeNoError, wire.RcodeNXDomain, wire.RcodeYXDomain:
	default:
		return class{outcome: outcomeOf(m.rcode), text: "said " + m.rcode.String()}
	}
	if m.broken != "" {
		return class{outcome: event.Garbage, text: m.broken}
	}
	c := class{chain: chain{hops: m.hops}}
	c.chain.follow(m.answer, &a)
	switch {
	case m.rcode == wire.RcodeYXDomain && !c.chain.tooLong:
		c.outcome, c.text = event.OtherRcode, "said YXDOMAIN without a DNAME that makes it so"
	case c.chain.data:
		c.outcome = event.Answer
		// A delegated server that offers recursion and lacks authority answers
		// from a cache, perhaps from before the zone moved.
		c.soft = !m.aa && m.ra && !a.lenient
	case len(c.chain.hops) > 0:
		c.outcome = event.Alias
		c.denyEnd(m, a)
	case m.rcode == wire.RcodeNXDomain:
		c.nxdomain(m, a)
	default:
		c.noData(m, a)
	}
	return c
}

// outcomeOf maps response codes that are errors.
func outcomeOf(r wire.Rcode) event.Outcome {
	switch r {
	case wire.RcodeServFail:
		return event.ServFail
	case wire.RcodeRefused:
		return event.Refused
	case wire.RcodeNotImp:
		return event.NotImp
	case wire.RcodeFormErr:
		return event.FormErr
	case wire.RcodeBadVers:
		return event.BadVers
	case wire.RcodeNotAuth:
		return event.Lame
	}
	return event.OtherRcode
}

// denyEnd sees whether the reply also says that the end of its aliases does
// not exist: the rcode belongs to the last name (RFC 6604 §3, RFC 2308 §2.1).
// Without an SOA record it proves nothing beyond the aliases.
func (c *class) denyEnd(m *message, a asked) {
	if c.chain.away || c.chain.tooLong || c.chain.loop {
		return
	}
	c.soa = authorityFor(m, c.chain.end)
	if c.soa != nil && a.Type == wire.TypeDS && c.soa.Name == c.chain.end && !c.chain.end.IsRoot() {
		c.soa = nil // a server of both sides of a cut spoke for the lower one (RFC 4035 §3.1.4.1)
	}
	c.denied = c.soa != nil
}

// nxdomain judges a name error for the very name that was asked for.
func (c *class) nxdomain(m *message, a asked) {
	c.soa = authorityFor(m, a.Name)
	if c.soa == nil && !a.forward && m.estranged() {
		c.outcome, c.text = event.Lame, "speaks for another zone"
		return
	}
	c.outcome, c.denied = event.NXDomain, true
	c.soft = c.soa == nil && (!m.aa || m.upperSOA) && !a.lenient
}

// estranged tells whether the sender says that it is no server of the zone: it
// names another's servers or authority. With authority of its own for a zone
// above, the zone may have been joined to that one and its delegation left
// behind: such a denial is believed if nobody knows better, but not kept, for
// want of an SOA record of the zone. Who claims the root has been set up wrong.
func (m *message) estranged() bool { return m.strayNS || m.straySOA || m.upperSOA && !m.aa }

// noData judges a NOERROR reply that does not answer (RFC 2308 §2.2).
func (c *class) noData(m *message, a asked) {
	c.soa = authorityFor(m, a.Name)
	if c.soa != nil || hasProof(m) && !m.strayNS {
		c.outcome, c.denied = event.NoData, true
		// A server of both sides of a cut that speaks for the lower one where the
		// parent's word is wanted (RFC 4035 §3.1.4.1): another may know better.
		c.soft = c.soa != nil && a.Type == wire.TypeDS && c.soa.Name == a.Name && a.Name.Below(a.zone) && !a.forward
		return
	}
	if a.forward {
		c.forwardedNothing(m)
		return
	}
	ns, self, sideways := servers(m, a)
	switch {
	case ns != nil && ns.Name == a.Name && a.Type == wire.TypeDS:
		// The parent knows the cut but not the DS type: as good as no DS
		// (RFC 4035 §3.1.4.1), unless another server knows better.
		c.outcome, c.denied, c.soft = event.NoData, true, true
	case ns != nil:
		c.outcome, c.ns = event.Referral, ns
	case self && !m.aa:
		c.outcome, c.text = event.Lame, "refers to its own zone"
	case sideways:
		c.outcome, c.text = event.Lame, "refers to a zone that the name is not in"
	case m.estranged():
		c.outcome, c.text = event.Lame, "refers to another zone"
	case len(m.answer) > 0:
		c.outcome, c.text = event.Garbage, "answers another question"
	default:
		c.outcome, c.denied, c.soft = event.NoData, true, true
	}
}

// forwardedNothing judges a forwarder's reply without answer and SOA record.
func (c *class) forwardedNothing(m *message) {
	for i := range m.authority {
		if m.authority[i].Type == wire.TypeNS && !m.ra {
			c.outcome, c.text = event.Lame, "refers elsewhere instead of resolving"
			return
		}
	}
	c.outcome, c.denied = event.NoData, true
	c.soft = !m.ra
}

// authorityFor finds the SOA record that speaks for name.
func authorityFor(m *message, name dnsname.Name) *rrset.Set {
	var best *rrset.Set
	for i := range m.authority {
		s := &m.authority[i]
		if s.Type == wire.TypeSOA && name.Under(s.Name) && (best == nil || len(s.Name) > len(best.Name)) {
			best = s
		}
	}
	return best
}

func isProof(t wire.Type) bool { return t == wire.TypeNSEC || t == wire.TypeNSEC3 }

// hasProof tells whether the authority section proves something signed, and is
// not a referral, which may carry the proof that there is no DS.
func hasProof(m *message) bool {
	found := false
	for i := range m.authority {
		if m.authority[i].Type == wire.TypeNS {
			return false
		}
		found = found || isProof(m.authority[i].Type)
	}
	return found
}

// servers finds the NS set of a referral: below the zone, at or above the
// name. self and sideways tell of others in the authority section.
func servers(m *message, a asked) (ns *rrset.Set, self, sideways bool) {
	for i := range m.authority {
		s := &m.authority[i]
		switch {
		case s.Type != wire.TypeNS:
		case s.Name == a.zone:
			self = true
		case !a.Name.Under(s.Name):
			sideways = true
		case ns == nil || len(s.Name) > len(ns.Name):
			ns = s
		}
	}
	return ns, self, sideways
}
