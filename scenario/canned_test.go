package scenario

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"lastgood/internal/authority"
	"lastgood/internal/dnsname"
	"lastgood/internal/simauth"
	"lastgood/internal/wire"
)

// canned is what a server says to a question in place of the truth.
type canned struct {
	name, typ string // "*" fits all
	left      int    // times, -1 for ever
	delay     time.Duration
	cut       int // octets of the reply that are sent, 0: all, cutByName: see there
	forged    int // replies with a wrong id before it
	raw       []byte
	tail      []byte // behind the true question, as one answer record
	drop      bool
	as        *impostor // nil: the reply to this question
	ttl       uint32    // of all that is answered, 0: its own
	agent     dnsname.Name
	msg       *dns.Msg // nil: the truth
	ede       []*dns.EDNS0_EDE
}

const (
	maxForged = 10000 // bounds forged=N
	cutByName = -1    // the number in the question's first label says where
)

// newCanned reads a reply statement.
func newCanned(st *step) (c *canned, server string, err error) {
	if len(st.words) < 3 {
		return nil, "", fmt.Errorf("reply SERVER NAME TYPE [option…]")
	}
	c = &canned{name: st.words[1], typ: strings.ToUpper(st.words[2]), left: -1}
	o, err := optionsOf(st.words[3:], "times= delay= cut= forged= raw= tail= as= ttl= agent= drop")
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
			if c.cut = cutByName; text != "%" {
				c.cut, err = strconv.Atoi(text)
			}
		case "forged":
			c.forged, err = strconv.Atoi(text)
			c.forged = min(c.forged, maxForged)
		case "raw":
			c.raw, err = hex.DecodeString(text)
		case "tail":
			c.tail, err = hex.DecodeString(text)
		case "ttl":
			_, err = fmt.Sscan(text, &c.ttl)
		case "as":
			c.as, err = newImpostor(text)
		case "agent":
			c.agent, err = dnsname.Parse(text)
		case "drop":
			c.drop = true
		}
		if err != nil {
			return nil, "", fmt.Errorf("%s=%s: %w", key, text, err)
		}
	}
	if len(st.block) > 0 && err == nil {
		c.msg, err = message(st.block)
	}
	if err == nil {
		c.ede, err = extendedErrors(st.block)
	}
	return c, st.words[0], err
}

// extendedErrors reads the lines "ede CODE [TEXT]" of a reply.
func extendedErrors(block []line) (list []*dns.EDNS0_EDE, err error) {
	for _, l := range block {
		if l.verb != "ede" {
			continue
		}
		code, text, _ := strings.Cut(l.rest, " ")
		n, err := strconv.ParseUint(code, 10, 16)
		if err != nil {
			return nil, &failure{l.at, fmt.Errorf("want ede CODE [TEXT], not %q", l.rest)}
		}
		list = append(list, &dns.EDNS0_EDE{InfoCode: uint16(n), ExtraText: text})
	}
	return list, nil
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
		case "ede": // goes into the OPT record that is there
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

// prepared finds what to say to a query, nil for the truth.
func (s *server) prepared(q simauth.Query) *canned {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.canned) - 1; i >= 0; i-- {
		c := s.canned[i]
		if c.left == 0 || c.name != "*" && !strings.EqualFold(c.name, q.Name.String()) || c.typ != "*" && c.typ != q.Type.String() {
			continue
		}
		if c.left > 0 {
			c.left--
		}
		return c
	}
	return nil
}

// react makes of the true reply what is said.
func (c *canned) react(x simauth.Exchange, re authority.Reaction) authority.Reaction {
	if c.drop {
		return authority.Reaction{}
	}
	scripts := []simauth.Script{simauth.Late(c.delay)}
	if c.raw != nil {
		scripts = append(scripts, simauth.Mutate(func(_ wire.View, reply []byte) []byte {
			return append(append([]byte(nil), reply[:2]...), c.raw...)
		}))
	}
	if c.as != nil {
		scripts = append(scripts, simauth.Edit(c.as.say))
	}
	if c.ttl != 0 {
		scripts = append(scripts, simauth.Edit(c.age))
	}
	switch {
	case c.msg == nil:
	case c.as != nil:
		scripts = append(scripts, simauth.Edit(func(m *dns.Msg) { m.Rcode = c.msg.Rcode }))
	default:
		scripts = append(scripts, simauth.Edit(c.say))
	}
	if c.agent != "" {
		scripts = append(scripts, simauth.Edit(c.wantReports))
	}
	if c.tail != nil {
		scripts = append(scripts, simauth.Mutate(c.behindQuestion))
	}
	switch {
	case c.cut == cutByName:
		scripts = append(scripts, simauth.Prefix(numberIn(x.Name)))
	case c.cut > 0:
		scripts = append(scripts, simauth.Prefix(c.cut))
	}
	if c.forged > 0 {
		scripts = append(scripts, simauth.Spoof(c.forged))
	}
	for _, script := range scripts {
		re = script(x, re)
	}
	return re
}

// age gives the answer another TTL, signatures and all.
func (c *canned) age(m *dns.Msg) {
	for _, rr := range m.Answer {
		rr.Header().Ttl = c.ttl
	}
}

// behindQuestion puts the tail behind header and question of a reply.
func (c *canned) behindQuestion(query wire.View, reply []byte) []byte {
	question, ok := query.Question()
	if !ok {
		return reply
	}
	header := append([]byte(nil), reply[:wire.HeaderLen]...)
	copy(header[6:], []byte{0, 1, 0, 0, 0, 0}) // one record in the answer section
	msg := append(header, reply[wire.HeaderLen:][:len(question.Name)+4]...)
	return append(msg, c.tail...)
}

// numberIn is the number in a name's first label.
func numberIn(name dnsname.Name) int {
	label, _, _ := strings.Cut(name.String(), ".")
	n, err := strconv.Atoi(strings.TrimLeft(label, "abcdefghijklmnopqrstuvwxyz-"))
	if err != nil {
		return 1 << 16
	}
	return n
}

// say puts the script's reply in place of the true one; OPT stays.
func (c *canned) say(m *dns.Msg) {
	said, opt := c.msg.Copy(), m.IsEdns0()
	m.Rcode, m.Authoritative, m.Truncated, m.RecursionAvailable = said.Rcode, said.Authoritative, said.Truncated, said.RecursionAvailable
	m.Answer, m.Ns, m.Extra = said.Answer, said.Ns, said.Extra
	if opt != nil {
		for _, e := range c.ede {
			opt.Option = append(opt.Option, e)
		}
		m.Extra = append(m.Extra, opt)
	}
}

// wantReports adds whom errors are to be reported to (RFC 9567 §5).
func (c *canned) wantReports(m *dns.Msg) {
	if opt := m.IsEdns0(); opt != nil {
		opt.Option = append(opt.Option, &dns.EDNS0_LOCAL{Code: uint16(wire.OptionReportChannel), Data: []byte(c.agent)})
	}
}
