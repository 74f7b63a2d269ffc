package resolver

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
	"lastgood/internal/event"
	"lastgood/internal/iterator"
	"lastgood/internal/stale"
	"lastgood/internal/validator"
	"lastgood/internal/wire"
)

// flightKey is what makes two resolutions the same.
type flightKey struct {
	name dnsname.Name
	typ  wire.Type
	raw  bool // not to be validated: a name server's address
}

// flight is one resolution that any number of clients and other flights wait
// for. It has its own deadline; nobody who waits can end it.
type flight struct {
	key     flightKey
	req     iterator.Request
	parent  event.FlightID
	started clock.Mono
	alone   bool  // nobody waited when it began: it refreshes what there is
	early   bool  // and what there is is fresh still
	here    bool  // who wanted it first runs it, in a goroutine of its own
	ramp    *ramp // the slow start that it is counted in, nil for none
	link    int   // how many flights for links of chains of trust wait for it, at least
	work    *dnssec.Budget
	behind  bool      // nobody waits in the end: what failed is tried again after a while
	above   referrals // of those that wait for it

	// Guarded by flights.mu.
	waiters int
	waits   map[*flight]int // flights that this one waits for: an edge of the wait graph each; nil at first
	done    chan struct{}   // closed at the end; made when somebody is to wait, and not changed after that
	recheck bool            // others landed since its client looked: the answer may be there
	cramped bool            // a wait was refused: it would have closed a circle, or gone too deep

	// Written before done is closed, read after.
	result iterator.Result
	// verdict is the validator's of it; bogus is what may not be believed.
	verdict validator.Verdict
	bogus   []cache.Entry
}

// flights is the table of what is being resolved, and the wait graph among it.
// One lock serves both, so that checking for a circle and entering a wait are
// one step. Bound: max open flights; beyond, new questions are refused.
type flights struct {
	mu   sync.Mutex
	open map[flightKey]*flight
	byID map[event.FlightID]*flight
	next event.FlightID
	max  int

	ramps *ramps // which refreshes pass

	landed  atomic.Uint64  // flights that ended, their outcome stored
	closed  bool           // no flight starts any more
	running sync.WaitGroup // of the flights' goroutines, added to under mu

	joined, loops, refused uint64
}

func newFlights(max int) *flights {
	return &flights{open: map[flightKey]*flight{}, byID: map[event.FlightID]*flight{}, max: max, ramps: newRamps()}
}

// job is on whose behalf a flight is wanted.
type job struct {
	from   event.FlightID // the flight that waits, 0 for a client
	budget *iterator.Budget
	work   *dnssec.Budget // of validation
	link   int            // how many links of a chain of trust it is away from the question
	raw    bool           // what is found needs no validation
	behind bool           // see flight
	here   bool           // whoever wants it stays until it ends, and runs it
	room   *room          // memory for it, nil for none
	above  referrals      // likewise
	depth  int
	until  clock.Mono // when a client stops waiting, 0 for a flight: its context ends
	seen   uint64     // flights.landed before the cache was asked

	stale bool         // there is a last good answer
	alone bool         // nobody waits
	early bool         // what there is is fresh still
	cut   dnsname.Name // the zone that a refresh is for, "" when it is none
	ramp  *ramp        // the zone's slow start, when that has let it pass already
}

// board returns the flight for a key, a new one (fresh true) or one that is
// under way, and enters the wait in the graph. The caller must call leave,
// unless it does not wait (j.alone): then there is no flight when one is under way.
func (fs *flights) board(key flightKey, j job, now clock.Mono) (f *flight, fresh bool, err error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	from := fs.byID[j.from]
	f = fs.open[key]
	switch {
	case f == nil:
		if f, err = fs.begin(key, j, now); err != nil || j.alone {
			return f, err == nil, err
		}
		fresh = true
	case j.alone:
		return nil, false, errUnderWay
	case from != nil && reaches(f, from, map[*flight]bool{}):
		from.cramped = true
		fs.loops++
		return nil, false, iterator.ErrLoop
	default:
		fs.joined++
	}
	f.waiters++
	if f.done == nil && !(fresh && f.here) {
		f.done = make(chan struct{})
	}
	if from != nil {
		if from.waits == nil {
			from.waits = map[*flight]int{}
		}
		from.waits[f]++
	}
	return f, fresh, nil
}

