package world

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/wire"
)

// flight is a resolution as the events tell of it.
type flight struct {
	id, parent event.FlightID
	question   event.Question
	from       time.Duration
	until      time.Duration // forever while it runs
	failed     bool
	id4        string // of the cause
	queries    int
	bounds     []string
}

// failures is what events tell of resolutions.
type failures struct {
	flights map[event.FlightID]*flight
	of      map[event.Question][]*flight // in order of their beginning
	bounds  []happened                   // that no flight hit
}

func (j *judge) readFailures() *failures {
	f := &failures{flights: map[event.FlightID]*flight{}, of: map[event.Question][]*flight{}}
	for _, e := range j.events {
		switch x := e.Event.(type) {
		case event.FlightStarted:
			n := &flight{id: x.Flight, parent: x.Parent, question: x.Question, from: e.at, until: forever}
			f.flights[x.Flight] = n
			f.of[x.Question] = append(f.of[x.Question], n)
		case event.FlightEnded:
			if n := f.flights[x.Flight]; n != nil {
				n.until, n.failed, n.queries = e.at, x.Failure != nil, x.Queries
				if x.Failure != nil {
					n.id4 = x.Failure.ID
				}
			}
		case event.BudgetHit:
			j.counts.bounds[x.Bound]++
			if n := f.flights[x.Flight]; n != nil {
				n.bounds = append(n.bounds, x.Bound)
			} else {
				f.bounds = append(f.bounds, e)
			}
		}
	}
	return f
}

// excuse is why there was no useful answer, from the best that there may be.
type excuse string

const (
	none       excuse = ""           // there was one to be had
	lossy      excuse = "lossy"      // packets are lost by chance, or late
	aftermath  excuse = "aftermath"  // servers were bad a while ago
	moved      excuse = "moved"      // an old delegation, still valid, leads to bad servers
	dead       excuse = "dead"       // the servers are bad
	circle     excuse = "circle"     // name servers' names that depend on each other
	loop       excuse = "loop"       // aliases in a circle, or too many
	remembered excuse = "remembered" // a failure that may be
	bounded    excuse = "bound"      // a bound of the work was hit, and told of
	slow       excuse = "slow"       // some servers on the way are bad, and the time was up
)

// failure judges a reply without an answer: there must be an excuse.
func (j *judge) failure(r *reply, m *dns.Msg) string {
	if why := j.withheld(r); why != "" {
		return fmt.Sprintf("%s, though %s", dns.RcodeToString[m.Rcode], why)
	}
	e, why := j.excuse(r)
	j.counts.failures[string(e)]++
	if e == none {
		return fmt.Sprintf("%s, though %s", dns.RcodeToString[m.Rcode], why)
	}
	if m.Rcode == dns.RcodeRefused {
		j.counts.answers["REFUSED"]++
	} else {
		j.counts.answers["SERVFAIL"]++
	}
	return ""
}

func (j *judge) excuse(r *reply) (excuse, string) {
	hops, circular := j.hops(r.name, r.typ, r.sent, r.came)
	if circular {
		return loop, ""
	}
	flew := false
	for _, n := range hops {
		for _, f := range j.failures.of[event.Question{Name: n, Type: r.typ}] {
			if f.from <= r.came && r.sent <= f.until {
				flew = true
				if j.bound(f) {
					return bounded, ""
				}
			}
		}
	}
	if e, _ := j.hopeless(hops, r.typ, r.sent, r.came); e != none {
		return e, ""
	}
	if !flew {
		if why := j.memory(hops, r); why != "" {
			return none, why
		}
		return remembered, ""
	}
	e, why := j.hopeless(hops, r.typ, r.sent-longest, r.came)
	if e != none {
		return aftermath, ""
	}
	for _, n := range hops {
		if j.seenToFail(r, n, func(event.StaleServed, time.Duration) bool { return false }) {
			return zoneFailure, ""
		}
	}
	return none, "every server on the way is well: " + why
}

// bound tells whether a flight, or one that it waited for, hit a bound.
func (j *judge) bound(f *flight) bool {
	if len(f.bounds) > 0 {
		return true
	}
	for _, g := range j.failures.flights {
		if g.parent == f.id && g.from <= f.until && j.bound(g) {
			return true
		}
	}
	return false
}

// memory tells why a failure may not be a remembered one, "" when it may: one of
// the hops failed, no longer ago than failures are remembered, doubling from a
// second to five minutes.
func (j *judge) memory(hops []dnsname.Name, r *reply) string {
	best := "nothing failed before"
	for _, n := range hops {
		row, until := 0, time.Duration(-1)
		for _, f := range j.failures.of[event.Question{Name: n, Type: r.typ}] {
			if f.until > r.came {
				break
			}
			if !f.failed || f.from > until+5*time.Minute {
				row = 0
			}
			if f.failed {
				row++
				until = f.until + min(time.Second<<min(row-1, 10), 5*time.Minute)
			}
		}
		if row > 0 && r.sent <= until {
			return ""
		}
		if row > 0 {
			best = fmt.Sprintf("the last failure of %s, number %d in a row, may be remembered until %v", n, row, until)
		}
	}
	return best
}

