package world

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"lastgood/internal/dnsname"
	"lastgood/internal/event"
)

// told is one line of a story.
type told struct {
	at   time.Duration
	text string
}

const (
	traceBefore = 10 * time.Minute // of a reply: what the program did
	maxTold     = 400
)

// story tells of a world, and of one reply in it that cannot be.
func (r *record) story(v *violation) string {
	var b strings.Builder
	fmt.Fprintf(&b, "WORLD %d, %v long, %v\n", r.p.seed, r.p.length, r.p.config)
	for i, s := range r.p.servers {
		zones := ""
		for z := range r.h.servers[i][0].zones {
			zones += " " + z.String()
		}
		dead := ""
		if s.dead {
			dead = " (nobody is there)"
		}
		fmt.Fprintf(&b, "  server %d at %v, %v away%s:%s\n", i, s.addrs, s.latency, dead, zones)
	}
	for i := range r.p.zones {
		z := &r.p.zones[i]
		fmt.Fprintf(&b, "  zone %s: SOA TTL %d, minimum %d", z.origin, z.soaTTL, z.minimum)
		if len(z.lag) > 0 {
			fmt.Fprintf(&b, ", changes late at servers %v", z.lag)
		}
		fmt.Fprintln(&b)
	}
	fmt.Fprintln(&b, "AS IT BEGINS")
	var list []told
	for i := range r.p.steps {
		s := &r.p.steps[i]
		if s.at == 0 {
			fmt.Fprintf(&b, "  %s\n", s)
		} else {
			list = append(list, told{s.at, s.String()})
		}
	}
	for i := range r.p.faults {
		list = append(list, told{r.p.faults[i].from, "FAULT " + r.p.faults[i].String()})
	}
	list = append(append(list, r.trace(v)...), r.watched...)
	slices.SortStableFunc(list, func(a, b told) int { return cmp.Compare(a.at, b.at) })
	fmt.Fprintln(&b, "WHAT HAPPENS")
	for _, x := range list {
		if x.at > v.reply.came || len(list) > maxTold && x.at < v.reply.sent-time.Hour && strings.HasPrefix(x.text, " ") {
			continue
		}
		fmt.Fprintf(&b, "  %-20v %s\n", x.at, x.text)
	}
	fmt.Fprintf(&b, "WHY IT CANNOT BE\n  %s\n", v.why)
	fmt.Fprintf(&b, "AGAIN\n  go test ./world -run TestWorlds -world.seed=%d -world.questions=%d\n", r.p.seed, *sizeFlag)
	return b.String()
}

// trace is what clients asked for the name, and what the program did shortly
// before the reply.
func (r *record) trace(v *violation) (list []told) {
	if v.reply.name == "" {
		return nil
	}
	for i := range r.replies {
		x := &r.replies[i]
		if x.name == v.reply.name && x.came <= v.reply.came {
			list = append(list, told{x.sent, x.ask.String()}, told{x.came, "  reply: " + said(x)})
		}
	}
	j := &judge{record: r, max: maxTTL}
	hops, _ := j.hops(v.reply.name, v.reply.typ, v.reply.sent, v.reply.came)
	for _, e := range r.events {
		if e.at < v.reply.sent-traceBefore || e.at > v.reply.came {
			continue
		}
		x, ok := e.Event.(event.Exchanged)
		if ok && !slices.ContainsFunc(hops, func(n dnsname.Name) bool { return n.Under(x.Zone) }) {
			continue
		}
		if ok {
			server := -1
			if n, ok := r.h.byAddr[x.Server.Addr()]; ok {
				server = n
			}
			list = append(list, told{e.at, fmt.Sprintf("    [%d] server %d (%s, %s) for %s: %s %s -> %s %s %s %d", x.Flight, server, x.Server.Addr(), x.Why, x.Zone, x.Asked.Name, x.Asked.Type, x.Outcome, x.Next, x.Text, x.Answers)})
			continue
		}
		list = append(list, told{e.at, fmt.Sprintf("    %T %+v", e.Event, e.Event)})
	}
	return list
}

// said is a reply in a line.
func said(r *reply) string {
	m := new(dns.Msg)
	if r.msg == nil || m.Unpack(r.msg) != nil {
		return fmt.Sprint(r.err)
	}
	text := dns.RcodeToString[m.Rcode]
	for _, rr := range append(append(slices.Clone(m.Answer), m.Ns...), m.Extra...) {
		if opt, ok := rr.(*dns.OPT); ok {
			for _, o := range opt.Option {
				text += "; " + o.String()
			}
			continue
		}
		text += "; " + brief(strings.Join(strings.Fields(rr.String()), " "))
	}
	return text
}
