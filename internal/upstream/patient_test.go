package upstream

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/event"
	"lastgood/internal/iterator"
	"lastgood/internal/simnet"
	"lastgood/internal/wire"
)

// outcome is what late was told.
type outcome struct {
	reply iterator.Reply
	err   error
}

// told tells a test what late was told.
type told struct {
	ctx     context.Context
	outcome chan outcome
}

func (l told) Context() context.Context            { return l.ctx }
func (l told) Deliver(r iterator.Reply, err error) { l.outcome <- outcome{r, err} }

// askFor exchanges one question with patience, until ctx ends.
func (e *env) askFor(ctx context.Context, wait time.Duration) (iterator.Reply, bool, chan outcome, error) {
	late := make(chan outcome, 2)
	q := iterator.Query{Server: serverAddr, Name: asked, Type: wire.TypeA, Budget: iterator.NewBudget(50, 1<<20)}
	r, pending, err := e.u.ExchangeFor(ctx, q, wait, told{ctx, late})
	return r, pending, late, err
}

// What comes in time is handed out, over TCP too, and late hears nothing.
func TestPatienceIsEnough(t *testing.T) {
	for name, c := range map[string]struct {
		udp  reply
		want string
	}{"over UDP": {reply{}, "U"}, "over TCP": {reply{tc: true}, "UT"}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, answers(c.udp, reply{}), func(e *env) {
				r, pending, late, err := e.askFor(e.Context(), time.Second)
				if pending || err != nil {
					t.Fatal(pending, err)
				}
				e.wantAnswer(r)
				e.wantTransports(c.want)
				time.Sleep(5 * time.Second)
				if len(late) != 0 {
					t.Error("late was told")
				}
			})
		})
	}
}

// Whoever waits gets away when the time is up; the reply reaches late, the same
// whether it was UDP or TCP that took so long.
func TestPatienceEnds(t *testing.T) {
	for name, c := range map[string]struct {
		udp  reply
		wait time.Duration
		took time.Duration
	}{
		"over UDP": {reply{}, 500 * time.Millisecond, 600 * time.Millisecond},
		"over TCP": {reply{tc: true}, 900 * time.Millisecond, 1800 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, answers(c.udp, reply{}), func(e *env) {
				e.net.SetDefault(simnet.Link{Latency: 300 * time.Millisecond})
				start := e.clock.Now()
				ctx, cancel := context.WithTimeout(e.Context(), 10*time.Second)
				defer cancel()
				_, pending, late, err := e.askFor(ctx, c.wait)
				if took := e.clock.Now().Sub(start); !pending || err != nil || took != c.wait {
					t.Fatalf("pending %v, %v after %v", pending, err, took)
				}
				o := <-late
				if o.err != nil {
					t.Fatal(o.err)
				}
				e.wantAnswer(o.reply)
				if took := e.clock.Now().Sub(start); took != c.took {
					t.Errorf("after %v, want %v", took, c.took)
				}
				if s := e.u.Stats(); s.Late != 0 || s.Lingering != 0 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// What nobody answers ends with ctx, and late hears of it once.
func TestPatienceEndsForNothing(t *testing.T) {
	inBubble(t, nil, func(seen) [][]byte { return nil }, func(e *env) {
		ctx, cancel := context.WithTimeout(e.Context(), 3*time.Second)
		defer cancel()
		_, pending, late, err := e.askFor(ctx, time.Second)
		if !pending || err != nil || len(late) != 0 {
			t.Fatal(pending, err)
		}
		e.wantOutcome((<-late).err, event.Timeout)
		synctest.Wait()
		if s := e.u.Stats(); len(late) != 0 || s.Failed[event.Timeout] != 1 || s.Lingering != 1 {
			t.Errorf("%+v", s)
		}
	})
}
