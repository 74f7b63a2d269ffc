package listener

import (
	"encoding/binary"

	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/event"
	"lastgood/internal/resolver"
	"lastgood/internal/wire"
)

const (
	optLen      = 11  // an OPT record without options
	maxEDEText  = 256 // octets of EXTRA-TEXT; longer ones are left out
	maxEDEs     = 8
	framePrefix = 2 // octets of length before a message on TCP
)

// writer writes replies; it belongs to one goroutine at a time.
type writer struct {
	b    wire.Builder
	opts []byte
}

// begin starts a reply behind dst with header and question, and keeps room for
// the OPT record that end writes.
func (w *writer) begin(p *policy, r *request, dst []byte) {
	w.b.Reset(dst, r.limit, r.header)
	if r.asked {
		q := r.question
		w.b.Question(dnsname.Alias(q.Name), q.Type, q.Class)
	}
	w.opts = w.opts[:0]
	if r.edns {
		w.opts = p.appendOptions(w.opts, r)
		w.b.Limit(r.limit - optLen - len(w.opts))
	}
}

// appendOptions appends the options whose room must be kept.
func (p *policy) appendOptions(dst []byte, r *request) []byte {
	if r.nsid {
		dst = wire.AppendOption(dst, wire.OptionNSID, p.nsid)
	}
	if r.cookie.given {
		dst = wire.AppendOption(dst, wire.OptionCookie, r.cookie.value[:])
	}
	if r.keepalive {
		var timeout [2]byte
		binary.BigEndian.PutUint16(timeout[:], p.keepalive)
		dst = wire.AppendOption(dst, wire.OptionKeepalive, timeout[:])
	}
	return dst
}

// end finishes the reply that begin started and gives the buffer that holds it.
func (w *writer) end(p *policy, r *request, o resolver.Outcome, errs []*ede.Error) []byte {
	w.b.SetOutcome(o.Rcode, o.AA, o.Truncated, o.AD)
	if !r.edns {
		return w.b.Bytes()
	}
	w.b.Limit(r.limit)
	if r.complaint != nil {
		w.appendEDE(r, r.complaint)
	}
	if o.Why != nil {
		w.appendEDE(r, o.Why)
	}
	for _, e := range errs[:min(len(errs), maxEDEs)] {
		w.appendEDE(r, e)
	}
	w.b.OPT(wire.EDNS{UDPSize: uint16(p.udpSize), DO: r.do, Options: w.opts}, o.Rcode)
	return w.b.Bytes()
}

// appendEDE adds an extended error when there is room, else without its text,
// else not at all (RFC 8914 §2: it may be dropped).
func (w *writer) appendEDE(r *request, e *ede.Error) {
	room := r.limit - w.b.Len() - optLen - len(w.opts) - 6
	text := e.ExtraText()
	if len(text) > min(room, maxEDEText) {
		text = ""
	}
	if room >= 0 {
		w.opts = wire.AppendEDE(w.opts, uint16(e.Code), text)
	}
}

// prefixOf is how many octets stand before a message of that transport.
func prefixOf(t event.Transport) int {
	if t == event.TCP {
		return framePrefix
	}
	return 0
}

// putFrame writes the length of the message that fills b behind its prefix.
func putFrame(b []byte) {
	binary.BigEndian.PutUint16(b, uint16(len(b)-framePrefix))
}
