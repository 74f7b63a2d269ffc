package app

import (
	"context"
	"strings"
	"time"

	"lastgood/internal/anchor"
	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/iterator"
	"lastgood/internal/rootzone"
	"lastgood/internal/wire"
)

// rootFirst answers questions to the root's servers from the local copy of the root
// zone while there is one, and sends all others.
type rootFirst struct {
	iterator.PatientExchanger
	root *rootCopy
}

// Exchange is that of [iterator.Exchanger].
func (x rootFirst) Exchange(ctx context.Context, q iterator.Query) (iterator.Reply, error) {
	if r, ok := x.root.answer(&q); ok {
		return r, nil
	}
	return x.PatientExchanger.Exchange(ctx, q)
}

// ExchangeFor is that of [iterator.PatientExchanger].
func (x rootFirst) ExchangeFor(ctx context.Context, q iterator.Query, wait time.Duration, late iterator.Late) (iterator.Reply, bool, error) {
	if r, ok := x.root.answer(&q); ok {
		return r, false, nil
	}
	return x.PatientExchanger.ExchangeFor(ctx, q, wait, late)
}

// exchanger is what asks name servers.
func (a *App) exchanger() iterator.Exchanger {
	if a.root == nil {
		return a.upstream
	}
	return rootFirst{a.upstream, a.root}
}

// answer gives what a server of the root would say. It costs none of the question's
// budget, for nothing is sent; infra is told nothing, for no server was asked. What
// it says is validated as any reply is.
func (r *rootCopy) answer(q *iterator.Query) (iterator.Reply, bool) {
	if !q.Zone.IsRoot() || q.RD || isSignal(q) {
		return iterator.Reply{}, false
	}
	now := r.moment()
	z := r.keeper.Zone(now)
	if z == nil {
		r.fallbacks.Add(1)
		return iterator.Reply{}, false
	}
	v, err := wire.Read(z.Answer(make([]byte, 0, replyRoom), rootzone.Query{Name: q.Name, Type: q.Type, DO: r.do}))
	if err != nil { // not of what was verified
		r.fallbacks.Add(1)
		return iterator.Reply{}, false
	}
	r.answers.Add(1)
	return iterator.Reply{View: v, Transport: event.Local, RTT: 1, At: now.Mono}, true
}

// isSignal tells a question that tells the root's servers which of its keys are
// trusted (RFC 8145 §5): it is for them.
func isSignal(q *iterator.Query) bool {
	return q.Type == wire.TypeNULL && strings.HasPrefix(string(q.Name.FirstLabel()), "_ta-")
}

// replyRoom is what nearly all replies of the root zone fit into.
const replyRoom = 1280

// rootAnchor is what the root zone is verified by, nil when nothing is: the root
// has no anchor, or a negative one.
func (a *App) rootAnchor(wall time.Time) rootzone.Anchor {
	if g := a.anchors.Ground(dnsname.Root, wall); g.Kind == anchor.Anchored {
		return g.Anchor
	}
	return nil
}
