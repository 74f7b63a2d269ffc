package upstream

import (
	"runtime"
	"sync"
)

// sender sends questions one after the other instead of each when it is ready,
// with work in between: a server that sleeps is woken by the first and finds the
// next when it has dealt with that, and to wake it costs more than to send. Its
// goroutine lets those that are ready to run come first, who may be about to
// ask; a lone question waits for nobody. Sockets are different, so there is no
// sendmmsg for them.
type sender struct {
	mu     sync.Mutex
	queue  []*datagram   // what is to be sent: at most as many as questions in flight
	work   chan struct{} // of one: there is a queue
	closed bool

	sent []*datagram // the goroutine's: the memory of the last queue
}

// What a socket's question is to the sender. Only who brings it from queued to
// something else may send it or take it back.
const (
	unqueued uint32 = iota // or sent
	queued
	sending
)

// start begins; the goroutine ends with close.
func (s *sender) start() {
	s.work = make(chan struct{}, 1)
	go s.run(s.work)
}

// add queues the question in d.out. After close it is lost.
func (s *sender) add(d *datagram) {
	d.state.Store(queued)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.queue = append(s.queue, d)
	if len(s.queue) == 1 {
		select {
		case s.work <- struct{}{}:
		default:
		}
	}
}

// run sends until close.
func (s *sender) run(work <-chan struct{}) {
	for range work {
		runtime.Gosched()
		s.flush()
	}
}

// flush sends what is queued. Who waits hears of what could not be sent.
func (s *sender) flush() {
	s.mu.Lock()
	all := s.queue
	s.queue = s.sent[:0]
	s.mu.Unlock()
	for i, d := range all {
		all[i] = nil
		if !d.state.CompareAndSwap(queued, sending) {
			continue // taken back
		}
		d.failure = d.send(d.out)
		w := d.waiter.Load()
		if d.failure == nil {
			w = nil
		}
		d.state.Store(unqueued) // d is not ours any more
		if w != nil {
			w.wake()
		}
	}
	s.sent = all
}

// close ends the goroutine.
func (s *sender) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed && s.work != nil {
		close(s.work)
	}
	s.closed = true
}

// takeBack sees to it that the question was sent or will not be: its memory and
// the socket are the caller's alone after that.
func (d *datagram) takeBack() {
	if d.state.CompareAndSwap(queued, unqueued) {
		return
	}
	for d.state.Load() == sending {
		runtime.Gosched() // for a system call that does not block
	}
}
