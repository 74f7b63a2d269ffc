package upstream

import (
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/event"
	"lastgood/internal/iterator"
	"lastgood/internal/simnet"
)

// A truncated reply is asked for again over TCP; the round trip over UDP is
// learnt all the same.
func TestTruncated(t *testing.T) {
	for name, h := range map[string]handler{
		"empty":   answers(reply{tc: true, empty: true}, reply{size: 40000}),
		"partial": answers(reply{tc: true}, reply{}),
		"cut short": func(q seen) [][]byte {
			msg := reply{tc: !q.tcp}.to(q)
			if !q.tcp {
				msg = msg[:len(msg)-20]
			}
			return [][]byte{msg}
		},
		"longer than asked for": answers(reply{size: 6000}, reply{size: 6000}),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, h, func(e *env) {
				if r := e.good(); r.Transport != event.TCP || r.RTT != rtt {
					t.Errorf("over %v in %v", r.Transport, r.RTT)
				}
				e.wantTransports("UT")
				info, _ := e.infra.Server(e.clock.Now(), serverAddr)
				if info.SRTT != rtt || e.u.Stats().Truncated != 1 {
					t.Errorf("srtt %v, counted %d", info.SRTT, e.u.Stats().Truncated)
				}
			})
		})
	}
}

// Truncated, and TCP refused: unreachable, but the address is not condemned.
func TestTruncatedAndRefused(t *testing.T) {
	inBubble(t, nil, nil, func(e *env) {
		e.serveUDP(answers(reply{tc: true}, reply{}))
		_, err := e.exchange(time.Minute, iterator.Query{})
		e.wantOutcome(err, event.Unreachable)
		if l, ok := err.(interface{ Lives() bool }); !ok || !l.Lives() {
			t.Errorf("taken for dead: %v", err)
		}
		if info, _ := e.infra.Server(e.clock.Now(), serverAddr); info.Health != "good" || info.Unanswered != 0 {
			t.Errorf("infra: %s, %d unanswered", info.Health, info.Unanswered)
		}
	})
}

// A connection that stalls half-way through a message ends with the context, or
// by itself after 10 s.
func TestStalledConnection(t *testing.T) {
	half := func(e *env) {
		e.serveUDP(answers(reply{tc: true}, reply{}))
		l, err := e.server.Listen(serverAddr)
		if err != nil {
			e.Fatal(err)
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = c.Write([]byte{1, 0, 0, 0, 0})
			}
		}()
	}
	for _, c := range []struct{ wait, want time.Duration }{{3 * time.Second, 3 * time.Second}, {time.Minute, rtt + stallTCP}} {
		inBubble(t, nil, nil, func(e *env) {
			half(e)
			start := e.clock.Now()
			e.bad(c.wait, event.Timeout)
			if got := e.clock.Now().Sub(start); got != c.want {
				t.Errorf("given %v it took %v", c.wait, got)
			}
		})
	}
}

// A connection that cannot be opened, for nothing comes back, likewise.
func TestSilentConnect(t *testing.T) {
	inBubble(t, nil, answers(reply{}, reply{}), func(e *env) {
		e.net.Outage(serverAddr.Addr(), simnet.Blackhole, 0, 0)
		_, err := e.exchange(time.Second, iterator.Query{TCP: true})
		e.wantOutcome(err, event.Timeout)
	})
}

// That a connection is opened is no sign of life: a front may do that for a server
// that is dead. Three questions without a reply are silence as over UDP, and the
// first reply ends it.
func TestOpenedConnectionIsNoReply(t *testing.T) {
	dead := true
	inBubble(t, nil, func(q seen) [][]byte {
		if dead {
			return [][]byte{} // the connection stays open
		}
		return [][]byte{reply{}.to(q)}
	}, func(e *env) {
		for n, want := range []string{"doubtful", "doubtful", "suspect", "suspect"} {
			_, err := e.exchange(time.Second, iterator.Query{TCP: true})
			e.wantOutcome(err, event.Timeout)
			info, _ := e.infra.Server(e.clock.Now(), serverAddr)
			if info.Health != want || info.Unanswered != n+1 || info.Heard != 0 {
				t.Errorf("after %d: %s, %d unanswered, heard %v", n+1, info.Health, info.Unanswered, info.Heard)
			}
		}
		dead = false
		if _, err := e.exchange(time.Second, iterator.Query{TCP: true}); err != nil {
			t.Fatal(err)
		}
		if info, _ := e.infra.Server(e.clock.Now(), serverAddr); info.Health != "good" || info.Unanswered != 0 {
			t.Errorf("%s, %d unanswered", info.Health, info.Unanswered)
		}
	})
}