// begin makes a flight and puts it on the table. The lock is held.
func (fs *flights) begin(key flightKey, j job, now clock.Mono) (*flight, error) {
	switch {
	case fs.closed:
		return nil, errClosing
	case len(fs.open) >= fs.max:
		fs.refused++
		return nil, errTooManyFlights
	case j.early && len(fs.open) >= fs.max/2:
		return nil, errTooManyFlights
	}
	if j.ramp == nil && j.cut != "" {
		var ok bool
		if j.ramp, ok = fs.ramps.admit(now, j.cut, key); !ok {
			return nil, errCrowded
		}
	}
	fs.next++
	f := j.newFlight()
	*f = flight{
		key: key, parent: j.from, started: now,
		alone: j.alone, early: j.early, here: j.here, ramp: j.ramp, link: j.link, work: j.work, behind: j.behind, above: j.above, recheck: !j.early && fs.landed.Load() != j.seen,
		req: iterator.Request{Flight: fs.next, Name: key.name, Type: key.typ, Depth: j.depth, Budget: j.budget, Stale: j.stale},
	}
	fs.open[key], fs.byID[f.req.Flight] = f, f
	fs.running.Add(1)
	return f, nil
}

// underWay tells when the flight for a key began, if there is one.
func (fs *flights) underWay(key flightKey) (since clock.Mono, ok bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	f := fs.open[key]
	if f == nil {
		return 0, false
	}
	return f.started, true
}

// enter lets something run that close waits for as for a flight, which must
// call running.Done. False: nothing starts any more.
func (fs *flights) enter() bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.closed {
		return false
	}
	fs.running.Add(1)
	return true
}

// close lets no flight start any more and waits until the last has ended.
func (fs *flights) close() {
	fs.mu.Lock()
	fs.closed = true
	fs.mu.Unlock()
	fs.running.Wait()
}

// workOf gives the validation budget of a flight, a new one when it has none.
func (r *Resolver) workOf(id event.FlightID) *dnssec.Budget {
	fs := r.flights
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f := fs.byID[id]; f != nil && f.work != nil {
		return f.work
	}
	return dnssec.NewBudget(r.work)
}

// leave takes the wait of j for f out of the graph.
func (fs *flights) leave(f *flight, j job) {
	if j.from == 0 {
		return // clients are not in it
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if from := fs.byID[j.from]; from != nil {
		if from.waits[f]--; from.waits[f] <= 0 {
			delete(from.waits, f)
		}
	}
}

// cramp notes that a flight was refused something that it may be given when
// nobody waits for it.
func (fs *flights) cramp(id event.FlightID) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f := fs.byID[id]; f != nil {
		f.cramped = true
	}
}

// isCramped tells whether a flight was refused something.
func (fs *flights) isCramped(f *flight) bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return f.cramped
}

// land takes a finished flight, whose outcome is stored, off the table, and lets
// those go on who wait for it; nobody joins it any more.
func (fs *flights) land(f *flight) (waiters int) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.landed.Add(1)
	delete(fs.open, f.key)
	delete(fs.byID, f.req.Flight)
	if f.done != nil {
		close(f.done)
	}
	return f.waiters
}

// reaches tells whether from waits, perhaps through others, for to. seen keeps
// the walk linear in the number of flights.
func reaches(from, to *flight, seen map[*flight]bool) bool {
	if from == to {
		return true
	}
	seen[from] = true
	for next := range from.waits {
		if !seen[next] && reaches(next, to, seen) {
			return true
		}
	}
	return false
}

// board takes a place in the flight for a question on behalf of j: in the one
// under way, or in one that begins with it (fresh). Who got one must leave it, and
// one that is fresh and to be flown here must run it.
func (r *Resolver) board(ctx context.Context, now clock.Mono, key flightKey, j job) (f *flight, fresh bool, err error) {
	if ctx.Err() != nil { // whoever wanted it is gone: a flight would be work for nobody
		return nil, false, context.Cause(ctx)
	}
	if j.until != 0 && j.until <= now {
		return nil, false, errDeadline
	}
	// The flight must be over when the client's time is.
	j.here = j.here && j.until >= now.Add(r.deadline)
	f, fresh, err = r.flights.board(key, j, now)
	if fresh && !j.here {
		r.start(f)
	}
	return f, fresh, err
}

