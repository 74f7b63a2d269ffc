package authority

import (
	"net/netip"

	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// request is one query on its way through the server.
type request struct {
	wire.View
	server    *Server
	transport event.Transport
	from      netip.AddrPort
	question  wire.Question // zero when there is not exactly one
	name      dnsname.Name  // the question's, in lower case
	edns      wire.EDNS
	hasEDNS   bool
	zone      *Zone // that answers, nil without one
	fault     Fault
	more      [][]byte // messages behind the first of a zone transfer
}

// header is the start of every reply.
func (r *request) header(rcode wire.Rcode) wire.Header {
	return wire.Header{ID: r.ID(), Opcode: r.Opcode(), Response: true, RD: r.RD(), CD: r.CD(), Rcode: rcode}
}

// limit is how long the reply may be.
func (r *request) limit() int {
	switch {
	case r.transport == event.TCP:
		return wire.MaxMessage
	case r.hasEDNS:
		return int(min(max(r.edns.UDPSize, plainUDPSize), r.server.options.UDPSize))
	}
	return plainUDPSize
}

// begin starts a reply with the question and keeps room for the OPT record.
func (r *request) begin(b *wire.Builder, dst []byte, h wire.Header) {
	b.Reset(dst, r.limit(), h)
	if len(r.question.Name) > 0 {
		b.Question(dnsname.Alias(r.question.Name), r.question.Type, r.question.Class)
	}
	if r.hasEDNS {
		b.Limit(r.limit() - 11 - len(r.options()))
	}
}

// finish adds the OPT record that answers the query's (RFC 6891 §6.1.1).
func (r *request) finish(b *wire.Builder, rcode wire.Rcode) []byte {
	if r.hasEDNS {
		b.Limit(wire.MaxMessage)
		b.OPT(wire.EDNS{UDPSize: r.server.options.UDPSize, DO: r.edns.DO, Options: r.options()}, rcode)
	}
	return b.Bytes()
}

// options are the EDNS options of the reply: NSID, when asked for.
func (r *request) options() []byte {
	if _, asked := r.edns.Option(wire.OptionNSID); !asked || r.server.options.NSID == nil {
		return nil
	}
	return wire.AppendOption(nil, wire.OptionNSID, r.server.options.NSID)
}

// refuse is a reply of an rcode and nothing else.
func (r *request) refuse(dst []byte, rcode wire.Rcode) []byte {
	var b wire.Builder
	r.begin(&b, dst, r.header(rcode))
	return r.finish(&b, rcode)
}

// answer is the honest reply.
func (r *request) answer(dst []byte) []byte {
	switch {
	case r.hasEDNS && r.edns.Version > 0:
		return r.refuse(dst, wire.RcodeBadVers)
	case r.zone == nil, r.question.Class != wire.ClassIN:
		return r.refuse(dst, wire.RcodeRefused)
	case r.wantsTransfer():
		return r.transfer(dst)
	case r.question.Type.IsMeta() && r.question.Type != wire.TypeANY:
		return r.refuse(dst, wire.RcodeRefused) // zone transfers and the like
	}
	do := r.hasEDNS && r.edns.DO
	a := r.zone.lookup(r.name, r.question.Type, do)
	if !r.server.options.Minimal {
		r.zone.withServers(a)
	}
	r.distort(a)
	return r.write(dst, a, do)
}

// write composes the reply out of whole RRsets, as many as fit.
func (r *request) write(dst []byte, a *answer, do bool) []byte {
	var b wire.Builder
	h := r.header(a.rcode)
	h.AA = a.aa
	r.begin(&b, dst, h)
	if !a.write(&b, do) {
		h.TC = true
		b.SetHeader(h)
	}
	return r.finish(&b, a.rcode)
}

// write tells whether everything that belongs to the answer went in. What is
// missing of the rest is nobody's loss (RFC 2181 §9).
func (a *answer) write(b *wire.Builder, do bool) bool {
	for _, s := range a.answer {
		if !writeSet(b, wire.AnswerSection, s, do) {
			return false
		}
	}
	for _, s := range a.authority {
		if !writeSet(b, wire.AuthoritySection, s, do) {
			return !a.needed
		}
	}
	whole := true
	for i, s := range a.additional {
		if !writeSet(b, wire.AdditionalSection, s, do) && i < a.glue {
			whole = false
		}
	}
	return whole
}

// writeSet adds a whole set, with its signatures if they are wanted, or nothing.
func writeSet(b *wire.Builder, section wire.Section, s rrset.Set, do bool) bool {
	mark := b.Mark()
	for rdata := range s.Data.All() {
		if !b.Record(section, s.Name, s.Type, wire.ClassIN, s.TTL, rdata) {
			b.Rewind(mark)
			return false
		}
	}
	if !do {
		return true
	}
	for rdata := range s.Sigs.All() {
		if !b.Record(section, s.Name, wire.TypeRRSIG, wire.ClassIN, s.TTL, rdata) {
			b.Rewind(mark)
			return false
		}
	}
	return true
}
