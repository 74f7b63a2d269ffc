package world

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"lastgood/internal/authority"
	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/simauth"
)

// lieAlways is the server that liars' records lead to: it has an answer to
// everything.
func lieAlways(x simauth.Exchange, re authority.Reaction) authority.Reaction {
	return simauth.Edit(func(m *dns.Msg) {
		m.Rcode, m.Authoritative = dns.RcodeSuccess, true
		m.Answer, m.Ns = lie(m.Question[0].Name, m.Question[0].Qtype), nil
	})(x, re)
}

// lie gives false data for a question.
func lie(name string, t uint16) []dns.RR {
	text := ""
	switch t {
	case dns.TypeA:
		text = "A " + lieNet4 + "66"
	case dns.TypeAAAA:
		text = "AAAA " + lieNet6 + "66"
	case dns.TypeNS:
		text = "NS ns.liar.example."
	case dns.TypeTXT:
		text = `TXT "lie"`
	default:
		return nil
	}
	return []dns.RR{must(fmt.Sprintf("%s 86400 %s", name, text))}
}

func must(text string) dns.RR {
	rr, err := dns.NewRR(text)
	if err != nil {
		panic(err)
	}
	return rr
}

// script is what a server does beyond what its authority's faults make it do.
func (w *player) script(server int) simauth.Script {
	return func(x simauth.Exchange, re authority.Reaction) authority.Reaction {
		if x.Transport == event.TCP {
			w.noteQuery(x.To.Addr(), x.Name, x.Type, true, false)
			w.show("over TCP, before lies: "+x.To.String(), re.Reply)
			w.hears(x.To.Addr(), w.now(), re.Reply)
		}
		now := w.now()
		for i := range w.p.faults {
			f := &w.p.faults[i]
			if !f.during(server, now, now) {
				continue
			}
			switch {
			case strings.HasPrefix(f.kind, "lie-") && !w.garbles(server): // of a message that is cut off it would make a whole one
				re = simauth.Edit(func(m *dns.Msg) { w.lieAbout(server, f.kind, m) })(x, re)
			case strings.HasPrefix(f.kind, "forge-") && x.Transport == event.UDP:
				w.forge(f.kind, x, re)
			}
		}
		return re
	}
}

// garbles tells whether a server's replies are cut off now.
func (w *player) garbles(server int) bool {
	now := w.now()
	return slices.ContainsFunc(w.p.faults, func(f fault) bool { return f.words == "garbage" && f.during(server, now, now) })
}

// own tells whether a name is at or below a zone that a server ever had, or could
// be taken to have. What a server says of its own zones is true by definition,
// wherever it was asked from.
func (w *player) own(server int, name dnsname.Name) bool {
	for _, u := range w.h.updates {
		if u.server == server && name.Under(u.origin) {
			return true
		}
	}
	for cut, bs := range w.h.beliefs {
		if name.Under(cut) && slices.ContainsFunc(bs, func(b belief) bool { return b.server == server }) {
			return true
		}
	}
	return false
}

// victims are zones that a server has nothing to say about.
func (w *player) victims(server int) (list []dnsname.Name) {
	for i := range w.p.zones {
		if z := w.p.zones[i].origin; !w.own(server, z) {
			list = append(list, z)
		}
	}
	return list
}

// lieAbout adds to a reply what is not the server's to say.
func (w *player) lieAbout(server int, kind string, m *dns.Msg) {
	var extra []dns.RR
	opt := m.IsEdns0()
	for _, v := range w.victims(server) {
		www, ns := "www."+strings.TrimPrefix(v.String(), "."), "ns.liar.example."
		switch kind {
		case "lie-additional":
			m.Extra = append(m.Extra, lie(www, dns.TypeA)...)
			for _, h := range w.hostsBelow(server, v) {
				m.Extra = append(m.Extra, lie(h, dns.TypeA)...)
			}
		case "lie-authority":
			m.Ns = append(m.Ns, must(v.String()+" 86400 NS "+ns))
			extra = append(extra, lie(ns, dns.TypeA)...)
		case "lie-answer":
			m.Answer = append(m.Answer, lie(www, dns.TypeA)...)
			m.Answer = append(m.Answer, lie(v.String(), dns.TypeTXT)...)
		}
	}
	if kind == "lie-glue" {
		for _, rr := range m.Ns {
			if n, ok := rr.(*dns.NS); ok && !w.own(server, dnsname.MustParse(n.Ns)) {
				extra = append(extra, lie(n.Ns, dns.TypeA)...)
			}
		}
	}
	m.Extra = append(m.Extra, extra...)
	if opt != nil { // goes last
		for i, rr := range m.Extra {
			if rr == dns.RR(opt) {
				m.Extra = append(append(m.Extra[:i:i], m.Extra[i+1:]...), opt)
				break
			}
		}
	}
}

// hostsBelow gives name servers' names below a zone that are not a server's own.
func (w *player) hostsBelow(server int, z dnsname.Name) (list []string) {
	for _, s := range w.p.steps {
		if s.verb == put && s.name.Under(z) && len(list) < 4 && strings.HasPrefix(s.name.FirstLabel(), "ns") && !w.own(server, s.name) {
			list = append(list, s.name.String())
		}
	}
	return list
}

// forge sends false replies before the true one: with another id, or from
// elsewhere.
func (w *player) forge(kind string, x simauth.Exchange, re authority.Reaction) {
	if re.Reply == nil {
		return
	}
	m := new(dns.Msg)
	if m.Unpack(x.View.Bytes()) != nil || len(m.Question) == 0 {
		return
	}
	m.Response, m.Authoritative = true, true
	m.Answer, m.Extra = lie(m.Question[0].Name, m.Question[0].Qtype), nil
	from, n := x.To, 1+int(w.hash("forge", string(x.Name), 0)%5)
	switch kind {
	case "forge-burst":
		n = 15
	case "forge-port":
		from = netip.AddrPortFrom(from.Addr(), 5353)
	case "forge-address":
		from = netip.AddrPortFrom(netip.MustParseAddr(lieNet4+"67"), 53)
		if x.To.Addr().Is6() {
			from = netip.AddrPortFrom(netip.MustParseAddr(lieNet6+"67"), 53)
		}
	}
	id := m.Id
	for i := range n {
		if kind == "forge-id" || kind == "forge-burst" {
			m.Id = id + 1 + uint16(i)
		}
		if msg, err := m.Pack(); err == nil {
			w.net.Inject(from, x.From, msg)
		}
	}
}