// start flies a flight in a goroutine of its own.
func (r *Resolver) start(f *flight) { r.crew.Go(func() { r.run(f) }) }

// await waits for a flight's end: no longer than the client of j does, and with
// errWaited until a moment at most, 0 for none.
func (r *Resolver) await(ctx context.Context, f *flight, j job, until clock.Mono) error {
	now, late := r.clock.Now(), errWaited
	if j.until != 0 && (until == 0 || j.until < until) {
		until, late = j.until, errDeadline
	}
	var timeout <-chan time.Time
	if until != 0 && (late == errWaited || until < now.Add(r.deadline)) { // else the flight ends before
		timer := time.NewTimer(until.Sub(now))
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case <-f.done:
		return nil
	case <-timeout:
		return late
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-r.base.Done():
		return errClosing
	}
}

// run flies a flight, in a goroutine of its own or in that of the client who
// wanted it first: it ends at the latest at the flight's deadline. It tells how many
// waited for it, whoever runs it here included.
func (r *Resolver) run(f *flight) (waiters int) {
	defer r.flights.running.Done()
	f.req.Until = f.started.Add(r.deadline)
	q := event.Question{Name: f.key.name, Type: f.key.typ}
	if r.tellsAll {
		r.events.Emit(event.FlightStarted{At: f.started, Flight: f.req.Flight, Parent: f.parent, Question: q})
	}
	before := f.req.Budget.Spent()
	known := f.recheck && r.already(f)
	if !known {
		r.fly(f)
	}
	now := r.clock.Now()
	if f.result.Failure != nil && !known && now >= f.req.Until {
		r.budget(job{from: f.req.Flight}, "resolution-deadline")
	}
	rcode := r.keep(now, &f.result, known)
	r.storeBogus(now, f)
	if !known {
		r.remember(now, f)
		r.learn(now, f)
	}
	waiters = r.flights.land(f)
	if r.tellsAll || f.result.Failure != nil {
		r.events.Emit(event.FlightEnded{
			At: now, Flight: f.req.Flight, Question: q, Took: time.Duration(now - f.started),
			Queries: f.req.Budget.Spent() - before, Waiters: waiters, Rcode: rcode, Failure: f.result.Failure,
		})
	}
	r.after(f, !known && useful(&f.result))
	return waiters
}

// useful tells whether a resolution brought what may be cached and answered.
func useful(res *iterator.Result) bool { return res.Failure == nil && len(res.Entries) > 0 }

// learn notes what a resolution says of its zone: how long a useful one takes, and
// whether the zone is well.
func (r *Resolver) learn(now clock.Mono, f *flight) {
	if !useful(&f.result) {
		r.troubleAbove(now, f.key.name)
		return
	}
	cut := f.result.Entries[0].Cut
	r.health.Resolved(now, cut, now.Sub(f.started))
	if _, was := r.troubled.has(cut); was {
		r.trouble(now, cut)
	}
}

// after lets others go when a flight has landed.
func (r *Resolver) after(f *flight, answered bool) {
	if f.early {
		r.prefetched()
	}
	if f.ramp != nil {
		r.onward(f.ramp, answered)
	}
}

// already takes as a flight's result what another flight stored between its
// client's look into the cache and its start: else a question that many ask
// would be resolved again whenever one of them came at that moment. A failure
// that is remembered is what a refresh behind a stale answer is to see the end of.
func (r *Resolver) already(f *flight) bool {
	now := r.clock.Now()
	rd := r.readers.Get().(*cache.Reader)
	defer r.readers.Put(rd)
	rd.Unasked = true // whoever asked has looked, or nobody did
	if hit, ok := r.cache.Lookup(rd, now, f.key.name, f.key.typ); ok && hit.State(now) == stale.Fresh && speaks(&hit, f.key.typ, f.link > 0) && r.takes(hit.Security(), f.key.raw) {
		f.result = iterator.Result{Entries: []cache.Entry{hit.Entry()}, Over: true}
		return true
	}
	if e, ok := r.cache.Failure(now, cache.Question{Name: f.key.name, Type: f.key.typ}); ok && !f.alone {
		f.result = iterator.Result{Failure: cause(e.Cause), Refused: e.Refused}
		return true
	}
	return false
}