const maxHops = 11

// hops lists the names that a question may have led to by aliases that could be
// known or learnt in a span, and whether there may be a circle, or more than are
// followed.
func (j *judge) hops(name dnsname.Name, t wire.Type, from, until time.Duration) (list []dnsname.Name, circular bool) {
	path := []dnsname.Name{}
	seen := map[dnsname.Name]bool{}
	var visit func(n dnsname.Name)
	visit = func(n dnsname.Name) {
		if slices.Contains(path, n) || len(path) > maxHops {
			circular = true
			return
		}
		if !seen[n] {
			seen[n] = true
			list = append(list, n)
		}
		if len(list) > 200 {
			return
		}
		path = append(path, n)
		for _, to := range j.targets(n, t, from, until) {
			visit(to)
		}
		path = path[:len(path)-1]
	}
	visit(name)
	return list, circular
}

// targets lists where aliases at a name may lead that are believed in a span.
func (j *judge) targets(name dnsname.Name, t wire.Type, from, until time.Duration) (list []dnsname.Name) {
	j.heard(name, func(a, b time.Duration, zones map[dnsname.Name]*version) bool {
		for _, s := range answers(zones, name, t) {
			if (s.kind == cname || s.kind == dname && s.to != "") && a <= until && from <= later(b, life(s.set.ttl)+slack) && !slices.Contains(list, s.to) {
				list = append(list, s.to)
			}
		}
		return false
	})
	return list
}

// hopeless tells whether, for all that the resolver could know, some zone on the
// way to one of the names had no server that would have helped, all through a
// span.
func (j *judge) hopeless(hops []dnsname.Name, t wire.Type, from, until time.Duration) (excuse, string) {
	var path []string
	for _, n := range hops {
		e, why := j.way(n, t, from, until, 0)
		if e != none {
			return e, why
		}
		path = append(path, why)
	}
	return none, strings.Join(path, "; ")
}

const maxDepth = 4

// way judges the way to a name: every delegation on it that could be held.
func (j *judge) way(name dnsname.Name, t wire.Type, from, until time.Duration, depth int) (excuse, string) {
	if depth > maxDepth {
		return circle, "too deep"
	}
	why := ""
	for cut := name; ; cut = cut.Parent() {
		if cut.IsRoot() {
			if !slices.ContainsFunc(j.h.beliefs[cut], func(b belief) bool { return j.well(b.server, cut, t, from, until) }) {
				return j.badly(cut, t, from, until), "the root"
			}
			return none, why + " ."
		}
		list := j.h.grants[cut]
		good, bad := 0, 0
		for i := range list {
			g := &list[i]
			if g.from > until || g.until < from {
				continue
			}
			if j.granted(cut, g, t, from, until, depth) {
				good++
			} else {
				bad++
			}
		}
		switch {
		case bad > 0 && good > 0:
			return moved, cut.String()
		case bad > 0:
			return j.badly(cut, t, from, until), cut.String()
		}
		if good > 0 {
			why += " " + cut.String()
		}
	}
}

// badly tells whether the servers of a zone are bad, or lose packets or time only.
func (j *judge) badly(cut dnsname.Name, t wire.Type, from, until time.Duration) excuse {
	e := dead
	for _, b := range j.h.beliefs[cut] {
		if b.from > until || b.until < from {
			continue
		}
		if j.fine(b.server, t, from, until, true) && j.holds(b.server, cut, from, until) {
			e = lossy
		}
	}
	return e
}

// granted tells whether a delegation leads to a server that helps: one that its
// glue names, or that has a name which leads to good servers only, whatever is
// cached of it.
func (j *judge) granted(cut dnsname.Name, g *grant, t wire.Type, from, until time.Duration, depth int) bool {
	for _, d := range g.set.data {
		host := dnsname.Name(d)
		glue := g.version.addresses(host)
		if slices.ContainsFunc(glue, func(a netip.Addr) bool {
			i, ours := j.h.byAddr[a]
			return ours && j.well(i, cut, t, from, until)
		}) {
			return true
		}
		if host.Under(cut) || len(glue) > 0 {
			continue
		}
		all, types := true, map[wire.Type]bool{}
		for _, x := range j.h.addresses(host, 0) {
			if x.from > until || x.until < from {
				continue
			}
			all = all && j.well(j.h.byAddr[x.addr], cut, t, from, until)
			types[familyOf(x.addr)] = true
		}
		for t := range types {
			e, _ := j.way(host, t, from, until, depth+1)
			all = all && e == none && !j.denied(host, t, from, until)
		}
		if all && len(types) > 0 {
			return true
		}
	}
	return false
}

// denied tells whether it may be known in a span that a name has no data of a type.
func (j *judge) denied(name dnsname.Name, t wire.Type, from, until time.Duration) bool {
	return j.heard(name, func(a, b time.Duration, zones map[dnsname.Name]*version) bool {
		return slices.ContainsFunc(answers(zones, name, t), func(s saying) bool {
			return (s.kind == nxdomain || s.kind == nodata) && a <= until && from <= later(b, min(life(s.zone.negativeTTL()), maxNegative)+slack)
		})
	})
}

