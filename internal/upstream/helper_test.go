package upstream

import (
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/infra"
	"lastgood/internal/iterator"
	"lastgood/internal/simnet"
	"lastgood/internal/wire"
)

var (
	serverAddr = netip.MustParseAddrPort("192.0.2.1:53")
	clientAddr = netip.MustParseAddr("198.51.100.1")
	asked      = dnsname.MustParse("www.with-many-letters.example")
)

const (
	oneWay = 10 * time.Millisecond
	rtt    = 2 * oneWay
)

// env is an Upstream and one name server, a round trip of 20 ms apart.
type env struct {
	*testing.T
	net    *simnet.Net
	server *simnet.Host
	clock  *clock.Clock
	infra  *infra.Infra
	u      *Upstream

	mu     sync.Mutex
	seen   []seen
	events []event.Event
	conns  int // accepted
}

// seen is a question as the server got it.
type seen struct {
	tcp  bool
	from netip.AddrPort
	view wire.View
}

// handler is what the server does with a question: it returns the messages to
// send back.
type handler func(q seen) [][]byte

// inBubble runs a test in virtual time against a server that behaves so, over
// UDP and TCP.
func inBubble(t *testing.T, change func(*Options), h handler, test func(e *env)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		e := &env{T: t, net: simnet.New(simnet.Options{Seed: 1}), clock: clock.New()}
		e.net.SetDefault(simnet.Link{Latency: oneWay})
		e.server = e.net.Host(serverAddr.Addr())
		e.infra = infra.New(infra.Options{Rand: rand.New(rand.NewPCG(1, 2))})
		chance := rand.NewChaCha8([32]byte{1})
		var mu sync.Mutex
		o := Options{
			Network: e.net.Host(clientAddr), Clock: e.clock, Infra: e.infra,
			CaseRandomisation: true, Cookies: true,
			Random: func(b []byte) { mu.Lock(); defer mu.Unlock(); _, _ = chance.Read(b) },
			Events: func(ev event.Event) { e.mu.Lock(); defer e.mu.Unlock(); e.events = append(e.events, ev) },
		}
		if change != nil {
			change(&o)
		}
		e.u = New(o)
		if h != nil {
			e.serveUDP(h)
			e.serveTCP(h)
		}
		test(e)
		e.u.Close()
		synctest.Wait()
		if s := e.u.Stats(); s.Sockets != 0 || s.Lingering != 0 || s.Idle != 0 || s.TLS != 0 || s.Waiting != 0 {
			t.Errorf("left behind: %d sockets, %d lingering, %d idle, %d over TLS with %d questions", s.Sockets, s.Lingering, s.Idle, s.TLS, s.Waiting)
		}
		e.net.Close()
	})
}

func (e *env) note(q seen) seen {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seen = append(e.seen, q)
	return q
}

func (e *env) questions() []seen {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.seen
}

func (e *env) serveUDP(h handler) {
	pc, err := e.server.ListenPacket(serverAddr)
	if err != nil {
		e.Fatal(err)
	}
	go func() {
		buf := make([]byte, 65536)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			v, err := wire.Read(append([]byte(nil), buf[:n]...))
			if err != nil {
				e.Errorf("query is malformed: %v", err)
				continue
			}
			q := e.note(seen{from: from.(*net.UDPAddr).AddrPort(), view: v})
			for _, msg := range h(q) {
				_, _ = pc.WriteTo(msg, from)
			}
		}
	}()
}

func (e *env) serveTCP(h handler) {
	l, err := e.server.Listen(serverAddr)
	if err != nil {
		e.Fatal(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			e.mu.Lock()
			e.conns++
			e.mu.Unlock()
			go e.converse(c, h)
		}
	}()
}

// next reads the next query from a stream, false at its end.
func (e *env) next(c io.Reader) (v wire.View, ok bool) {
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return v, false
	}
	msg := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(c, msg); err != nil {
		return v, false
	}
	v, err := wire.Read(msg)
	if err != nil {
		e.Errorf("query is malformed: %v", err)
	}
	return v, err == nil
}

// converse answers on one connection. A message of nil closes it.
func (e *env) converse(c net.Conn, h handler) {
	defer c.Close()
	for {
		v, ok := e.next(c)
		if !ok {
			return
		}
		for _, m := range h(e.note(seen{tcp: true, view: v})) {
			if m == nil {
				return
			}
			_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...))
		}
	}
}

// ask exchanges one question, waiting at most so long.
func (e *env) ask(wait time.Duration) (iterator.Reply, error) {
	return e.exchange(wait, iterator.Query{})
}