// fresh tells whether the cache has a question's answer within its TTL.
func (r *Resolver) fresh(key flightKey, now clock.Mono) bool {
	rd := r.readers.Get().(*cache.Reader)
	defer r.readers.Put(rd)
	rd.Unasked = true
	hit, ok := r.cache.Lookup(rd, now, key.name, key.typ)
	return ok && hit.State(now) == stale.Fresh && r.takes(hit.Security(), key.raw)
}

// keep puts what a flight brought into the cache and gives the rcode of its
// first entry; nothing is to do for what was there already (known). A failure touches
// no data (RFC 8767 §4).
func (r *Resolver) keep(now clock.Mono, res *iterator.Result, known bool) wire.Rcode {
	for _, list := range [...][]cache.Entry{res.Aside, res.Entries} {
		for i := range list {
			e := &list[i]
			r.settle(e)
			switch {
			case known, r.special.covers(e.Name): // which servers have no say about
			case res.Borrowed, r.uncached != nil && r.uncached(e.Name):
				r.cache.Date(now, e)
			default:
				r.cache.PutSince(now, res.Since, e)
				if !res.Lapsed {
					r.prove(now, res.Since, e)
				}
				r.disprove(now, e)
			}
		}
	}
	switch {
	case res.Refused:
		return wire.RcodeRefused
	case len(res.Entries) == 0:
		return wire.RcodeServFail
	case res.Entries[len(res.Entries)-1].Kind == cache.NXDomain:
		return wire.RcodeNXDomain
	}
	return wire.RcodeNoError
}

// disprove drops the DNAMEs past their TTL that a zone's own answer speaks against:
// it would have begun with one that is there still (RFC 6672 §3.2), and is not to be
// outlived by one that is not.
func (r *Resolver) disprove(now clock.Mono, e *cache.Entry) {
	if e.Rank != cache.RankAuthAnswer || e.Cut == "" {
		return
	}
	rd := r.readers.Get().(*cache.Reader)
	defer r.readers.Put(rd)
	rd.Unasked = true
	for up := e.Name; up.Below(e.Cut); {
		up = up.Parent()
		hit, ok := r.cache.Lookup(rd, now, up, wire.TypeDNAME)
		if ok && hit.Kind() == cache.Data && hit.Type() == wire.TypeDNAME && hit.Cut() == e.Cut && hit.State(now) == stale.Stale {
			r.cache.Supersede(now, &cache.Entry{Kind: cache.NoData, Name: up, Type: wire.TypeDNAME, Rank: e.Rank, Security: e.Security, Cut: e.Cut})
		}
	}
}

// remember enters or clears the question's failure (RFC 9520 §3.2). A failure
// underneath another flight that a refused wait, the bound on depth or the
// other's spent budget had a part in is not held against the question: asked on its own it may well
// succeed. Nor is that all servers of its zone are silent: infra remembers that
// for the zone, and all its names are to be back when the zone is. What ended for
// a lack of our own says nothing of anybody. While what was to be prefetched is
// fresh nobody has missed anything: it is asked for when it has expired.
func (r *Resolver) remember(now clock.Mono, f *flight) {
	q := cache.Question{Name: f.key.name, Type: f.key.typ}
	switch {
	case f.result.Failure == nil:
		r.cache.Recovered(q)
	case f.req.Depth > 0 && (f.result.Budget || f.result.Hindered || r.flights.isCramped(f)), r.base.Err() != nil:
	case r.outOfDate(f): // a negative trust anchor came since
	case f.result.Silent, f.result.Ours, f.early && r.fresh(f.key, now):
		r.failures.count(f.result.Failure.Code)
	default:
		r.failures.count(f.result.Failure.Code)
		r.cache.Fail(now, q, f.result.Failure, f.result.Refused)
	}
}
