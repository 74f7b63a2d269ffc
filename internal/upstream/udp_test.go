package upstream

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/event"
	"lastgood/internal/iterator"
	"lastgood/internal/simnet"
	"lastgood/internal/wire"
)

func TestPlainExchange(t *testing.T) {
	inBubble(t, nil, answers(reply{}, reply{}), func(e *env) {
		budget := iterator.NewBudget(5, 1<<20)
		r, err := e.exchange(time.Second, iterator.Query{Budget: budget})
		if err != nil {
			t.Fatal(err)
		}
		e.wantAnswer(r)
		if r.Transport != event.UDP || r.RTT != rtt || r.At != e.clock.Now() || budget.Left() != 4 {
			t.Errorf("%v, %v, budget %d", r.Transport, r.RTT, budget.Left())
		}
		q := e.questions()[0].view
		question, _ := q.Question()
		edns, _ := q.EDNS()
		cookie, _ := edns.Option(wire.OptionCookie)
		if bytes.Equal(question.Name, []byte(asked)) {
			t.Error("no letter's case was changed")
		}
		if q.RD() || q.CD() || edns.DO || edns.UDPSize != 1232 || len(cookie) != 8 || question.Class != wire.ClassIN {
			t.Errorf("query RD=%v CD=%v %+v", q.RD(), q.CD(), edns)
		}
		if info, _ := e.infra.Server(e.clock.Now(), serverAddr); info.SRTT != rtt || info.Sent != 1 || info.Answered != 1 {
			t.Errorf("infra heard %+v", info)
		}
		e.good()
		second := e.questions()[1]
		if second.view.ID() == q.ID() || second.from.Port() == e.questions()[0].from.Port() {
			t.Error("id or port used again")
		}
	})
}

func TestFlagsOfQuery(t *testing.T) {
	inBubble(t, func(o *Options) { o.DNSSEC, o.UDPSize, o.Cookies, o.CaseRandomisation = true, 1400, false, false },
		answers(reply{}, reply{}), func(e *env) {
			if _, err := e.exchange(time.Second, iterator.Query{RD: true}); err != nil {
				t.Fatal(err)
			}
			q := e.questions()[0].view
			question, _ := q.Question()
			edns, _ := q.EDNS()
			if !q.RD() || !q.CD() || !edns.DO || edns.UDPSize != 1400 || len(edns.Options) != 0 || string(question.Name) != string(asked) {
				t.Errorf("query RD=%v CD=%v %+v %s", q.RD(), q.CD(), edns, question.Name)
			}
		})
}

// Who validates asks everybody with DO=1 and CD=1, resolvers and authorities, over
// UDP and TCP (RFC 4035 §3.2.1, RFC 6840 §5.9), for replies of 1,232 octets; nobody
// else asks so.
func TestWhoValidatesAsksForAll(t *testing.T) {
	for _, validates := range []bool{true, false} {
		inBubble(t, func(o *Options) { o.DNSSEC = validates }, answers(reply{tc: true, empty: true}, reply{size: 3000}), func(e *env) {
			for _, rd := range []bool{true, false} {
				if _, err := e.exchange(5*time.Second, iterator.Query{RD: rd}); err != nil {
					t.Fatal(err)
				}
			}
			e.wantTransports("UTUT")
			for i, q := range e.questions() {
				if edns, _ := q.view.EDNS(); q.view.CD() != validates || edns.DO != validates || q.view.RD() != (i < 2) || edns.UDPSize != 1232 {
					t.Errorf("question %d: CD %v DO %v RD %v size %d", i, q.view.CD(), edns.DO, q.view.RD(), edns.UDPSize)
				}
			}
		})
	}
}

// Replies that do not belong to the question are ignored and counted; the right
// one that comes behind them is taken.
func TestWrongRepliesAreIgnored(t *testing.T) {
	for name, c := range map[string]struct {
		wrong reply
		count func(Stats) uint64
	}{
		"id":           {reply{id: 1}, func(s Stats) uint64 { return s.WrongID }},
		"name":         {reply{name: []byte("\x03bad\x07example\x00")}, func(s Stats) uint64 { return s.WrongQuestion }},
		"type":         {reply{typ: wire.TypeAAAA}, func(s Stats) uint64 { return s.WrongQuestion }},
		"class":        {reply{class: wire.ClassCH}, func(s Stats) uint64 { return s.WrongQuestion }},
		"no question":  {reply{noQuestion: true}, func(s Stats) uint64 { return s.WrongQuestion }},
		"a query":      {reply{query: true}, func(s Stats) uint64 { return s.WrongShort }},
		"no error tho": {reply{noQuestion: true, rcode: wire.RcodeNXDomain}, func(s Stats) uint64 { return s.WrongQuestion }},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(q seen) [][]byte {
				return [][]byte{c.wrong.to(q), {1, 2, 3}, reply{}.to(q)}
			}, func(e *env) {
				e.good()
				e.wantTransports("U")
				if s := e.u.Stats(); c.count(s) < 1 || s.WrongShort < 1 || s.Replies != 1 {
					t.Errorf("counted %+v", s)
				}
			})
		})
	}
}

