package authority

import (
	"bytes"
	"encoding/binary"

	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// react answers the query as the faults want it.
func (r *request) react(dst []byte) Reaction {
	f, tcp := r.fault, r.transport == event.TCP
	re := Reaction{Delay: f.Delay}
	switch {
	case r.silent():
		return Reaction{}
	case tcp && f.Has(NoTCP):
		return Reaction{Close: true}
	case r.server.lost(f.Loss):
		if !tcp {
			return Reaction{}
		}
		re.Delay += tcpRetransmit // TCP repairs losses, late
	}
	re.Reply = r.flawed(dst)
	re.More = r.more
	r.forge(&re, len(dst))
	if tcp && f.Has(stallTCP) {
		re.Stall = 2 + (len(re.Reply)-len(dst))/2
	}
	return re
}

// silent tells whether a fault wants no answer at all.
func (r *request) silent() bool {
	f := r.fault
	switch {
	case f.Has(Blackhole), f.Has(dropEDNS) && r.hasEDNS:
		return true
	case f.Has(dropNewTypes):
		t := r.question.Type
		return t == wire.TypeAAAA || t == wire.TypeSVCB || t == wire.TypeHTTPS
	}
	return false
}

// flawed gives the reply, or what a fault puts in its place.
func (r *request) flawed(dst []byte) []byte {
	f := r.fault
	if f.Has(noEDNS|notImpEDNS|ignoreEDNS) && r.hasEDNS {
		r.hasEDNS = false
		switch {
		case f.Has(noEDNS):
			return r.refuse(dst, wire.RcodeFormErr)
		case f.Has(notImpEDNS):
			return r.refuse(dst, wire.RcodeNotImp)
		}
	}
	for _, say := range [...]struct {
		flaw  Flaw
		rcode wire.Rcode
	}{{ServFail, wire.RcodeServFail}, {refuseAll, wire.RcodeRefused}, {notImp, wire.RcodeNotImp}, {formErr, wire.RcodeFormErr}} {
		if f.Has(say.flaw) {
			return r.refuse(dst, say.rcode)
		}
	}
	switch {
	case f.Has(badVers) && r.hasEDNS:
		return r.refuse(dst, wire.RcodeBadVers)
	case f.Has(truncate) && r.transport == event.UDP:
		return r.truncated(dst)
	case f.Has(lame):
		return r.referral(dst, dnsname.Root)
	case f.Has(selfReferral):
		return r.referral(dst, r.origin())
	case f.Has(sideReferral):
		if side, err := r.origin().Parent().Prepend("beside"); err == nil {
			return r.referral(dst, side)
		}
	}
	return r.answer(dst)
}

// origin is the name of the zone that answers, or would.
func (r *request) origin() dnsname.Name {
	if r.zone != nil {
		return r.zone.origin
	}
	return r.name.Parent()
}

func (r *request) truncated(dst []byte) []byte {
	var b wire.Builder
	h := r.header(wire.RcodeNoError)
	h.AA, h.TC = true, true
	r.begin(&b, dst, h)
	return r.finish(&b, wire.RcodeNoError)
}

// referral is a reply that sends the client to a server in the given zone.
func (r *request) referral(dst []byte, zone dnsname.Name) []byte {
	target, err := zone.Prepend("ns")
	if err != nil {
		return r.refuse(dst, wire.RcodeServFail) // the zone's name is as long as can be
	}
	ns := rrset.Set{Name: zone, Type: wire.TypeNS}
	ns.Add(3600, []byte(target))
	return r.write(dst, &answer{authority: []rrset.Set{ns}, needed: true}, false)
}

// distort alters what the zone says.
func (r *request) distort(a *answer) {
	f := r.fault
	if f.Has(notAuthoritative) {
		a.aa = false
	}
	denial := len(a.answer) == 0 && a.aa
	if n := r.zone.nodes[r.name]; f.Has(nxdomainENT) && denial && n != nil && len(n.sets) == 0 {
		a.rcode = wire.RcodeNXDomain
	}
	if f.Has(noSOA) && a.needed && len(a.authority) > 0 && a.authority[0].Type == wire.TypeSOA {
		a.authority = nil
	}
}

// forge makes a reply look like somebody else's, or damages it. The message
// begins at start of the reaction's buffer.
func (r *request) forge(re *Reaction, start int) {
	f, msg := r.fault, re.Reply[start:]
	if f.Has(mangleCase) && len(r.question.Name) > 0 {
		q := msg[wire.HeaderLen:][:len(r.question.Name)]
		dnsname.Lower(q, bytes.Clone(q))
	}
	if f.Has(wrongID) {
		binary.BigEndian.PutUint16(msg, binary.BigEndian.Uint16(msg)^0x5555)
	}
	if f.Has(wrongQuestion) && len(r.question.Name) > 1 {
		msg[wire.HeaderLen+1] ^= 1 // another first letter
	}
	switch {
	case f.Has(wrongAddress):
		re.Source = OtherAddress
	case f.Has(wrongPort):
		re.Source = OtherPort
	}
	if f.Has(garbage) {
		re.Reply = re.Reply[:start+wire.HeaderLen+(len(msg)-wire.HeaderLen)*2/3]
	}
}
