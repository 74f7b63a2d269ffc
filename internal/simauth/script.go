package simauth

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"lastgood/internal/authority"
	"lastgood/internal/event"
	"lastgood/internal/wire"
)

// Exchange is a query under way, as scripts see it.
type Exchange struct {
	Query
	View wire.View // the query; valid during the call
	sim  *Sim
}

// Script sees a query with the reaction to it and gives another. The reaction's
// Reply is a bare message, over TCP too.
type Script func(x Exchange, re authority.Reaction) authority.Reaction

type scripted struct {
	matches func(Query) bool
	left    int // runs; negative: for ever
	script  Script
}

// On lets a script see the next n queries that match (nil: all do), or, with n
// negative, all of them. Of several, the first that was set and matches runs,
// and only that.
func (s *Server) On(matches func(Query) bool, n int, script Script) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scripts = append(s.scripts, &scripted{matches, n, script})
}

// Once lets a script see the next query.
func (s *Server) Once(script Script) { s.On(nil, 1, script) }

// Always lets a script see every query.
func (s *Server) Always(script Script) { s.On(nil, -1, script) }

// Unscript removes all scripts.
func (s *Server) Unscript() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scripts = nil
}

// For matches the queries for a name and type (TypeNone: any).
func For(name string, t wire.Type) func(Query) bool {
	return func(q Query) bool {
		return q.Name.String() == strings.ToLower(dns.Fqdn(name)) && (t == wire.TypeNone || q.Type == t)
	}
}

// script runs the first script that matches. The reply begins at start of the
// reaction's buffer.
func (s *Server) script(x Exchange, re authority.Reaction, start int) authority.Reaction {
	run := s.claim(x.Query)
	if run == nil {
		return re
	}
	prefix := make([]byte, start)
	if re.Reply != nil {
		re.Reply = re.Reply[start:]
	}
	if re = run(x, re); re.Reply != nil {
		re.Reply = append(prefix, re.Reply...)
	}
	return re
}

func (s *Server) claim(q Query) Script {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.scripts, func(c *scripted) bool { return c.matches == nil || c.matches(q) })
	if i < 0 {
		return nil
	}
	c := s.scripts[i]
	if c.left--; c.left == 0 {
		s.scripts = slices.Delete(s.scripts, i, i+1)
	}
	return c.script
}

// Mutate alters the reply's octets; nil is silence. There is nothing to alter
// when the server is silent.
func Mutate(f func(query wire.View, reply []byte) []byte) Script {
	return func(x Exchange, re authority.Reaction) authority.Reaction {
		if re.Reply != nil {
			re.Reply = f(x.View, re.Reply)
		}
		return re
	}
}

// Silence gives no answer.
func Silence() Script {
	return func(Exchange, authority.Reaction) authority.Reaction { return authority.Reaction{} }
}

// Late answers so much later.
func Late(d time.Duration) Script {
	return func(_ Exchange, re authority.Reaction) authority.Reaction {
		re.Delay += d
		return re
	}
}

// Prefix answers with the first n octets only.
func Prefix(n int) Script {
	return Mutate(func(_ wire.View, reply []byte) []byte { return reply[:min(n, len(reply))] })
}

// Spoof lets n forged replies arrive before the real one, each with another id.
// Over TCP there are none.
func Spoof(n int) Script {
	return func(x Exchange, re authority.Reaction) authority.Reaction {
		if x.Transport != event.UDP || re.Reply == nil {
			return re
		}
		forged := slices.Clone(re.Reply)
		id := binary.BigEndian.Uint16(forged)
		for i := range n {
			binary.BigEndian.PutUint16(forged, id+uint16(i%0xffff)+1)
			x.sim.net.Inject(x.To, x.From, forged)
		}
		re.Delay += time.Millisecond // lest the real one overtake them
		return re
	}
}

// Edit alters the reply as the library's message: for additions, removals and
// lies. A reply that can then not be packed ends the test.
func Edit(f func(*dns.Msg)) Script {
	return func(x Exchange, re authority.Reaction) authority.Reaction {
		m := new(dns.Msg)
		if re.Reply == nil || m.Unpack(re.Reply) != nil {
			return re
		}
		m.Compress = true
		f(m)
		packed, err := m.Pack()
		if err != nil {
			x.sim.t.Errorf("simauth: edited reply to %v: %v", x.Query, err)
			return re
		}
		re.Reply = packed
		return re
	}
}

// Say answers with what is written, whatever the server would have said. The
// first line has the rcode and flags ("NOERROR aa tc"), each further one a
// section (an, ns, ar) and a record in presentation form:
//
//	NXDOMAIN aa
//	an www.example.com. 300 CNAME www.example.net.
//	ns example.com. 300 SOA ns. admin. 1 1 1 1 60
//
// It panics on a mistake in the text.
func Say(text string) Script {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	var said dns.Msg
	for _, word := range strings.Fields(lines[0]) {
		rcode, ok := dns.StringToRcode[word]
		switch {
		case ok:
			said.Rcode = rcode
		case word == "aa":
			said.Authoritative = true
		case word == "tc":
			said.Truncated = true
		default:
			panic(fmt.Sprintf("simauth: %q is neither rcode nor flag", word))
		}
	}
	for _, line := range lines[1:] {
		sayRecord(&said, strings.TrimSpace(line))
	}
	return Edit(func(m *dns.Msg) {
		m.Rcode, m.Authoritative, m.Truncated = said.Rcode, said.Authoritative, said.Truncated
		opt := m.IsEdns0()
		m.Answer, m.Ns, m.Extra = said.Answer, said.Ns, slices.Clone(said.Extra)
		if opt != nil {
			m.Extra = append(m.Extra, opt)
		}
	})
}

func sayRecord(said *dns.Msg, line string) {
	section, record, _ := strings.Cut(line, " ")
	rr, err := dns.NewRR(record)
	if err != nil || rr == nil {
		panic(fmt.Sprintf("simauth: %q: %v", line, err))
	}
	switch section {
	case "an":
		said.Answer = append(said.Answer, rr)
	case "ns":
		said.Ns = append(said.Ns, rr)
	case "ar":
		said.Extra = append(said.Extra, rr)
	default:
		panic(fmt.Sprintf("simauth: %q: the section is none of an, ns, ar", line))
	}
}