// Nothing but the server's address and port is heard.
func TestWrongAddressIsNotHeard(t *testing.T) {
	inBubble(t, nil, nil, func(e *env) {
		liar := netip.MustParseAddrPort("203.0.113.66:53")
		e.serveUDP(func(q seen) [][]byte {
			e.net.Inject(liar, q.from, reply{}.to(q))
			e.net.Inject(netip.AddrPortFrom(serverAddr.Addr(), 5353), q.from, reply{}.to(q))
			return nil
		})
		e.bad(time.Second, event.Timeout)
		if s := e.u.Stats(); s.Replies != 0 || s.Failed[event.Timeout] != 1 {
			t.Errorf("counted %+v", s)
		}
	})
}

// Many wrong replies to one question move it to TCP, and the server stays there
// for a while, since it does TCP.
func TestFloodOfForgeriesGoesToTCP(t *testing.T) {
	inBubble(t, nil, func(q seen) (out [][]byte) {
		if q.tcp {
			return [][]byte{reply{}.to(q)}
		}
		for n := range 10 {
			out = append(out, reply{id: uint16(n + 1)}.to(q))
		}
		return append(out, reply{}.to(q)) // even a right one is not believed any more
	}, func(e *env) {
		if r := e.good(); r.Transport != event.TCP {
			t.Errorf("came over %v", r.Transport)
		}
		e.wantTransports("UT")
		if s := e.u.Stats(); s.Floods != 1 || s.WrongID != 10 {
			t.Errorf("counted %+v", s)
		}
		e.good()
		e.wantTransports("UTT")
		if len(e.events) != 1 || e.events[0].(event.Downgraded).What != "tcp" {
			t.Errorf("told %+v", e.events)
		}
	})
}

// When TCP is gone later, UDP is the way back.
func TestTCPByHabitIsGone(t *testing.T) {
	inBubble(t, nil, nil, func(e *env) {
		e.serveUDP(answers(reply{}, reply{}))
		e.infra.LearnTCP(e.clock.Now(), serverAddr, true)
		e.good()
		e.wantTransports("U")
		if e.capability().TCP {
			t.Error("still preferred")
		}
	})
}

// An exchange whose time is over before it begins sends nothing.
func TestNothingIsSentTooLate(t *testing.T) {
	inBubble(t, nil, answers(reply{}, reply{}), func(e *env) {
		b := iterator.NewBudget(1, 1<<20)
		_, err := e.exchange(0, iterator.Query{Budget: b})
		e.wantOutcome(err, event.Timeout)
		if e.wantTransports(""); b.Left() != 1 {
			t.Error("paid for nothing")
		}
	})
}

// Fewer than the bound do not.
func TestFewForgeriesStayOnUDP(t *testing.T) {
	inBubble(t, nil, func(q seen) (out [][]byte) {
		for n := range 9 {
			out = append(out, reply{id: uint16(n + 1)}.to(q))
		}
		return append(out, reply{}.to(q))
	}, func(e *env) {
		e.good()
		e.wantTransports("U")
	})
}

// A forged reply that has everything right but the case is not used, TCP
// settles it, and the server keeps its good name.
func TestWrongCaseIsCheckedOverTCP(t *testing.T) {
	inBubble(t, nil, func(q seen) [][]byte {
		if q.tcp {
			return [][]byte{reply{}.to(q)}
		}
		return [][]byte{reply{name: lowered(q), empty: true}.to(q), reply{}.to(q)}
	}, func(e *env) {
		e.good()
		e.wantTransports("UT")
		if e.capability().ManglesCase || e.u.Stats().WrongCase != 1 {
			t.Errorf("%+v, counted %d", e.capability(), e.u.Stats().WrongCase)
		}
	})
}

