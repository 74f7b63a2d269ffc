package main

import (
	"fmt"
	"slices"
	"time"
)

// The bounds that lastgood is judged by, a run at a time.
const (
	goodShare     = 1.0                     // of the outage's answers
	slowFactor    = 2                       // p99 in the outage against the healthy one
	slowAnswer    = 10 * time.Millisecond   // longer than this is a wait that somebody notices
	mostSlow      = 20                      // such waits in the outage
	freshWithin   = 1500 * time.Millisecond // of the authority's return
	staleWithin   = 3 * time.Second         // of it: no stale answer later
	mostUpstream  = 3                       // queries in any second of the outage but its first
	killedShare   = 0.99                    // of the answers from a second after the restart on
	restartGrace  = time.Second
	mostLate      = time.Millisecond // p99 of the generator's own lateness: a run that is worse says little
	settle        = 2 * time.Second  // after the last name entered, before the healthy time counts
	upstreamGrace = time.Second
)

// freshness is what a question got.
type freshness int

// Kinds of freshness.
const (
	nothing freshness = iota // no good answer
	fresh
	stale
)

// evidence is what is known of one answer's age.
type evidence struct {
	said  bool // an extended error says stale
	old   bool // the data is: older than its TTL and the grace
	young bool // the data is surely within its TTL
}

func (r *record) evidence(q *question) evidence {
	e := evidence{said: q.reply.stale}
	if r.authority == nsd {
		e.old = time.Duration(q.reply.ttl)*time.Second > r.o.ttl
		return e
	}
	// Made between these two moments, as the tick has it.
	earliest := r.made(q)
	latest := earliest + tick
	e.old = q.received-latest > r.o.ttl+r.server.grace
	e.young = q.received-earliest < r.o.ttl-r.server.grace
	return e
}

// made is when, at the earliest, the authority gave the address of a reply.
func (r *record) made(q *question) time.Duration {
	return time.Duration(made(q.reply.address, r.began+int64(q.received)) - r.began)
}

// freshness of an answer is stale when its extended error or its data says so.
func (r *record) freshness(q *question) freshness {
	if !q.good(r.o.patience) {
		return nothing
	}
	if e := r.evidence(q); e.said || e.old {
		return stale
	}
	return fresh
}

// phase is what the questions of a part of the run got.
type phase struct {
	asked, good, stale, slow int
	p50, p99, most           time.Duration
}

func (p *phase) share() float64 { return float64(p.good) / float64(max(1, p.asked)) }

func (r *record) phase(from, to time.Duration) (p phase) {
	var waits []time.Duration
	for i := range r.questions {
		q := &r.questions[i]
		if q.due < from || q.due >= to {
			continue
		}
		p.asked++
		switch r.freshness(q) {
		case stale:
			p.stale++
			fallthrough
		case fresh:
			p.good++
		}
		waited := q.waited(r.o.patience)
		if waited > slowAnswer {
			p.slow++
		}
		waits = append(waits, waited)
	}
	p.p50, p.p99, p.most = quantiles(waits)
	return p
}

// quantiles are the median, the 99th percentile and the greatest, by nearest rank.
func quantiles(list []time.Duration) (p50, p99, most time.Duration) {
	if len(list) == 0 {
		return 0, 0, 0
	}
	slices.Sort(list)
	return rank(list, 50), rank(list, 99), list[len(list)-1]
}

// rank is a percentile of a sorted list: the least value that so many percent
// of the list do not exceed.
func rank(list []time.Duration, percent int) time.Duration {
	return list[max(0, (len(list)*percent+99)/100-1)]
}

// figures is what one run says.
type figures struct {
	healthy, outage, after, restarted phase

	first, last time.Duration // first fresh, last stale answer after the return; see none
	said, old   int           // stale answers of the outage and after, by extended error and by data
	margin      int           // called stale, within the grace of being so by data
	against     int           // answers whose extended error and data contradict each other

	upstreamFirst, upstreamMost int // queries in the outage's first second, and in the worst of the others
	upstreamMean                float64
	upstreamBack                int           // in the worst second after the return
	late                        time.Duration // p99
	causes                      map[uint16]int
}

// none stands for a moment that never came, unseen for one that cannot be
// known: NSD's data do not show their age, and the server does not tell.
const (
	none   = time.Duration(-1)
	unseen = time.Duration(-2)
)

func (r *record) figures() *figures {
	end := r.back + r.o.after
	f := &figures{
		healthy: r.phase(r.o.enter+settle, r.stop), outage: r.phase(r.stop, r.back), after: r.phase(r.back, end),
		first: none, last: none, causes: make(map[uint16]int), late: r.late(),
	}
	if r.restart > 0 {
		f.restarted = r.phase(r.restart+restartGrace, r.back)
	}
	for i := range r.questions {
		q := &r.questions[i]
		if q.received > 0 && q.due >= r.stop && q.reply.cause != 0 {
			f.causes[q.reply.cause]++
		}
		if q.good(r.o.patience) {
			r.weigh(f, q)
		}
	}
	if r.authority == nsd && f.said+f.old == 0 {
		f.first, f.last = unseen, unseen
	}
	r.upstream(f)
	return f
}

