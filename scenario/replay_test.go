package scenario

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/miekg/dns"

	"lastgood/internal/authority"
	"lastgood/internal/dnsname"
	"lastgood/internal/event"
)

// impostor is another question, the reply to which is given: what is answered for its
// name is answered for the one that was asked for, signatures and all. What is denied,
// and by whom, stays as it is.
type impostor struct {
	name, typ string
	at        string            // the server that would answer it, "" for the one that is asked
	server    *authority.Server // nil before the script is played
}

// newImpostor reads NAME[:TYPE][@SERVER].
func newImpostor(text string) (*impostor, error) {
	text, at, _ := strings.Cut(text, "@")
	name, typ, _ := strings.Cut(text, ":")
	if typ == "" {
		typ = "A"
	}
	if _, err := dnsname.Parse(name); err != nil {
		return nil, err
	}
	if dns.StringToType[typ] == 0 {
		return nil, fmt.Errorf("unknown type %q", typ)
	}
	return &impostor{name: name, typ: typ, at: at}, nil
}

// say puts the other question's reply in place of the true one; question and OPT
// stay.
func (i *impostor) say(m *dns.Msg) {
	q := new(dns.Msg).SetQuestion(i.name, dns.StringToType[i.typ]).SetEdns0(dns.MaxMsgSize, true)
	packed, err := q.Pack()
	if err != nil {
		return
	}
	said := new(dns.Msg)
	if said.Unpack(i.server.Handle(packed, event.TCP, netip.AddrPort{}, nil).Reply) != nil {
		return
	}
	opt := m.IsEdns0()
	m.Rcode, m.Authoritative = said.Rcode, said.Authoritative
	m.Answer, m.Ns, m.Extra = i.renamed(said.Answer, m), said.Ns, nil
	if opt != nil {
		m.Extra = append(m.Extra, opt)
	}
}

// renamed gives what is said of the other name to the one that was asked for.
func (i *impostor) renamed(list []dns.RR, m *dns.Msg) []dns.RR {
	for _, rr := range list {
		if h := rr.Header(); strings.EqualFold(h.Name, i.name) {
			h.Name = m.Question[0].Name
		}
	}
	return list
}