// A server that mangles the case is found out and spoken to in its way.
func TestMangledCase(t *testing.T) {
	mangle := func(q seen) [][]byte { return [][]byte{reply{name: lowered(q)}.to(q)} }
	t.Run("with TCP", func(t *testing.T) {
		inBubble(t, nil, mangle, func(e *env) {
			e.good()
			e.wantTransports("UT")
			if !e.capability().ManglesCase || len(e.events) != 1 {
				t.Errorf("%+v, told %v", e.capability(), e.events)
			}
			e.good()
			e.wantTransports("UTU")
			if question, _ := e.questions()[2].view.Question(); string(question.Name) != string(asked) {
				t.Error("asked with random case again")
			}
			time.Sleep(61 * time.Minute)
			e.good() // perhaps it got mended
			e.wantTransports("UTUUT")
		})
	})
	t.Run("without TCP", func(t *testing.T) {
		inBubble(t, nil, nil, func(e *env) {
			e.serveUDP(mangle)
			e.good()
			e.wantTransports("UU")
			if !e.capability().ManglesCase {
				t.Error("not noted")
			}
			e.good()
			e.wantTransports("UUU")
		})
	})
	t.Run("TCP is dropped", func(t *testing.T) {
		inBubble(t, nil, nil, func(e *env) {
			e.serveUDP(mangle)
			l, err := e.server.Listen(serverAddr) // accepts and says nothing
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			e.good()
			e.wantTransports("UU")
		})
	})
}

func TestMalformedReplies(t *testing.T) {
	inBubble(t, nil, func(q seen) [][]byte {
		msg := reply{}.to(q)
		return [][]byte{msg[:len(msg)-3]}
	}, func(e *env) {
		e.bad(time.Second, event.Garbage)
		if e.u.Stats().Garbage != 1 {
			t.Error("not counted")
		}
	})
}

