package iterator

import (
	"context"
	"errors"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/wire"
)

const (
	// checksInAll unanswered, of all servers of a cut together, make it failing.
	checksInAll = 6
	// maxChecks bounds what one resolution spends on finding out whether it is
	// the servers that are silent or its question that they do not like.
	maxChecks = 16
	checkLast = 900 * time.Millisecond
)

// check asks a server that let the present question go unanswered more than
// once something that every server answers. Nobody waits for the reply: that it
// comes is what infra wants to know. One goroutine that spaces the checks, which
// ends with ctx, and one a check.
func (t *task) check(ctx context.Context, y *try) {
	cands := t.targets.cands
	if t.req.Stale && t.it.infra.Quiet(t.now(), cands) {
		return
	}
	nth, again, due := t.checkDue(y)
	if !due {
		return
	}
	left := (checksInAll + len(cands) - 1) / len(cands)
	q := Query{Server: y.Addr, Zone: y.zone, RD: t.forwarding(), TCP: y.TCP, TLS: y.TLS, Budget: t.req.Budget}
	t.handOut()
	go func() {
		for due {
			c := q
			c.Name, c.Type = checkQuestion(y, q.RD, nth)
			go t.it.exchangeCheck(ctx, c, min(2*again, checkLast))
			if left--; left <= 0 || !sleep(ctx, again) || t.req.Stale && t.it.infra.Quiet(t.now(), cands) {
				return
			}
			nth, again, due = t.checkDue(y)
		}
	}()
}

// exchangeCheck outlives the resolution that it is for, by checkLast at most: a
// check whose reply is not heard would speak against the server.
func (it *Iterator) exchangeCheck(ctx context.Context, q Query, d time.Duration) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d)
	defer cancel()
	_, err := it.exchanger.Exchange(ctx, q)
	var o interface{ Outcome() event.Outcome }
	if errors.As(err, &o) && o.Outcome() == event.Budget {
		it.infra.CheckUnsent(q.Zone, q.Server)
	}
}

func (t *task) checkDue(y *try) (nth int, again time.Duration, due bool) {
	if t.checks.Load() >= maxChecks {
		return 0, 0, false
	}
	if nth, again, due = t.it.infra.Check(t.now(), y.zone, y.Addr); due {
		t.checks.Add(1)
	}
	return nth, again, due
}

// checkQuestion takes turns between two questions: of a zone's server its apex
// as an address, which even those answer that know nothing but addresses, and
// its servers; of a resolver the root's servers, which it has in its cache, and
// the apex of what is forwarded to it. It is never the question that found no
// answer.
func checkQuestion(y *try, resolver bool, nth int) (dnsname.Name, wire.Type) {
	list := [...]event.Question{{Name: y.zone, Type: wire.TypeA}, {Name: y.zone, Type: wire.TypeNS}}
	if resolver || y.zone.IsRoot() {
		list[0] = event.Question{Name: dnsname.Root, Type: wire.TypeNS}
		list[1] = event.Question{Name: y.zone, Type: wire.TypeSOA}
	}
	q := list[(nth+1)%len(list)]
	if q == y.Question {
		q = list[nth%len(list)]
	}
	return q.Name, q.Type
}

// sleep waits, and tells whether there still is somebody to wait for.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
