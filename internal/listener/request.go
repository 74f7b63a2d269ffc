package listener

import (
	"net/netip"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/ede"
	"lastgood/internal/event"
	"lastgood/internal/wire"
)

// request is what is kept of one query, and of the reply what is known before
// its answer.
type request struct {
	client    netip.Addr // unmapped, without zone
	transport event.Transport
	arrival   clock.Mono

	header   wire.Header   // of the reply
	question wire.Question // the name aliases the message
	asked    bool          // there is a question
	ad       bool
	edns, do bool
	limit    int // octets of the reply

	nsid      bool // wanted, and we have one
	keepalive bool // wanted, and this is TCP
	cookie    cookie
	complaint *ede.Error // why the reply is an error
}

// verdict is what becomes of a query.
type verdict uint8

const (
	ignore verdict = iota // nothing is said
	tell                  // the header says it all
	chaos                 // a question of class CH
	ask                   // the resolver's business
)

// What is told to clients beyond the rcode.
var (
	errProhibited = &ede.Error{Code: ede.Prohibited, ID: "LACL"} // no text: the sender may be forged, so the reply is short
	errClass      = &ede.Error{Code: ede.NotSupported, ID: "LCLS", Text: "only class IN is resolved"}
	errChaos      = &ede.Error{Code: ede.NotSupported, ID: "LCHA", Text: "not told in class CH"}
	errTransfer   = &ede.Error{Code: ede.NotSupported, ID: "LAXF", Text: "zone transfers are for the zone's own servers"}
	errMeta       = &ede.Error{Code: ede.InvalidQueryType, ID: "LMET", Text: "not a type of data"}
	errBusy       = &ede.Error{Code: ede.Other, ID: "LBSY", Text: "too many questions are waiting"}
)

// policy is how queries are judged. Immutable, shared by all workers.
type policy struct {
	clock     *clock.Clock
	allow     acl
	udpSize   int
	version   string
	id        string
	nsid      []byte
	cookies   *bakery // nil: off
	keepalive uint16  // the idle timeout in units of 100 ms
}

func newPolicy(o *Options) *policy {
	p := &policy{
		clock: o.Clock, allow: newACL(o.Allow), udpSize: o.UDPSize,
		version: o.Version, id: o.ID, nsid: []byte(o.ID[:min(len(o.ID), maxNSIDLen)]),
		keepalive: uint16(min(o.Limits.Idle/(100*time.Millisecond), 0xffff)),
	}
	if o.Cookies {
		p.cookies = newBakery(o.CookieSecrets)
	}
	return p
}

// examine reads a message into r, whose client, transport and arrival stand,
// and judges it. The reason counts when it is ignored.
func (p *policy) examine(msg []byte, r *request) (verdict, Drop) {
	v, err := wire.ReadHeader(msg)
	switch {
	case err != nil:
		return ignore, DropShort
	case v.IsResponse(): // two servers would answer each other for ever
		return ignore, DropResponse
	}
	r.header = wire.Header{ID: v.ID(), Opcode: v.Opcode(), Response: true, RD: v.RD(), RA: true, CD: v.CD()}
	r.ad = v.AD()
	r.limit = p.limit(r.transport, minUDPSize)
	if !p.allow.contains(r.client) {
		p.readForeign(msg, r)
		return r.complain(wire.RcodeRefused, errProhibited), 0
	}
	if r.header.Opcode != wire.OpcodeQuery {
		// What follows the header need not be what it is in a query.
		return r.complain(wire.RcodeNotImp, nil), 0
	}
	if v, err = wire.Read(msg); err != nil {
		return r.complain(wire.RcodeFormErr, nil), 0
	}
	return p.judge(&v, r), 0
}

// complain makes the reply an error.
func (r *request) complain(rcode wire.Rcode, why *ede.Error) verdict {
	r.header.Rcode, r.complaint = rcode, why
	return tell
}

// readForeign reads of the query of a client that is not served what the
// refusal repeats, if it is readable.
func (p *policy) readForeign(msg []byte, r *request) {
	if r.header.Opcode != wire.OpcodeQuery {
		return
	}
	v, err := wire.Read(msg)
	if err != nil {
		return
	}
	r.question, r.asked = v.Question()
	e, ok := v.EDNS()
	r.edns, r.do = ok, e.DO
}

// limit is how long a reply may be when the client takes size octets over UDP.
func (p *policy) limit(t event.Transport, size int) int {
	if t == event.TCP {
		return wire.MaxMessage
	}
	return min(max(size, minUDPSize), p.udpSize)
}

// judge decides about a well-formed query.
func (p *policy) judge(v *wire.View, r *request) verdict {
	r.question, r.asked = v.Question()
	if rcode := p.readEDNS(v, r); rcode != wire.RcodeNoError {
		return r.complain(rcode, nil)
	}
	q := &r.question
	switch {
	case !r.asked && v.Count(wire.QuestionSection) == 0 && r.cookie.given:
		return r.complain(r.cookieRcode(), nil)
	case !r.asked:
		return r.complain(wire.RcodeFormErr, nil)
	case q.Class == wire.ClassCH:
		return chaos
	case q.Class != wire.ClassIN:
		// REFUSED as BIND and Unbound say it, class ANY too: there is one class
		// on the Internet, and no data of another here.
		return r.complain(wire.RcodeRefused, errClass)
	case q.Type == wire.TypeAXFR || q.Type == wire.TypeIXFR:
		return r.complain(wire.RcodeRefused, errTransfer)
	case q.Type.IsMeta() && q.Type != wire.TypeANY:
		// FORMERR as Unbound says it; RFC 9824 wants it for NXNAME (128).
		return r.complain(wire.RcodeFormErr, errMeta)
	}
	return ask
}

// cookieRcode is what a query without a question is told, which a client sends
// to learn or check a server cookie (RFC 7873 §5.4).
func (r *request) cookieRcode() wire.Rcode {
	if r.cookie.foreign && !r.cookie.valid {
		return wire.RcodeBadCookie
	}
	return wire.RcodeNoError
}

// readEDNS reads the OPT record and the options that concern us.
func (p *policy) readEDNS(v *wire.View, r *request) wire.Rcode {
	e, ok := v.EDNS()
	if !ok {
		return wire.RcodeNoError
	}
	r.edns, r.do = true, e.DO
	r.limit = p.limit(r.transport, int(e.UDPSize))
	if e.Version > 0 {
		return wire.RcodeBadVers // RFC 6891 §6.1.3
	}
	if len(e.Options) == 0 {
		return wire.RcodeNoError
	}
	_, nsid := e.Option(wire.OptionNSID)
	r.nsid = nsid && len(p.nsid) > 0
	if data, ok := e.Option(wire.OptionKeepalive); ok && r.transport == event.TCP {
		// Over UDP it must be ignored (RFC 7828 §3.3.1); a query has no timeout
		// in it (§3.2.1), and one that has is malformed, as Unbound sees it too.
		if len(data) != 0 {
			return wire.RcodeFormErr
		}
		r.keepalive = true
	}
	if data, ok := e.Option(wire.OptionCookie); ok && p.cookies != nil {
		if r.cookie, ok = p.cookies.read(data, r.client, p.clock.Wall()); !ok {
			return wire.RcodeFormErr // RFC 7873 §5.2.2
		}
	}
	return wire.RcodeNoError
}