// Every prefix of a reply is dealt with, none is taken for the whole.
func TestEveryPrefixOfReply(t *testing.T) {
	for n := range 100 {
		inBubble(t, nil, func(q seen) [][]byte {
			msg := reply{}.to(q)
			return [][]byte{msg[:min(n, len(msg)-1)]}
		}, func(e *env) {
			if _, err := e.ask(time.Second); err == nil {
				t.Fatalf("the first %d octets are taken for a reply", n)
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	t.Run("port closed", func(t *testing.T) {
		inBubble(t, nil, nil, func(e *env) {
			start := e.clock.Now()
			err := e.bad(time.Minute, event.Unreachable)
			if took := e.clock.Now().Sub(start); took != rtt || !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("%v after %v", err, took)
			}
			if info, _ := e.infra.Server(e.clock.Now(), serverAddr); info.Health != "unreachable" {
				t.Errorf("infra: %s", info.Health)
			}
		})
	})
	t.Run("no route", func(t *testing.T) {
		inBubble(t, nil, nil, func(e *env) {
			for _, to := range []string{"[2001:db8::1]:53", "[2001:db8::2]:53"} {
				_, err := e.exchange(time.Minute, iterator.Query{Server: netip.MustParseAddrPort(to)})
				e.wantOutcome(err, event.Unreachable)
			}
			if !e.infra.Stats().IPv6Dead {
				t.Error("IPv6 is not noted as dead")
			}
		})
	})
	t.Run("do not query", func(t *testing.T) {
		inBubble(t, func(o *Options) { o.DoNotQuery = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} },
			answers(reply{}, reply{}), func(e *env) {
				e.bad(time.Second, event.Unreachable)
				_, err := e.exchange(time.Second, iterator.Query{Server: netip.MustParseAddrPort("[::ffff:192.0.2.1]:53")})
				e.wantOutcome(err, event.Unreachable)
				e.wantTransports("")
				if e.u.Stats().Forbidden != 2 {
					t.Error("not counted")
				}
			})
	})
	t.Run("do not query but what is configured", func(t *testing.T) {
		inBubble(t, func(o *Options) {
			o.DoNotQuery = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
			o.Configured = []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:53")}
		},
			answers(reply{}, reply{}), func(e *env) {
				for _, to := range []string{"192.0.2.1:53", "[::ffff:192.0.2.1]:53"} {
					if _, err := e.exchange(time.Second, iterator.Query{Server: netip.MustParseAddrPort(to)}); err != nil {
						t.Errorf("%s: %v", to, err)
					}
				}
				for _, to := range []string{"192.0.2.1:5353", "192.0.2.2:53"} {
					_, err := e.exchange(time.Second, iterator.Query{Server: netip.MustParseAddrPort(to)})
					e.wantOutcome(err, event.Unreachable)
				}
				if e.u.Stats().Forbidden != 2 {
					t.Errorf("%d forbidden", e.u.Stats().Forbidden)
				}
			})
	})
}

// A reply that comes after its exchange ended is still heard: the round trip is
// learnt, and the server is not silent.
func TestLateReply(t *testing.T) {
	inBubble(t, nil, answers(reply{}, reply{}), func(e *env) {
		e.net.SetDefault(simnet.Link{Latency: 300 * time.Millisecond})
		start := e.clock.Now()
		err := e.bad(100*time.Millisecond, event.Timeout)
		if !errors.Is(err, context.DeadlineExceeded) || e.clock.Now().Sub(start) != 100*time.Millisecond {
			t.Errorf("%v after %v", err, e.clock.Now().Sub(start))
		}
		if s := e.u.Stats(); s.Lingering != 1 || s.Sockets != 1 {
			t.Errorf("%+v", s)
		}
		time.Sleep(time.Second)
		if info, _ := e.infra.Server(e.clock.Now(), serverAddr); info.SRTT != 600*time.Millisecond || info.Health != "good" {
			t.Errorf("infra: %+v", info)
		}
		if s := e.u.Stats(); s.Late != 1 || s.Lingering != 0 || s.Sockets != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// What never comes is not waited for long, and Close ends it at once.
func TestLingeringEnds(t *testing.T) {
	inBubble(t, nil, func(seen) [][]byte { return nil }, func(e *env) {
		e.bad(100*time.Millisecond, event.Timeout)
		time.Sleep(lingerFor + time.Millisecond)
		synctest.Wait()
		if s := e.u.Stats(); s.Sockets != 0 {
			t.Errorf("%+v", s)
		}
		e.bad(100*time.Millisecond, event.Timeout)
		e.u.Close()
		synctest.Wait()
		if s := e.u.Stats(); s.Sockets != 0 {
			t.Errorf("after Close: %+v", s)
		}
	})
}

// With no room to linger, a question that was not given its time is no silence.
func TestNoRoomToLinger(t *testing.T) {
	inBubble(t, func(o *Options) { o.MaxSockets = 4 }, func(seen) [][]byte { return nil }, func(e *env) {
		for range 5 {
			e.bad(10*time.Millisecond, event.Timeout)
		}
		if got := e.infra.Stats().Abandoned; got != 4 {
			t.Errorf("%d abandoned, want all but the one that lingers", got)
		}
	})
}

func TestBudget(t *testing.T) {
	inBubble(t, nil, answers(reply{tc: true}, reply{}), func(e *env) {
		_, err := e.exchange(time.Second, iterator.Query{Budget: iterator.NewBudget(1, 1<<20)})
		e.wantOutcome(err, event.Budget)
		e.wantTransports("U")
		if e.u.Stats().BudgetRefused != 1 {
			t.Error("not counted")
		}
	})
}

func TestSocketBound(t *testing.T) {
	inBubble(t, func(o *Options) { o.MaxSockets = 3 }, func(seen) [][]byte { return nil }, func(e *env) {
		done := make(chan error)
		for range 5 {
			go func() { _, err := e.ask(time.Second); done <- err }()
		}
		bound := 0
		for range 5 {
			if err := <-done; err.(*Error).Result == event.Budget {
				bound++
			}
		}
		if bound != 2 || e.u.Stats().SocketBound != 2 {
			t.Errorf("%d refused", bound)
		}
	})
}

// Many at once: nothing gets mixed up.
func TestConcurrentExchanges(t *testing.T) {
	inBubble(t, nil, answers(reply{}, reply{}), func(e *env) {
		const n = 500
		done := make(chan error, n)
		for range n {
			go func() { _, err := e.ask(time.Second); done <- err }()
		}
		for range n {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		ports, ids := map[uint16]bool{}, map[uint16]bool{}
		for _, q := range e.questions() {
			ports[q.from.Port()], ids[q.view.ID()] = true, true
		}
		if len(ports) < n-1 || len(ids) < n*95/100 {
			t.Errorf("%d ports and %d ids for %d questions", len(ports), len(ids), n)
		}
	})
}
