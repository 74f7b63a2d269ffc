package openloop

import (
	"context"
	"errors"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// probeSockets is how many sockets a prober asks from, in turn.
const probeSockets = 4

// Probe asks cached questions evenly in time, to see how long clients wait beside
// whatever load there is. It takes the time of the kernel's stamp of each reply, so
// that it does not matter if this program gets to run late.
type Probe struct {
	Addr      string   // of the resolver
	Local     string   // the address that it asks from; empty: any
	Questions [][]byte // messages, in turn; their ids are replaced
	Rate      float64  // a second
}

// Probed is what a prober saw.
type Probed struct {
	Sent, Answered int
	Wrong          int       // of those answered, with another rcode than NOERROR
	Waits          Histogram // of those answered
	Late           Histogram // how late questions were sent
}

// Lost is how many were not answered.
func (p *Probed) Lost() int { return p.Sent - p.Answered }

// probeEnd is how long a prober waits for the last replies.
const probeEnd = 300 * time.Millisecond

// probing is a probe under way.
type probing struct {
	Probe
	conns [probeSockets]*net.UDPConn
	// When each question was sent, nanoseconds of the wall clock; 0: none is open. A
	// receiver swaps what the sender stored.
	open [probeSockets][1 << 16]atomic.Int64

	mu     sync.Mutex
	result Probed
}

// Run asks until the time is over, or ctx ends.
func (p Probe) Run(ctx context.Context, length time.Duration) (*Probed, error) {
	run := &probing{Probe: p}
	var receiving sync.WaitGroup
	defer receiving.Wait()
	for i := range run.conns {
		conn, err := p.dial()
		if err != nil {
			return nil, err
		}
		defer conn.Close() // before the waiting, which it ends
		run.conns[i] = conn
		receiving.Go(func() { run.receive(i) })
	}
	err := run.send(ctx, length)
	if err == nil {
		time.Sleep(probeEnd)
	}
	run.mu.Lock()
	defer run.mu.Unlock()
	result := run.result
	return &result, err
}

func (p Probe) dial() (*net.UDPConn, error) {
	var d net.Dialer
	if p.Local != "" {
		d.LocalAddr = &net.UDPAddr{IP: net.ParseIP(p.Local)}
	}
	conn, err := d.Dial("udp4", p.Addr)
	if err != nil {
		return nil, err
	}
	udp := conn.(*net.UDPConn)
	if err := Stamp(udp); err != nil {
		udp.Close()
		return nil, err
	}
	return udp, nil
}

// send asks on a thread of its own, which sleeps in the kernel until a question is
// due: the runtime's timers may be late by a millisecond.
func (p *probing) send(ctx context.Context, length time.Duration) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	Precise(true)
	defer Precise(false)
	began := time.Now()
	gap := time.Duration(float64(time.Second) / p.Rate)
	msg := make([]byte, 0, 512)
	for i := 0; ; i++ {
		due := time.Duration(i) * gap
		if due >= length {
			return nil
		}
		if err := SleepUntil(ctx, began.Add(due)); err != nil {
			return err
		}
		socket, id := i%probeSockets, uint16(i/probeSockets)
		msg = append(msg[:0], p.Questions[i%len(p.Questions)]...)
		msg[0], msg[1] = byte(id>>8), byte(id)
		late := time.Since(began) - due
		p.open[socket][id].Store(time.Now().UnixNano())
		if _, err := p.conns[socket].Write(msg); err != nil {
			_, _ = p.conns[socket].Write(msg) // the error may be of an earlier one, whose port was closed
		}
		p.mu.Lock()
		p.result.Sent++
		p.result.Late.Note(late)
		p.mu.Unlock()
	}
}

// SleepUntil sleeps in the kernel until a moment, or until ctx ends, which it looks
// for ten times a second.
func SleepUntil(ctx context.Context, until time.Time) error {
	for {
		left := time.Until(until)
		if left <= 0 {
			return ctx.Err()
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		t := syscall.NsecToTimespec(int64(min(left, 100*time.Millisecond)))
		if err := syscall.Nanosleep(&t, nil); err != nil && !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

func (p *probing) receive(socket int) {
	msg, control := make([]byte, 4096), make([]byte, 128)
	for {
		n, m, _, _, err := p.conns[socket].ReadMsgUDPAddrPort(msg, control)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || n < 12 { // the port was closed for a moment
			continue
		}
		at, ok := StampOf(control[:m])
		if !ok {
			at = time.Now().UnixNano()
		}
		sent := p.open[socket][uint16(msg[0])<<8|uint16(msg[1])].Swap(0)
		if sent == 0 {
			continue
		}
		p.mu.Lock()
		p.result.Answered++
		if msg[3]&15 != 0 {
			p.result.Wrong++
		}
		p.result.Waits.Note(time.Duration(at - sent))
		p.mu.Unlock()
	}
}
