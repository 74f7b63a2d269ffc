package scenario

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"lastgood/internal/authority"
)

// canned is what a server says to a question in place of the truth.
type canned struct {
	name, typ string // "*" fits all
	left      int    // times, -1 for ever
	delay     time.Duration
	cut       int // octets of the reply that are sent, 0: all
	forged    int // replies with a wrong id before it
	raw       []byte
	drop      bool
	msg       *dns.Msg // nil: the truth
}

// maxForged bounds forged=N.
const maxForged = 10000

// newCanned reads a reply statement.
func newCanned(st *step) (c *canned, server string, err error) {
	if len(st.words) < 3 {
		return nil, "", fmt.Errorf("reply SERVER NAME TYPE [option…]")
	}
	c = &canned{name: st.words[1], typ: strings.ToUpper(st.words[2]), left: -1}
	o, err := optionsOf(st.words[3:], "times= delay= cut= forged= raw= drop")
	if err != nil {
		return nil, "", err
	}
	for key, text := range o.vals {
		switch key {
		case "times":
			c.left, err = strconv.Atoi(text)
		case "delay":
			c.delay, err = time.ParseDuration(text)
		case "cut":
			c.cut, err = strconv.Atoi(text)
		case "forged":
			c.forged, err = strconv.Atoi(text)
			c.forged = min(c.forged, maxForged)
		case "raw":
			c.raw, err = hex.DecodeString(text)
		case "drop":
			c.drop = true
		}
		if err != nil {
			return nil, "", fmt.Errorf("%s=%s: %w", key, text, err)
		}
	}
	if len(st.block) > 0 {
		c.msg, err = message(st.block)
	}
	return c, st.words[0], err
}

// message makes a reply of its lines.
func message(block []line) (*dns.Msg, error) {
	m := new(dns.Msg)
	m.Response, m.Authoritative = true, true
	for _, l := range block {
		switch l.verb {
		case "rcode":
			code, ok := dns.StringToRcode[l.rest]
			if !ok {
				return nil, &failure{l.at, fmt.Errorf("unknown rcode %q", l.rest)}
			}
			m.Rcode = code
		case "flags":
			words := strings.Fields(l.rest)
			has := func(f string) bool {
				for _, w := range words {
					if w == f {
						return true
					}
				}
				return false
			}
			m.Authoritative, m.Truncated, m.RecursionAvailable = has("aa"), has("tc"), has("ra")
		default:
			rr, err := record(l.rest)
			if err != nil {
				return nil, &failure{l.at, err}
			}
			switch l.verb {
			case "answer":
				m.Answer = append(m.Answer, rr)
			case "authority":
				m.Ns = append(m.Ns, rr)
			case "additional":
				m.Extra = append(m.Extra, rr)
			}
		}
	}
	return m, nil
}

// record reads NAME TTL TYPE DATA.
func record(text string) (dns.RR, error) {
	words := strings.Fields(text)
	if len(words) < 4 {
		return nil, fmt.Errorf("want NAME TTL TYPE DATA, not %q", text)
	}
	ttl, err := strconv.ParseUint(words[1], 10, 32)
	if err != nil {
		return nil, err
	}
	rr, err := dns.NewRR(strings.Join(append([]string{words[0], "0 IN"}, words[2:]...), " "))
	if err != nil {
		return nil, err
	}
	if rr == nil {
		return nil, fmt.Errorf("no record in %q", text)
	}
	rr.Header().Ttl = uint32(ttl)
	return rr, nil
}

// prepared finds what to say to a message, nil for the truth.
func (s *server) prepared(msg []byte) *canned {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.canned) == 0 {
		return nil
	}
	name, typ, ok := questionOf(msg)
	if !ok {
		return nil
	}
	for i := len(s.canned) - 1; i >= 0; i-- {
		c := s.canned[i]
		if c.left == 0 || c.name != "*" && !strings.EqualFold(c.name, name) || c.typ != "*" && c.typ != typ {
			continue
		}
		if c.left > 0 {
			c.left--
		}
		return c
	}
	return nil
}

// replies makes what is sent.
func (c *canned) replies(query []byte, honest authority.Reaction) []authority.Reaction {
	re := honest
	re.Delay += c.delay
	switch {
	case c.drop:
		return nil
	case c.raw != nil:
		re.Reply = append(append([]byte(nil), query[:2]...), c.raw...)
	case c.msg != nil:
		re = authority.Reaction{Delay: c.delay, Reply: c.compose(query)}
	}
	if c.cut > 0 && c.cut < len(re.Reply) {
		re.Reply = re.Reply[:c.cut]
	}
	var list []authority.Reaction
	for i := range c.forged {
		f := re
		f.Reply = append([]byte(nil), re.Reply...)
		f.Reply[0] ^= byte((i + 1) >> 8)
		f.Reply[1] ^= byte(i + 1)
		list = append(list, f)
	}
	if c.forged > 0 {
		re.Delay += time.Millisecond // behind all of them
	}
	return append(list, re)
}

// compose makes the canned message a reply to a query.
func (c *canned) compose(query []byte) []byte {
	q := new(dns.Msg)
	if err := q.Unpack(query); err != nil {
		return nil
	}
	m := c.msg.Copy()
	m.Id, m.Question, m.RecursionDesired = q.Id, q.Question, q.RecursionDesired
	if q.IsEdns0() != nil {
		m.SetEdns0(1232, false)
	}
	m.Compress = true
	packed, err := m.Pack()
	if err != nil {
		return nil
	}
	return packed
}
