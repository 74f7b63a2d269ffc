package listener

import (
	"context"
	"errors"
	"net"
	"net/netip"

	"lastgood/internal/event"
	"lastgood/internal/resolver"
)

// Interface is a network interface whose queries come past the system's sockets.
// Package xdp has one.
type Interface interface {
	// Start takes its queries from now on and gives its queues, which are read until
	// they end. On an error nothing is left.
	Start() ([]Frames, error)
	// Stop takes no more; the queues give what there is and end.
	Stop()
	// Close frees everything. No queue is read any more; what is sent fails.
	Close()
}

// Frames is a queue of an Interface. One goroutine calls all but Send.
type Frames interface {
	// Receive waits for queries and tells how many there are; at the end it gives
	// net.ErrClosed. What they lie in is lent until Flush.
	Receive() (int, error)
	// Query gives the i-th of them, who it is from (unmapped, without zone), and room
	// for the reply: an empty slice with a capacity of Room at least. ok is false when
	// it cannot be answered.
	Query(i int) (query []byte, from netip.Addr, room []byte, ok bool)
	// Reply queues the reply to i, which was written into the room that Query last gave.
	Reply(i int, reply []byte)
	// Path copies what Send needs to reply to i later, and tells how much that is.
	Path(i int, path []byte) int
	// Flush sends what is queued.
	Flush()
	// Send sends a reply later, from any goroutine.
	Send(path, reply []byte) error
	// Room is how many octets a reply may have now.
	Room() int
}

// frameReader serves a queue. Its one goroutine owns the worker; of the rest late
// replies use l and queue.
type frameReader struct {
	l     *Listener
	queue Frames
	w     *worker
	room  int // that the worker's policy keeps to
}

// startInterfaces begins to read from the interfaces; l.mu is held. On an error
// none is left.
func (l *Listener) startInterfaces() error {
	var all []Frames
	for k, i := range l.opt.Interfaces {
		queues, err := i.Start()
		if err != nil {
			for _, started := range l.opt.Interfaces[:k] {
				started.Close()
			}
			return err
		}
		all = append(all, queues...)
	}
	for _, queue := range all {
		c := new(counters)
		l.counts = append(l.counts, c)
		s := &frameReader{l: l, queue: queue, w: l.newWorker(c)}
		l.wg.Go(s.serve)
	}
	return nil
}

// serve reads until the queue ends.
func (s *frameReader) serve() {
	for {
		n, err := s.queue.Receive()
		if err == nil {
			s.turn(n)
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		s.w.counts.receiveErrors.Add(1)
		if !s.l.pause(receivePause) {
			return
		}
	}
}

// turn handles the n queries that were received.
func (s *frameReader) turn(n int) {
	if room := s.queue.Room(); room != s.room {
		s.room, s.w.policy = room, s.l.policy.within(room)
	}
	now := s.l.clock.Now()
	replies := 0
	for i := range n {
		query, from, room, ok := s.queue.Query(i)
		if !ok {
			continue
		}
		s.w.req = request{client: from, transport: event.UDP, arrival: now}
		reply, act := s.w.handle(query, room)
		switch act {
		case replied:
			s.queue.Reply(i, reply)
			replies++
		case waiting:
			if p := s.l.admit(s.w); p != nil {
				p.sender = s
				p.pathUsed = s.queue.Path(i, p.path[:])
				s.l.answerLater(p)
			}
		}
	}
	s.w.settle()
	s.queue.Flush()
	s.w.counts.took(s.l.clock.Now().Sub(now), replies)
}

// within is the policy for replies of so many octets at most, if that is less.
func (p *policy) within(room int) *policy {
	if room >= p.udpSize {
		return p
	}
	less := *p
	less.udpSize = room
	return &less
}

func (s *frameReader) send(_ context.Context, p *pending, a *resolver.Answer) error {
	return s.l.composed(p, a, func(reply []byte) error { return s.queue.Send(p.path[:p.pathUsed], reply) })
}
