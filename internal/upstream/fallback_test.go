package upstream

import (
	"bytes"
	"testing"
	"time"

	"lastgood/internal/event"
	"lastgood/internal/infra"
	"lastgood/internal/wire"
)

// Servers that refuse EDNS are asked without and remembered, each in its own
// way of refusing.
func TestServersThatRefuseEDNS(t *testing.T) {
	for name, refusal := range map[string]reply{
		"FORMERR without OPT":      {rcode: wire.RcodeFormErr, noOPT: true},
		"FORMERR without question": {rcode: wire.RcodeFormErr, noOPT: true, noQuestion: true},
		"NOTIMP":                   {rcode: wire.RcodeNotImp, noOPT: true},
		"BADVERS":                  {rcode: wire.RcodeBadVers},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(q seen) [][]byte {
				if _, ok := q.view.EDNS(); ok {
					return [][]byte{refusal.to(q)}
				}
				return [][]byte{reply{}.to(q)}
			}, func(e *env) {
				e.good()
				e.wantTransports("Uu")
				if e.capability().EDNS != infra.EDNSBroken || len(e.events) != 1 || e.events[0].(event.Downgraded).What != "edns off" {
					t.Errorf("%+v, told %+v", e.capability(), e.events)
				}
				e.good()
				e.wantTransports("Uuu")
				time.Sleep(16 * time.Minute)
				e.good() // perhaps it got mended
				e.wantTransports("UuuUu")
			})
		})
	}
}

// A server that dislikes only the cookie keeps EDNS.
func TestServerThatDislikesCookies(t *testing.T) {
	inBubble(t, nil, func(q seen) [][]byte {
		if e, _ := q.view.EDNS(); len(e.Options) > 0 {
			return [][]byte{reply{rcode: wire.RcodeFormErr, noCookie: true}.to(q)}
		}
		return [][]byte{reply{}.to(q)}
	}, func(e *env) {
		e.good()
		e.wantTransports("UU")
		if e.capability() != (infra.Capability{EDNS: infra.EDNSWorks, NoCookies: true}) {
			t.Errorf("%+v", e.capability())
		}
		e.good()
		e.wantTransports("UUU")
	})
}

// An error that has nothing to do with EDNS comes back as it is, and nothing is
// held against the server.
func TestErrorsThatAreNotAboutEDNS(t *testing.T) {
	for _, rcode := range []wire.Rcode{wire.RcodeFormErr, wire.RcodeNotImp, wire.RcodeServFail, wire.RcodeRefused, wire.RcodeNXDomain} {
		inBubble(t, nil, answers(reply{rcode: rcode}, reply{}), func(e *env) {
			r, err := e.ask(time.Second)
			if err != nil || r.View.Rcode() != rcode {
				t.Fatalf("got %v, %v; want %v", r.View, err, rcode)
			}
			if e.capability().EDNS == infra.EDNSBroken || len(e.questions()) > 3 {
				t.Errorf("%v: %+v after %q", rcode, e.capability(), e.transports())
			}
		})
	}
}

// The cookie that a server gave is sent back to it, and only to it.
func TestCookies(t *testing.T) {
	inBubble(t, nil, answers(reply{}, reply{}), func(e *env) {
		e.good()
		e.good()
		var cookies [][]byte
		for _, q := range e.questions() {
			edns, _ := q.view.EDNS()
			c, _ := edns.Option(wire.OptionCookie)
			cookies = append(cookies, c)
		}
		if want := append(cookies[0][:8:8], serverCookie...); !bytes.Equal(cookies[1], want) {
			t.Errorf("sent %x, want %x", cookies[1], want)
		}
	})
}

func TestBadCookie(t *testing.T) {
	t.Run("once", func(t *testing.T) {
		inBubble(t, nil, func(q seen) [][]byte {
			edns, _ := q.view.EDNS()
			if c, _ := edns.Option(wire.OptionCookie); !bytes.HasSuffix(c, serverCookie) {
				return [][]byte{reply{rcode: wire.RcodeBadCookie}.to(q)}
			}
			return [][]byte{reply{}.to(q)}
		}, func(e *env) {
			e.good()
			e.wantTransports("UU")
			e.good()
			e.wantTransports("UUU")
		})
	})
	t.Run("always over UDP", func(t *testing.T) {
		inBubble(t, nil, answers(reply{rcode: wire.RcodeBadCookie}, reply{}), func(e *env) {
			e.good()
			e.wantTransports("UUT")
			if e.u.Stats().BadCookie != 2 {
				t.Error("not counted")
			}
		})
	})
	t.Run("always", func(t *testing.T) {
		inBubble(t, nil, answers(reply{rcode: wire.RcodeBadCookie}, reply{rcode: wire.RcodeBadCookie}), func(e *env) {
			if r, err := e.ask(time.Second); err != nil || r.View.Rcode() != wire.RcodeBadCookie {
				t.Errorf("%v %v", r.View, err)
			}
			e.wantTransports("UUT")
		})
	})
}

// A reply whose client cookie is not ours is not used (RFC 7873 §5.3).
func TestForeignCookie(t *testing.T) {
	inBubble(t, nil, answers(reply{empty: true, cookie: []byte("not ours, a cookie")}, reply{}), func(e *env) {
		e.good()
		e.wantTransports("UT")
		if e.u.Stats().WrongCookie != 1 {
			t.Error("not counted")
		}
	})
}

// A server that gave a cookie and stops is checked over TCP, where it may stop.
func TestCookieThatStops(t *testing.T) {
	stops := func(e *env) handler {
		return func(q seen) [][]byte {
			return [][]byte{reply{noCookie: len(e.questions()) > 1}.to(q)}
		}
	}
	t.Run("with TCP", func(t *testing.T) {
		inBubble(t, nil, nil, func(e *env) {
			e.serveUDP(stops(e))
			e.serveTCP(stops(e))
			e.good()
			if r := e.good(); r.Transport != event.TCP {
				t.Error("taken over UDP without the cookie")
			}
			e.good()
			e.wantTransports("UUTU")
		})
	})
	t.Run("without TCP", func(t *testing.T) {
		inBubble(t, nil, nil, func(e *env) {
			e.serveUDP(stops(e))
			e.good()
			e.good()
			e.good()
			e.wantTransports("UUU")
			if e.u.Stats().CookieMissing != 1 {
				t.Errorf("%+v", e.u.Stats())
			}
		})
	})
}
