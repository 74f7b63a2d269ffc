package upstream

import (
	"context"
	"sync/atomic"
	"time"

	"lastgood/internal/event"
	"lastgood/internal/iterator"
)

// suspended is what run ends with when whoever waits has waited long enough, or
// when what comes next blocks: it can be resumed, by another goroutine.
var suspended = &Error{Text: "suspended"}

// begin makes an exchange of a question that may be asked.
func (u *Upstream) begin(q iterator.Query) (*exchange, error) {
	if u.forbidden(q.Server) {
		u.counts.forbidden.Add(1)
		return nil, &Error{Result: event.Unreachable, Server: q.Server, Text: "address is on the do-not-query list"}
	}
	x := u.exchanges.Get().(*exchange)
	*x = exchange{u: u, q: q}
	x.begin()
	return x, nil
}

// finish counts the end. The exchange is nobody's after it.
func (x *exchange) finish(r iterator.Reply, err *Error) (iterator.Reply, error) {
	u := x.u
	if !x.kept {
		x.q, x.held, x.spare = iterator.Query{}, nil, iterator.Reply{} // nothing is kept alive
		u.exchanges.Put(x)
	}
	if err != nil {
		u.counts.failed[err.Result%outcomes].Add(1)
		return iterator.Reply{}, err
	}
	return r, nil
}

// ExchangeFor is Exchange for those who wait only so long, which must be more
// than nothing: after that, pending is true, the exchange goes on in a goroutine
// until late's context ends, and late is told its outcome there. An ordinary
// exchange over UDP needs no goroutine but the caller's.
func (u *Upstream) ExchangeFor(ctx context.Context, q iterator.Query, wait time.Duration, late iterator.Late) (r iterator.Reply, pending bool, err error) {
	x, err := u.begin(q)
	if err != nil {
		return r, false, err
	}
	x.until = x.now.Add(wait)
	r, failure := x.run(ctx)
	switch {
	case failure != suspended:
		r, err = x.finish(r, failure)
		return r, false, err
	case x.open:
		ctx, l := u.late(late.Context(), q.Server)
		u.turnedAway(l)
		go func() {
			r, err := x.resume(ctx)
			u.heardOut(l)
			late.Deliver(r, err)
		}()
		return r, true, nil
	}
	return x.behind(late)
}

// resume goes on where the exchange was suspended, to its end.
func (x *exchange) resume(ctx context.Context) (iterator.Reply, error) {
	x.until = 0
	if x.open {
		x.open = false
		got, err := x.hear(ctx, &x.socket)
		if r, done, err := x.settle(ctx, &got, err); done {
			return x.finish(r, err)
		}
	}
	return x.finish(x.run(ctx))
}

// behind resumes in a goroutine and waits for the rest of the time.
func (x *exchange) behind(late iterator.Late) (iterator.Reply, bool, error) {
	type end struct {
		reply iterator.Reply
		err   error
	}
	left := time.NewTimer(max(x.until.Sub(x.u.opt.Clock.Now()), 1))
	defer left.Stop()
	ended := make(chan end, 1)
	u := x.u
	ctx, l := u.late(late.Context(), x.q.Server)
	var parted atomic.Bool // whoever sets it first leaves the other the rest
	go func() {
		r, err := x.resume(ctx)
		u.heardOut(l)
		if parted.CompareAndSwap(false, true) {
			ended <- end{r, err}
			return
		}
		late.Deliver(r, err)
	}()
	select {
	case e := <-ended:
		return e.reply, false, e.err
	case <-left.C:
	}
	u.turnedAway(l)
	if parted.CompareAndSwap(false, true) {
		return iterator.Reply{}, true, nil
	}
	u.lates.remove(l)
	e := <-ended
	return e.reply, false, e.err
}

var _ iterator.PatientExchanger = (*Upstream)(nil)
