package conformance

import (
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// bits are what a query says of DNSSEC.
type bits struct{ do, ad, cd bool }

func (b bits) String() string {
	var out []string
	for name, on := range map[string]bool{"DO": b.do, "AD": b.ad, "CD": b.cd} {
		if on {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return "[" + strings.Join(out, " ") + "]"
}

// answer is what a validator said, in comparable form.
type answer struct {
	rcode int
	ad    bool
	data  []string // the answer section without TTL, names in lower case, sorted
	shown []string
	bare  string   // an RRset that has no signature where it was asked for with DO
	proof []uint16 // types of the authority section
	ede   []dns.EDNS0_EDE
	fault string
}

// ask asks with the bits given, over TCP if the reply over UDP was truncated.
func (c *client) askSigned(name string, typ uint16, b bits) answer {
	m := new(dns.Msg)
	m.Id = uint16(c.rng.Uint32())
	m.RecursionDesired, m.AuthenticatedData, m.CheckingDisabled = true, b.ad, b.cd
	m.Question = []dns.Question{{Name: name, Qtype: typ, Qclass: dns.ClassINET}}
	m.SetEdns0(offered, b.do)
	r, size, err := c.overUDP(m)
	if err == nil && r.Truncated {
		r, err = c.n.once(c.addr, m, patience)
	}
	if err != nil {
		return answer{rcode: silence, fault: err.Error()}
	}
	a := summary(r, b)
	if size > offered {
		a.fault = fmt.Sprintf("%d octets over UDP", size)
	}
	return a
}

func summary(r *dns.Msg, b bits) answer {
	a := answer{rcode: r.Rcode, ad: r.AuthenticatedData}
	if opt := r.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if e, ok := o.(*dns.EDNS0_EDE); ok {
				a.ede = append(a.ede, *e)
			}
		}
	}
	signed := map[string]bool{}
	for _, rr := range r.Answer {
		if sig, ok := rr.(*dns.RRSIG); ok {
			signed[strings.ToLower(sig.Hdr.Name)+dns.Type(sig.TypeCovered).String()] = true
			if !b.do {
				a.fault = "a signature that nobody asked for"
			}
		}
	}
	under := ""
	for _, rr := range r.Answer {
		h := rr.Header()
		a.data = append(a.data, canonical(rr))
		h.Ttl = 0
		a.shown = append(a.shown, rr.String())
		owner := strings.ToLower(h.Name)
		made := h.Rrtype == dns.TypeCNAME && under != "" && strings.HasSuffix(owner, "."+under) // of a DNAME: not signed
		if h.Rrtype == dns.TypeDNAME {
			under = owner
		}
		if h.Rrtype != dns.TypeRRSIG && !made && !signed[owner+dns.Type(h.Rrtype).String()] {
			a.bare = owner + " " + dns.Type(h.Rrtype).String()
		}
	}
	slices.Sort(a.data)
	for _, rr := range r.Ns {
		a.proof = append(a.proof, rr.Header().Rrtype)
	}
	return a
}

// codes lists the extended errors.
func (a answer) codes() (out []uint16) {
	for _, e := range a.ede {
		out = append(out, e.InfoCode)
	}
	return out
}

func (a answer) String() string {
	if a.rcode == silence {
		return "silence: " + a.fault
	}
	shown := a.shown
	if len(shown) > 6 {
		shown = shown[:6]
	}
	text := fmt.Sprintf("%s ad=%t %d records %.300q", dns.RcodeToString[a.rcode], a.ad, len(a.data), shown)
	for _, e := range a.ede {
		text += fmt.Sprintf(" EDE %d (%s)", e.InfoCode, e.ExtraText)
	}
	return text + " " + a.fault
}