func (e *env) exchange(wait time.Duration, q iterator.Query) (iterator.Reply, error) {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	if !q.Server.IsValid() {
		q.Server = serverAddr
	}
	if q.Name == "" {
		q.Name = asked
	}
	q.Type = wire.TypeA
	if q.Budget == nil {
		q.Budget = iterator.NewBudget(50, 1<<20)
	}
	return e.u.Exchange(ctx, q)
}

// good asks and wants the answer.
func (e *env) good() iterator.Reply {
	e.Helper()
	r, err := e.ask(5 * time.Second)
	if err != nil {
		e.Fatalf("no reply: %v", err)
	}
	e.wantAnswer(r)
	return r
}

func (e *env) wantAnswer(r iterator.Reply) {
	e.Helper()
	c := r.View.Records()
	if !c.Next() || string(c.Record().Rdata()) != string(rdata) {
		e.Errorf("reply %v without the answer", r.View.Rcode())
	}
	if len(r.View.Bytes()) != cap(r.View.Bytes()) {
		e.Error("the reply does not own memory of its exact size")
	}
}

// bad asks and wants this outcome.
func (e *env) bad(wait time.Duration, want event.Outcome) error {
	e.Helper()
	_, err := e.ask(wait)
	e.wantOutcome(err, want)
	return err
}

func (e *env) wantOutcome(err error, want event.Outcome) {
	e.Helper()
	o, ok := err.(interface{ Outcome() event.Outcome })
	if !ok || o.Outcome() != want {
		e.Fatalf("got %v, want outcome %v", err, want)
	}
}

// transports are how the server was asked so far, a letter each: u or t, in
// upper case with EDNS.
func (e *env) transports() string {
	var s []byte
	for _, q := range e.questions() {
		c := byte('u')
		if q.tcp {
			c = 't'
		}
		if _, ok := q.view.EDNS(); ok {
			c &^= 0x20
		}
		s = append(s, c)
	}
	return string(s)
}

func (e *env) wantTransports(want string) {
	e.Helper()
	if got := e.transports(); got != want {
		e.Errorf("asked %q, want %q", got, want)
	}
}

// capability is what infra knows of the server.
func (e *env) capability() infra.Capability { return e.infra.Capability(e.clock.Now(), serverAddr) }

var rdata = []byte{203, 0, 113, 1}

// reply makes messages that answer a question.
type reply struct {
	rcode      wire.Rcode
	name       []byte // instead of the question's
	typ        wire.Type
	class      wire.Class
	id         uint16 // added to the query's
	tc, query  bool
	noQuestion bool
	empty      bool
	noOPT      bool
	cookie     []byte // instead of client cookie and a server cookie
	noCookie   bool
	size       int // padded with records to more than this
}

var serverCookie = []byte("servercookie")

func (r reply) to(q seen) []byte {
	question, _ := q.view.Question()
	if r.name == nil {
		r.name = question.Name
	}
	if r.typ == 0 {
		r.typ = question.Type
	}
	if r.class == 0 {
		r.class = question.Class
	}
	var b wire.Builder
	b.Reset(nil, wire.MaxMessage, wire.Header{ID: q.view.ID() + r.id, Response: !r.query, AA: true, TC: r.tc, Rcode: r.rcode})
	if !r.noQuestion {
		b.Question(dnsname.Alias(r.name), r.typ, r.class)
	}
	if r.rcode == 0 && !r.empty {
		b.Record(wire.AnswerSection, asked, wire.TypeA, wire.ClassIN, 300, rdata)
		for b.Len() < r.size {
			b.Record(wire.AnswerSection, asked, wire.TypeTXT, wire.ClassIN, 300, make([]byte, 250))
		}
	}
	if e, ok := q.view.EDNS(); ok && !r.noOPT {
		var opts []byte
		if c, ok := e.Option(wire.OptionCookie); ok && !r.noCookie {
			if r.cookie == nil {
				r.cookie = append(append([]byte(nil), c[:8]...), serverCookie...)
			}
			opts = wire.AppendOption(nil, wire.OptionCookie, r.cookie)
		}
		b.OPT(wire.EDNS{UDPSize: 1232, Options: opts}, r.rcode)
	}
	return b.Bytes()
}

// answers is a handler of one kind of reply for UDP and one for TCP.
func answers(udp, tcp reply) handler {
	return func(q seen) [][]byte {
		if q.tcp {
			return [][]byte{tcp.to(q)}
		}
		return [][]byte{udp.to(q)}
	}
}

// lowered is the question's name with its letters in lower case.
func lowered(q seen) []byte {
	question, _ := q.view.Question()
	out := make([]byte, len(question.Name))
	dnsname.Lower(out, question.Name)
	return out
}