// A connection is used for the next question, and closed when none comes.
func TestConnectionIsReused(t *testing.T) {
	inBubble(t, nil, answers(reply{}, reply{}), func(e *env) {
		ask := func() {
			t.Helper()
			r, err := e.exchange(time.Second, iterator.Query{TCP: true})
			if err != nil {
				t.Fatal(err)
			}
			e.wantAnswer(r)
		}
		ask()
		start := e.clock.Now()
		ask()
		if e.conns != 1 || e.clock.Now().Sub(start) != rtt || e.u.Stats().TCPReused != 1 {
			t.Errorf("%d connections, %v, %+v", e.conns, e.clock.Now().Sub(start), e.u.Stats())
		}
		time.Sleep(5*time.Second + time.Millisecond)
		synctest.Wait()
		if s := e.u.Stats(); s.Idle != 0 || s.Sockets != 0 {
			t.Errorf("still open: %+v", s)
		}
		ask()
		if e.conns != 2 {
			t.Errorf("%d connections", e.conns)
		}
	})
}

// A kept connection that the server closed meanwhile costs a new one, no error.
func TestConnectionClosedWhileIdle(t *testing.T) {
	inBubble(t, nil, func(q seen) [][]byte { return [][]byte{reply{}.to(q), nil} }, func(e *env) {
		for range 3 {
			if _, err := e.exchange(time.Second, iterator.Query{TCP: true}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if s := e.u.Stats(); s.TCPStale != 2 || e.conns != 3 {
			t.Errorf("%d connections, %+v", e.conns, s)
		}
	})
}

// Every question over TCP costs one of the budget, the repeated one as well.
func TestBudgetOverTCP(t *testing.T) {
	inBubble(t, nil, func(q seen) [][]byte { return [][]byte{reply{}.to(q), nil} }, func(e *env) {
		b := iterator.NewBudget(3, 1<<20)
		for range 2 {
			if _, err := e.exchange(time.Second, iterator.Query{TCP: true, Budget: b}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if b.Left() != 0 {
			t.Errorf("%d left after three questions", b.Left())
		}
	})
}

func TestHangUpWithoutReply(t *testing.T) {
	inBubble(t, nil, func(q seen) [][]byte { return [][]byte{nil} }, func(e *env) {
		_, err := e.exchange(time.Second, iterator.Query{TCP: true})
		e.wantOutcome(err, event.Unreachable)
		if info, _ := e.infra.Server(e.clock.Now(), serverAddr); info.Health == "unreachable" {
			t.Error("a server that hangs up is condemned")
		}
	})
}

func TestNonsenseOverTCP(t *testing.T) {
	for name, h := range map[string]handler{
		"wrong id":       answers(reply{}, reply{id: 1}),
		"wrong question": answers(reply{}, reply{name: []byte("\x03bad\x00")}),
		"malformed":      func(q seen) [][]byte { return [][]byte{reply{}.to(q)[:30]} },
		"malformed and miscased": func(q seen) [][]byte {
			msg := reply{name: lowered(q)}.to(q)
			return [][]byte{msg[:len(msg)-3]}
		},
		"too large": answers(reply{}, reply{size: 3000}),
		"truncated": answers(reply{}, reply{tc: true}),
		"empty":     func(q seen) [][]byte { return [][]byte{{}} },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(o *Options) { o.MaxBytes = 2000 }, h, func(e *env) {
				_, err := e.exchange(time.Second, iterator.Query{TCP: true})
				e.wantOutcome(err, event.Garbage)
			})
		})
	}
}

// At the socket bound an idle connection gives way to a question.
func TestIdleConnectionGivesWay(t *testing.T) {
	inBubble(t, func(o *Options) { o.MaxSockets = 1 }, answers(reply{}, reply{}), func(e *env) {
		if _, err := e.exchange(time.Second, iterator.Query{TCP: true}); err != nil {
			t.Fatal(err)
		}
		e.good()
	})
}
