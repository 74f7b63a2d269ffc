package upstream

import (
	"context"
	"sync"
	"testing"
	"time"

	"lastgood/internal/infra"
	"lastgood/internal/iterator"
	"lastgood/internal/wire"
)

// However many tries there are, and whatever they are for, a question goes to an
// address three times over each transport and not more (RFC 9520 §3.1). A server
// that mangles the case and lets TCP stall brings it to that, and answers.
func TestQuestionIsSentThreeTimes(t *testing.T) {
	mangles := func(q seen) [][]byte {
		if q.tcp {
			return nil
		}
		return [][]byte{reply{name: lowered(q)}.to(q)}
	}
	inBubble(t, nil, mangles, func(e *env) {
		ctx, cancel := context.WithTimeout(e.Context(), 8*time.Second)
		defer cancel()
		var sends iterator.Sends
		var tries sync.WaitGroup
		good := make(chan bool, 3)
		for range infra.MaxTries {
			tries.Go(func() {
				_, err := e.u.Exchange(ctx, iterator.Query{Server: serverAddr, Name: asked, Type: wire.TypeA, Sends: &sends})
				good <- err == nil
			})
			time.Sleep(400 * time.Millisecond)
		}
		tries.Wait()
		udp, tcp := 0, 0
		for _, q := range e.questions() {
			if q.tcp {
				tcp++
			} else {
				udp++
			}
		}
		if udp > infra.MaxTries || tcp > infra.MaxTries || !<-good {
			t.Errorf("asked %d times over UDP, %d over TCP: %q", udp, tcp, e.transports())
		}
	})
}

// What a server can is learnt from what it says, never from what is lost: not
// from a question that nothing answers, nor from the next way of asking it.
func TestLossTeachesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		says *reply // to the first question after the good one; nil: nothing
	}{
		"all is lost":                            {nil},
		"what follows the refusal of EDNS is":    {&reply{rcode: wire.RcodeFormErr, noOPT: true}},
		"what follows the refusal of cookies is": {&reply{rcode: wire.RcodeFormErr, noCookie: true}},
		"what follows a reply without cookie is": {&reply{rcode: wire.RcodeBadCookie}},
	} {
		t.Run(name, func(t *testing.T) {
			var told int
			inBubble(t, nil, nil, func(e *env) {
				h := func(q seen) [][]byte {
					if n := len(e.questions()); n == 1 {
						return [][]byte{reply{}.to(q)}
					}
					if told++; told == 1 && c.says != nil {
						return [][]byte{c.says.to(q)}
					}
					return nil
				}
				e.serveUDP(h)
				e.serveTCP(h)
				e.good()
				known := e.capability()
				first := e.questions()[0]
				for range 6 {
					_, _ = e.ask(700 * time.Millisecond)
				}
				if got := e.capability(); got != known || got.EDNS != infra.EDNSWorks {
					t.Errorf("learnt %+v from loss, knew %+v", got, known)
				}
				last := e.questions()[len(e.questions())-1]
				edns, ok := last.view.EDNS()
				cookie, _ := edns.Option(wire.OptionCookie)
				was, _ := first.view.EDNS()
				own, _ := was.Option(wire.OptionCookie)
				if !ok || len(cookie) != 8+len(serverCookie) || string(cookie[:8]) != string(own[:8]) {
					t.Errorf("asked with cookie %x, EDNS %v", cookie, ok)
				}
				if q, _ := last.view.Question(); string(q.Name) == string(lowered(last)) {
					t.Error("asked in lower case")
				}
			})
		})
	}
}
