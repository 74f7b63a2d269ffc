package upstream

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/iterator"
	"lastgood/internal/wire"
)

// giveUp asks a server that says nothing and turns away after a moment.
func (e *env) giveUp(ctx context.Context, server netip.AddrPort) chan outcome {
	e.Helper()
	ended := make(chan outcome, 1)
	q := iterator.Query{Server: server, Name: asked, Type: wire.TypeA}
	_, pending, err := e.u.ExchangeFor(ctx, q, time.Millisecond, told{ctx, ended})
	if !pending || err != nil {
		e.Fatalf("pending %v, %v", pending, err)
	}
	return ended
}

// A server that says nothing keeps 256 sockets of exchanges that nobody waits
// for; the oldest go first, and none of another server's.
func TestLateExchangesOfAServerAreBounded(t *testing.T) {
	inBubble(t, nil, func(seen) [][]byte { return nil }, func(e *env) {
		ctx, cancel := context.WithCancel(e.Context())
		other := e.giveUp(ctx, netip.MustParseAddrPort("192.0.2.2:53"))
		var all []chan outcome
		for range latePerServer + 10 {
			all = append(all, e.giveUp(ctx, serverAddr))
		}
		synctest.Wait()
		if s := e.u.Stats(); s.Sockets != latePerServer+1 || len(other) != 0 || s.Shed != 10 {
			t.Errorf("%d sockets, %d shed, other server's ended: %d", s.Sockets, s.Shed, len(other))
		}
		for k, ended := range all {
			if want := k < 10; (len(ended) == 1) != want {
				t.Errorf("exchange %d ended: %v", k, !want)
			}
		}
		cancel()
		e.u.Close()
		synctest.Wait()
		if len(e.u.lates.server) != 0 || e.u.lates.all.Len() != 0 {
			t.Error("some are remembered")
		}
	})
}

// When sockets run short, exchanges that nobody waits for give theirs up.
func TestLateExchangesYieldTheirSockets(t *testing.T) {
	inBubble(t, func(o *Options) { o.MaxSockets = 32 }, answers(reply{}, reply{}), func(e *env) {
		ctx, cancel := context.WithCancel(e.Context())
		defer cancel()
		for k := range 100 {
			e.giveUp(ctx, netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(100 + k)}), 53))
		}
		e.good()
		if s := e.u.Stats(); s.Sockets > 32 || s.SocketBound != 0 || s.Shed != 71 {
			t.Errorf("%d sockets, %d refused, %d shed", s.Sockets, s.SocketBound, s.Shed)
		}
	})
}
