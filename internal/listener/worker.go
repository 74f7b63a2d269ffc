package listener

import (
	"context"
	"net"
	"net/netip"
	"strings"

	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/resolver"
	"lastgood/internal/wire"
)

// worker handles messages one after the other. It belongs to one goroutine at a
// time: a socket's reader owns one for good, a connection borrows one while it
// has messages. Nothing in it outlives the call of handle but what detach copies.
type worker struct {
	policy   *policy
	resolver Resolver
	counts   *counters
	tally    tally // not yet in counts: see settle

	req    request
	query  resolver.Query
	name   [dnsname.MaxLen]byte // the question's name in lower case
	text   []byte
	out    writer
	reader cache.Reader
	buf    []byte // replies of a connection that wait for being written
	in     *inbox // what connections of the kernel's are read with; nil until one was
}

// action is what handle leaves to its caller.
type action uint8

const (
	nothing action = iota // the message is not answered
	replied               // the reply is written
	waiting               // the question needs resolving: detach it
)

// handle judges the message whose origin stands in w.req and answers it behind
// dst if that needs no waiting. It allocates nothing for what is cached
// (TestCachedAllocatesNothing).
func (w *worker) handle(msg, dst []byte) ([]byte, action) {
	r := &w.req
	w.tally.count(cellQueries)
	verdict, reason := w.policy.examine(msg, r)
	if r.asked {
		w.tally.count(cellTypes + countedType(r.question.Type))
	}
	switch verdict {
	case ignore:
		w.counts.dropped[reason].Add(1)
		return dst, nothing
	case ask:
		return w.ask(dst)
	}
	w.out.begin(w.policy, r, dst)
	outcome := resolver.Outcome{Rcode: r.header.Rcode}
	if verdict == chaos {
		outcome = w.chaos(w.lower())
	}
	return w.finish(outcome)
}

// ask answers from the cache or says that the question must wait.
func (w *worker) ask(dst []byte) ([]byte, action) {
	r := &w.req
	w.query = resolver.Query{
		Name: w.lower(), Type: r.question.Type,
		RD: r.header.RD, CD: r.header.CD, AD: r.ad, DO: r.do,
		Client: r.client, Arrival: r.arrival, Stays: r.transport == event.UDP,
	}
	w.out.begin(w.policy, r, dst)
	outcome, ok := w.resolver.Cached(&w.reader, &w.query, &w.out.b)
	if !ok {
		return dst, waiting
	}
	w.tally.count(cellCached)
	return w.finish(outcome)
}

// finish ends the reply that begin started.
func (w *worker) finish(o resolver.Outcome) ([]byte, action) {
	w.tally.replied(o)
	return w.out.end(w.policy, &w.req, o, nil), replied
}

// settle makes what was counted since the last time known. Whoever lets w handle
// messages calls it when there are no more for now; all were of one transport.
func (w *worker) settle() { w.tally.settle(w.counts, w.req.transport) }

// refuse answers a question that would have had to wait.
func (w *worker) refuse(dst []byte) ([]byte, action) {
	w.req.complaint = errBusy
	w.out.begin(w.policy, &w.req, dst)
	return w.finish(resolver.Outcome{Rcode: wire.RcodeServFail})
}

// lower is the question's name for looking up, an alias of the worker's buffer.
func (w *worker) lower() dnsname.Name {
	n := copy(w.name[:], w.req.question.Name)
	dnsname.Lower(w.name[:n], w.name[:n])
	return dnsname.Alias(w.name[:n])
}

// pending is a question that waits for its resolution, with everything that
// its reply needs. It owns its memory.
type pending struct {
	request
	qname  [dnsname.MaxLen]byte // as the client wrote it
	query  resolver.Query
	key    netip.Addr // of the client in the gate
	sender sender

	// Where to, for datagrams.
	addr     net.Addr      // on the portable path
	origin   origin        // on the batched one, with
	path     [pathLen]byte // the control message that sets the source address; or the way of a frame
	pathUsed int
}

// pathLen is enough for a control message with an IPv6 address and interface.
const pathLen = 64

// sender carries answers back.
type sender interface {
	// send writes the reply to p and sends it.
	send(ctx context.Context, p *pending, a *resolver.Answer) error
}

// detach copies the question that handle left waiting into p, which is zero.
func (w *worker) detach(p *pending) *pending {
	p.request, p.query, p.key = w.req, w.query, clientKey(w.req.client)
	n := copy(p.qname[:], w.req.question.Name)
	p.question.Name = p.qname[:n]
	p.query.Name = dnsname.Name(strings.Clone(string(w.query.Name))) // not an alias any more
	return p
}