func familyOf(a netip.Addr) wire.Type {
	if a.Is4() {
		return wire.TypeA
	}
	return wire.TypeAAAA
}

// well tells whether a server would have helped with a zone all through a span.
func (j *judge) well(server int, cut dnsname.Name, t wire.Type, from, until time.Duration) bool {
	return j.fine(server, t, from, until, false) && j.holds(server, cut, from, until)
}

// holds tells whether a server has a zone all through a span.
func (j *judge) holds(server int, cut dnsname.Name, from, until time.Duration) bool {
	all := true
	j.h.holdings(server, from, until, func(_, _ time.Duration, zones map[dnsname.Name]*version) bool {
		all = all && zones[cut] != nil
		return all
	})
	return all
}

// harmless are the authority's faults that a resolver has to cope with.
var harmless = []string{"slow=200ms", "not-aa", "no-edns", "notimp-edns", "ignore-edns", "badvers", "mangle-case", "nxdomain-ent", "no-soa"}

// otherWays are the faults that make it necessary to ask otherwise. Two at once
// may need more than the three sendings that RFC 9520 §3.1 allows.
var otherWays = []string{"no-edns", "notimp-edns", "badvers", "mangle-case", "truncate"}

// fine tells whether a server has no fault all through a span that would keep it
// from answering questions for a type.
func (j *judge) fine(server int, t wire.Type, from, until time.Duration, butLoss bool) bool {
	if j.p.servers[server].dead {
		return false
	}
	tcp, needsTCP := true, t == wire.TypeTXT
	lies, bare := false, false
	ways := 0 // of asking otherwise that the server's faults make necessary
	for i := range j.p.faults {
		f := &j.p.faults[i]
		if !f.during(server, from, until) {
			continue
		}
		switch f.kind {
		case "blackhole", "refuse":
			return false
		case "loss":
			if !butLoss {
				return false
			}
			continue
		case "forge-burst":
			needsTCP = true
			ways++
			continue
		case "authority":
		default:
			lies = lies || f.kind == "lie-authority"
			continue
		}
		for word := range strings.SplitSeq(f.words, ",") {
			bare = bare || word == "no-soa"
			if slices.Contains(otherWays, word) {
				ways++
			}
			switch {
			case butLoss && strings.HasPrefix(word, "slow="):
			case slices.Contains(harmless, word):
				needsTCP = needsTCP || word == "mangle-case"
			case word == "truncate":
				needsTCP = true
			case word == "no-tcp" || word == "stall-tcp":
				tcp = false
			case word == "drop-new-types":
				if t == wire.TypeAAAA || t == wire.TypeHTTPS {
					return false
				}
			default:
				return false
			}
		}
	}
	// False servers in place of the SOA record make a referral.
	return (tcp || !needsTCP) && !(lies && bare) && ways < 2
}

// mostQueries is limits.upstream-queries.
const mostQueries = 50

// budgets holds the upstream queries of every question that was alone in the world
// against what one may cost.
func (j *judge) budgets() {
	list := slices.Clone(j.replies)
	slices.SortFunc(list, func(a, b reply) int { return cmp.Compare(a.sent, b.sent) })
	busy := time.Duration(-1) // until when somebody was asking before
	for i := range list {
		r := &list[i]
		alone := r.sent > busy && (i+1 == len(list) || list[i+1].sent > r.came)
		busy = max(busy, r.came)
		if !alone {
			continue
		}
		from, _ := slices.BinarySearchFunc(j.queries, r.sent, func(q query, at time.Duration) int { return cmp.Compare(q.at, at) })
		n := 0
		for n+from < len(j.queries) && j.queries[n+from].at <= r.came {
			n++
		}
		n -= j.behind(r)
		j.counts.alone++
		j.counts.most = max(j.counts.most, n)
		if n > mostQueries {
			j.found = append(j.found, violation{*r, fmt.Sprintf("%d upstream queries for one question", n)})
		}
	}
}

// parentAsked is how many queries a recheck may take beside its own that asks the
// parent as well, of which no event tells.
const parentAsked = 10

// behind counts the queries while a question was under way that were for nobody:
// rechecks, and those of refreshes behind the answers of others, each of which has
// a budget of its own.
func (j *judge) behind(r *reply) (n int) {
	rechecks := 0
	for _, e := range j.events {
		if e.at < r.sent || e.at > r.came+slack {
			continue
		}
		switch x := e.Event.(type) {
		case event.Rechecked:
			rechecks++
		case event.FlightEnded:
			if f := j.failures.flights[x.Flight]; f != nil && (f.from < r.sent || x.Waiters == 0 && f.from <= r.came) {
				n += x.Queries
			}
		}
	}
	if rechecks > 0 {
		n += rechecks + parentAsked
	}
	return n
}
