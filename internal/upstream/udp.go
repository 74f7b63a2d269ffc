package upstream

import (
	"context"
	"errors"
	"os"

	"lastgood/internal/clock"
	"lastgood/internal/event"
	"lastgood/internal/iterator"
)

// bitTC is the TC bit in the header's third octet.
const bitTC = 2

// udp sends the question on a socket that no other question is on and waits for
// what belongs to it.
func (x *exchange) udp(ctx context.Context) (arrival, *Error) {
	now := x.now
	conn, err := x.u.dialDatagrams(ctx, now, x.q.Server)
	if err == errSockets {
		return arrival{}, x.fail(event.Budget, "not sent", errSockets)
	}
	if err != nil {
		x.refund()
		return arrival{}, x.netFail(ctx, "open socket", err)
	}
	s := &x.socket // one at a time
	*s = socket{u: x.u, conn: conn, at: now}
	x.u.opt.Infra.Sent(now, x.q.Server)
	x.u.counts.sentUDP.Add(1)
	if _, err := conn.Write(x.m.msg); err != nil {
		return arrival{}, x.broken(ctx, s, "send", err)
	}
	return x.hear(ctx, s)
}

// broken ends the question on a socket that failed.
func (x *exchange) broken(ctx context.Context, s *socket, doing string, err error) *Error {
	if local(err) {
		x.withdraw(s) // it did not leave
	} else {
		s.close()
	}
	return x.netFail(ctx, doing, err)
}

// hear waits for what belongs to the question that was sent, and closes the
// socket unless it is still needed.
func (x *exchange) hear(ctx context.Context, s *socket) (arrival, *Error) {
	got, err := x.listen(ctx, s)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		if ctx.Err() != nil {
			if errors.Is(context.Cause(ctx), errShed) {
				x.withdraw(s)
			} else {
				x.linger(s)
			}
			return arrival{}, x.netFail(ctx, "wait", err)
		}
		if x.until != 0 {
			x.open = true
			return arrival{}, suspended
		}
	}
	if err != nil {
		doing := "receive"
		if call := (*os.SyscallError)(nil); errors.As(err, &call) && call.Syscall == "send" {
			doing = call.Syscall
		}
		return arrival{}, x.broken(ctx, s, doing, err)
	}
	s.done(got)
	return got, nil
}

// socket is a UDP socket with one question on it.
type socket struct {
	u    *Upstream
	conn datagrams
	at   clock.Mono // when the question was sent

	suspect bool // something came that did not belong to the question
}

// done is for the end of a question that got its reply. The socket is kept for
// another, but for one that somebody may be guessing at.
func (s *socket) done(got arrival) {
	d := s.u.dialer
	if s.suspect || got.fit != fits || d == nil || !d.keep(s.conn) {
		s.close()
	}
}

func (s *socket) close() {
	_ = s.conn.Close()
	s.u.release()
}

// listen reads until something belongs to the question, too much did not, ctx
// ends or nobody waits any longer.
func (x *exchange) listen(ctx context.Context, s *socket) (arrival, error) {
	c := &x.u.counts
	for wrong := 0; ; {
		msg, err := s.conn.ReadUntil(ctx, x.until)
		if err != nil {
			return arrival{}, err
		}
		now := x.u.opt.Clock.Now()
		v, f := x.m.match(msg)
		switch {
		case f == fits, f == malformed:
			c.replies.Add(1)
			rtt := max(now.Sub(s.at), 1)
			x.u.opt.Infra.Answered(now, x.q.Server, rtt)
			return arrival{reply: iterator.Reply{View: v, Transport: event.UDP, RTT: rtt, At: now}, fit: f}, nil
		case f == wrongCase, f == wrongCookie:
			c.count(f)
			x.u.opt.Infra.Answered(now, x.q.Server, 0)
			return arrival{fit: f}, nil
		}
		c.count(f)
		s.suspect = true
		if wrong++; wrong >= x.u.opt.SpoofNearMiss {
			return arrival{flood: true}, nil
		}
	}
}

// withdraw gives up listening: what has not had its time yet is no silence of
// the server's.
func (x *exchange) withdraw(s *socket) {
	x.u.opt.Infra.Abandoned(x.u.opt.Clock.Now(), x.q.Server, s.at)
	s.close()
}

// linger lets a socket hear for a while what comes too late for its Exchange:
// the round trip of a server that is slow is learnt only so, and a server that
// answers late is not silent. Without room for it the question is withdrawn.
// Of servers that checks showed to be silent few are listened to.
func (x *exchange) linger(s *socket) {
	u := x.u
	room := int64(max(u.opt.MaxSockets/4, 1))
	if u.opt.Infra.Silence(u.opt.Clock.Now(), x.q.Zone, x.q.Server) > 0 {
		room = max(room/16, 1)
	}
	if u.lingers.Add(1) > room || u.lifetime.Err() != nil {
		u.lingers.Add(-1)
		x.withdraw(s)
		return
	}
	x.until, x.kept = 0, true
	go func() {
		defer u.lingers.Add(-1)
		defer s.close()
		ctx, cancel := context.WithTimeout(u.lifetime, lingerFor)
		defer cancel()
		ctx, l := u.late(ctx, x.q.Server)
		defer u.heardOut(l)
		u.turnedAway(l)
		if got, err := x.listen(ctx, s); err == nil && !got.flood {
			u.counts.late.Add(1)
		}
	}()
}