// weigh adds what a good answer says of staleness and of the recovery.
func (r *record) weigh(f *figures, q *question) {
	e := r.evidence(q)
	if e.said && e.young || e.old && !e.said {
		f.against++
	}
	if q.due >= r.stop {
		if e.said {
			f.said++
		}
		if e.old {
			f.old++
		}
		if e.said && !e.old && !e.young {
			f.margin++
		}
	}
	if q.received < r.back {
		return
	}
	after := q.received - r.back
	if e.said || e.old {
		f.last = max(f.last, after)
	} else if renewed := r.authority == nsd || r.made(q)+tick > r.back; renewed && (f.first == none || after < f.first) {
		f.first = after
	}
}

// upstream counts the queries to the authority during the outage and after it.
func (r *record) upstream(f *figures) {
	from := r.stop + upstreamGrace
	seconds := make([]int, max(1, int((r.back-from)/time.Second)))
	after := make([]int, r.o.after/time.Second)
	for _, a := range r.arrivals {
		at := time.Duration(a.at - r.began)
		switch {
		case at < r.stop:
		case at < from:
			f.upstreamFirst++
		case at < from+time.Duration(len(seconds))*time.Second:
			seconds[(at-from)/time.Second]++
		case at >= r.back && at < r.back+time.Duration(len(after))*time.Second:
			after[(at-r.back)/time.Second]++
		}
	}
	sum := 0
	for _, n := range seconds {
		sum += n
	}
	f.upstreamBack = slices.Max(after)
	f.upstreamMost, f.upstreamMean = slices.Max(seconds), float64(sum)/float64(len(seconds))
}

// late is the 99th percentile of how late questions were asked.
func (r *record) late() time.Duration {
	var list []time.Duration
	for i := range r.questions {
		list = append(list, r.questions[i].sent-r.questions[i].due)
	}
	_, p99, _ := quantiles(list)
	return p99
}

// verdict is one judgement of a run.
type verdict struct {
	what, bound, found string
	ok                 bool
}

func passed(list []verdict) bool {
	return !slices.ContainsFunc(list, func(v verdict) bool { return !v.ok })
}

// judge holds a run against the bounds. NSD's runs are not judged by the data's age.
func (f *figures) judge(killed bool) []verdict {
	late := verdict{"generator's lateness, p99", "≤ " + mostLate.String(), short(f.late), f.late <= mostLate}
	if killed {
		share := f.restarted.share()
		return []verdict{
			{"good answers from 1 s after the restart to the outage's end", fmt.Sprintf("≥ %.0f %%", 100*killedShare), percent(share), share >= killedShare}, late,
		}
	}
	calm := f.healthy.stale
	return []verdict{
		{"good answers in the outage", "100 %", percent(f.outage.share()), f.outage.share() >= goodShare},
		{"p99 in the outage", fmt.Sprintf("≤ %d × healthy", slowFactor), short(f.outage.p99) + " against " + short(f.healthy.p99), f.outage.p99 <= slowFactor*f.healthy.p99},
		{"questions of the outage that waited more than 10 ms", fmt.Sprintf("≤ %d", mostSlow), fmt.Sprint(f.outage.slow), f.outage.slow <= mostSlow},
		{"stale answers while healthy", "0", fmt.Sprint(calm), calm == 0},
		{"first fresh answer after the return", "≤ " + freshWithin.String(), moment(f.first), f.first != none && f.first <= freshWithin},
		{"last stale answer after the return", "≤ " + staleWithin.String(), moment(f.last), f.last <= staleWithin},
		{"queries to the authority, worst second after the first", fmt.Sprintf("≤ %d", mostUpstream), fmt.Sprint(f.upstreamMost), f.upstreamMost <= mostUpstream},
		{"extended errors and data that contradict each other", "0", fmt.Sprint(f.against), f.against == 0},
		late,
	}
}

// percent shows a share; what is not all is never shown as all.
func percent(share float64) string {
	text := fmt.Sprintf("%.2f %%", 100*share)
	if share < 1 && text == "100.00 %" {
		return "99.99 %"
	}
	return text
}

// moment is a time after the return.
func moment(d time.Duration) string {
	switch d {
	case none:
		return "none"
	case unseen:
		return "not visible"
	}
	return short(d)
}

// short is a duration with three digits.
func short(d time.Duration) string {
	unit := time.Microsecond
	for unit*1000 <= d && unit < time.Second {
		unit *= 10
	}
	return d.Round(max(unit, time.Microsecond)).String()
}
