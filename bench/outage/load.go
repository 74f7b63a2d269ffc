package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"lastgood/bench/machine"
	"lastgood/bench/openloop"
)

// question is one that is asked, and what came of it. Times are since the load began.
type question struct {
	due      time.Duration // when it is to be asked
	name     int
	sent     time.Duration
	received time.Duration // when the kernel got the reply; 0: none came
	reply    reply
}

// good tells whether the client got what it wanted: NOERROR with an address of
// the form that the name has, within its patience.
func (q *question) good(patience time.Duration) bool {
	r := &q.reply
	return q.received > 0 && q.received-q.sent <= patience && r.rcode == 0 && !r.truncated &&
		r.found && r.address[0] == 10 && int(r.address[1]) == q.name
}

// waited is how long the client waited: all its patience when nothing came.
func (q *question) waited(patience time.Duration) time.Duration {
	if q.received == 0 {
		return patience
	}
	return min(q.received-q.sent, patience)
}

// schedule plans the questions: evenly spaced, each for one of the names that
// have entered by then.
func schedule(o *options, rng *rand.Rand, length time.Duration) []question {
	list := make([]question, int(length.Seconds()*float64(o.rate)))
	for i := range list {
		due := time.Duration(i) * time.Second / time.Duration(o.rate)
		entered := o.names
		if due < o.enter {
			entered = 1 + int(int64(due)*int64(o.names-1)/int64(o.enter))
		}
		list[i] = question{due: due, name: rng.IntN(entered)}
	}
	return list
}

// clients is how many sockets ask, each from an address of its own.
const clients = 32

// mostQuestions is how many a run can have: the IDs of a socket are used once.
const mostQuestions = clients << 16

// generator asks an open loop of questions: each at its time, whatever became
// of those before.
type generator struct {
	began     int64 // nanoseconds of the wall clock, which the kernel's stamps are of
	questions []question
	conns     [clients]*net.UDPConn
	receiving sync.WaitGroup

	answered atomic.Int64
	strays   atomic.Int64 // replies that answer nothing
}

func newGenerator(questions []question) (*generator, error) {
	if len(questions) > mostQuestions {
		return nil, fmt.Errorf("%d questions, at most %d are possible", len(questions), mostQuestions)
	}
	g := &generator{questions: questions}
	for i := range g.conns {
		conn, err := client(byte(1 + i))
		if err != nil {
			g.close()
			return nil, err
		}
		g.conns[i] = conn
	}
	g.began = time.Now().UnixNano()
	for i := range g.conns {
		g.receiving.Go(func() { g.receive(i) })
	}
	return g, nil
}

// client opens a socket to the resolver from 127.0.1.host.
func client(host byte) (*net.UDPConn, error) {
	conn, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 1, host)}, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: resolverPort})
	if err != nil {
		return nil, err
	}
	if err := openloop.Stamp(conn); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// close ends the receiving; what came can be read then.
func (g *generator) close() {
	for _, c := range g.conns {
		if c != nil {
			c.Close()
		}
	}
	g.receiving.Wait()
}

func (g *generator) now() time.Duration { return time.Duration(time.Now().UnixNano() - g.began) }

// run asks all questions. A thread of its own sleeps in the kernel until each
// is due: the runtime's timers are late by up to a millisecond.
func (g *generator) run(ctx context.Context) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	openloop.Precise(true)
	defer openloop.Precise(false)
	msg := make([]byte, 0, 512)
	for i := range g.questions {
		q := &g.questions[i]
		if err := openloop.SleepUntil(ctx, time.Unix(0, g.began+int64(q.due))); err != nil {
			return err
		}
		msg = appendQuery(msg[:0], uint16(i/clients), fmt.Sprintf("n%d.%s", q.name, zoneName))
		conn := g.conns[i%clients]
		q.sent = g.now()
		if _, err := conn.Write(msg); err != nil {
			// It tells of an earlier datagram that found the port closed.
			conn.Write(msg)
		}
	}
	return nil
}

func (g *generator) receive(c int) {
	msg, control := make([]byte, 4096), make([]byte, 128)
	for {
		n, m, _, _, err := g.conns[c].ReadMsgUDPAddrPort(msg, control)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // the port was closed for a moment
			continue
		}
		at, ok := openloop.StampOf(control[:m])
		if !ok {
			at = time.Now().UnixNano()
		}
		g.take(c, msg[:n], at)
	}
}

// take notes a reply.
func (g *generator) take(c int, msg []byte, at int64) {
	r, err := parseReply(msg)
	i := int(r.id)*clients + c
	if err != nil || i >= len(g.questions) || g.questions[i].received != 0 || g.questions[i].name != r.name {
		g.strays.Add(1)
		return
	}
	g.questions[i].reply, g.questions[i].received = r, time.Duration(at-g.began)
	g.answered.Add(1)
}

// rest waits until all questions are answered, or patience has run out for the last.
func (g *generator) rest(ctx context.Context, patience time.Duration) error {
	for end := g.now() + patience; g.now() < end && int(g.answered.Load()) < len(g.questions); {
		if err := machine.Wait(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}
