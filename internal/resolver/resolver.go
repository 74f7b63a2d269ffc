package resolver

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
	"lastgood/internal/ede"
	"lastgood/internal/event"
	"lastgood/internal/infra"
	"lastgood/internal/iterator"
	"lastgood/internal/rrset"
	"lastgood/internal/stale"
	"lastgood/internal/wire"
)

// Iterator resolves one hop by asking authorities or forwarders. It must come
// back when ctx ends, or the request's time.
type Iterator interface {
	Resolve(ctx context.Context, r iterator.Request) iterator.Result
	// Trouble tells whether the servers of a cut are known not to answer, or to fail.
	Trouble(now clock.Mono, cut dnsname.Name) (infra.Trouble, bool)
	// Want tells that a client was answered from what is stale, or failed, because
	// of the cut's trouble; sooner: the plan of rechecks has moved.
	Want(now clock.Mono, cut dnsname.Name, q event.Question) (sooner bool)
	// Undo drops the delegations that an answer speaks against which was found good.
	Undo(now clock.Mono, r *iterator.Result)
	// Recheck sends one packet to see whether a server is back.
	Recheck(ctx context.Context, c infra.Recheck) iterator.Result
}

// Health is what is known of name servers and zones; infra satisfies it.
type Health interface {
	// Rechecks gives what is due, and when something is next, 0 for never.
	Rechecks(now clock.Mono) (due []infra.Recheck, next clock.Mono)
	// NameBogus notes that what the servers of a cut say of a name does not validate
	// through the cut's own fault; began: the cut is failing by this.
	NameBogus(now clock.Mono, cut, name dnsname.Name, cause *ede.Error) (began bool)
	// CutSound notes that an answer of a cut's servers was validated; recovered: the
	// cut was failing for those that do not.
	CutSound(now clock.Mono, cut dnsname.Name) (recovered bool)
	// SoundBelow forgets all bogus answers at and below a zone, and gives why the last
	// was, nil without any.
	SoundBelow(now clock.Mono, zone dnsname.Name) *ede.Error
	// Resolved tells how long a useful resolution below a cut took.
	Resolved(now clock.Mono, cut dnsname.Name, took time.Duration)
	// ClientTimeout is what was learnt from that, of so many samples.
	ClientTimeout(cut dnsname.Name) (learned time.Duration, samples int)
	// Offline tells whether nobody at all answers, and since when.
	Offline(now clock.Mono) (since clock.Mono, offline bool)
}

var (
	errTooManyFlights = errors.New("too many flights")
	errDeadline       = errors.New("resolution deadline")
	errClosing        = errors.New("resolver is closing")
	errWaited         = errors.New("client timeout")
	errCrowded        = errors.New("slow start")
	errUnderWay       = errors.New("being resolved")
)

// Options of a Resolver. All are required unless a default is named.
type Options struct {
	Cache *cache.Cache
	Clock *clock.Clock
	// NewIterator makes the iterator, which finds name servers' addresses
	// through the resolver it is for.
	NewIterator func(iterator.Flights) Iterator
	Health      Health
	Events      event.Sink // may be nil
	// AllFlights: flights that begin, and those that end well, are told of too, which
	// costs each question that is not cached; else only those that fail.
	AllFlights bool

	Deadline        time.Duration // for one flight, and for one client's wait
	UpstreamQueries int           // per client question
	ReplyBytes      int64         // octets of their replies, likewise
	CNAMEHops       int           // aliases in a chain
	Validator       Validator     // nil: nothing is validated
	Work            dnssec.Limits // of its, per client question
	Depth           int           // of name-server addresses needed for name-server addresses
	Flights         int           // open at once

	// Aggressive is what proofs are read by that answer for other names too (RFC
	// 8198), which the cache has to keep (cache.Options.Ranges); nil: none do.
	Aggressive *dnssec.Policy

	// RootTags gives the tags of the root's keys that are trusted, for clients that
	// ask by names (RFC 8509); nil: they are told nothing.
	RootTags func() []uint16

	Minimal      bool           // leave out what the question did not ask for
	SpecialNames bool           // answer RFC 6761 and 6303 names here
	NotSpecial   []dnsname.Name // zones with servers of their own (forward, stub): never special

	Stale      *stale.Rules          // nil: nothing is served stale
	NeverStale func(netip.Addr) bool // clients that get nothing stale; nil: none
	ErrorText  bool                  // stale answers say why in words, not in codes alone
	Prefetch   bool                  // refresh what is asked for often before it expires; takes Run

	// Uncached tells whether what is found at a name must not enter the cache;
	// nil: all of it may.
	Uncached func(dnsname.Name) bool

	// LocalZones and LocalData are answered from the configuration, before anything
	// else and to clients only: name servers are found as if they were not there.
	LocalZones []LocalZone
	LocalData  []rrset.Set

	// PrivateAddresses are removed from answers, except where the name asked for
	// and the name that has them are at or below PrivateDomains.
	PrivateAddresses []netip.Prefix
	PrivateDomains   []dnsname.Name

	// Panicked hears of a programmer's error that a flight died of; without it
	// the program ends.
	Panicked func(value any, stack []byte)
}

// idleGoroutines is how many are kept for further flights: as many as a core
// resolves at once when it is busy and servers are near.
const idleGoroutines = 256

// Resolver answers questions from the cache and through flights. It starts no
// goroutine by itself; each flight is one, Run is its caller's, and Close waits
// for all of them.
type Resolver struct {
	cache     *cache.Cache
	clock     *clock.Clock
	iterator  Iterator
	events    event.Sink
	tellsAll  bool
	deadline  time.Duration
	queries   int
	bytes     int64
	cnameHops int
	depth     int
	minimal   bool
	special   *specialNames
	local     *localNames
	private   *privateNets
	uncached  func(dnsname.Name) bool
	panicked  func(any, []byte)
	validator Validator
	work      dnssec.Limits
	causes    causes
	renewals  renewals
	rootTags  func() []uint16 // nil: nobody is told

	aggressive *dnssec.Policy // nil: nothing is synthesised
	served     []dnsname.Name // zones with servers of their own

	health     Health
	stale      *stale.Rules
	neverStale func(netip.Addr) bool
	errorText  bool
	troubled   troubled
	wake       chan struct{} // makes Run look at the plan of rechecks

	prefetches  chan popular  // for Run; nil when there is no prefetching
	prefetching atomic.Int32  // under way
	room        chan struct{} // tells Run that not too many are any more

	readers sync.Pool // of *cache.Reader
	rooms   sync.Pool // of *room, zero

	flights *flights
	crew    *Crew[func()]   // of the flights' goroutines
	base    context.Context // of all flights
	cancel  context.CancelCauseFunc

	stats    counters
	failures failureCounters
}

// New makes a resolver that is ready for questions.
func New(o Options) *Resolver {
	r := &Resolver{
		cache: o.Cache, clock: o.Clock, events: o.Events, tellsAll: o.AllFlights, deadline: o.Deadline,
		queries: o.UpstreamQueries, bytes: o.ReplyBytes, cnameHops: o.CNAMEHops, depth: o.Depth,
		validator: o.Validator, work: o.Work, minimal: o.Minimal, uncached: o.Uncached, panicked: o.Panicked, flights: newFlights(o.Flights),
		health: o.Health, stale: o.Stale, neverStale: o.NeverStale, errorText: o.ErrorText, wake: make(chan struct{}, 1),
	}
	if o.Validator != nil {
		r.aggressive, r.served = o.Aggressive, o.NotSpecial
	}
	if o.Validator != nil {
		r.rootTags = o.RootTags
	}
	if o.Prefetch {
		r.prefetches, r.room = make(chan popular, prefetchQueue), make(chan struct{}, 1)
	}
	r.local = newLocalNames(o.LocalZones, o.LocalData)
	r.private = newPrivateNets(o.PrivateAddresses, o.PrivateDomains)
	if o.SpecialNames {
		r.special = newSpecialNames(o.NotSpecial)
	}
	r.rooms.New = func() any { return new(room) }
	r.readers.New = func() any { return new(cache.Reader) }
	r.base, r.cancel = context.WithCancelCause(context.Background())
	r.crew = NewCrew(idleGoroutines, func(f func()) { f() })
	r.iterator = o.NewIterator(r)
	return r
}

// Close ends all flights and waits until they are gone; none starts after it.
// Their clients get SERVFAIL.
func (r *Resolver) Close() {
	r.cancel(errClosing)
	r.flights.close()
	r.crew.Close()
}

// Resolve answers a question, at the latest when the resolution deadline after
// the question's arrival has passed or ctx ends.
func (r *Resolver) Resolve(ctx context.Context, q Query) *Answer {
	own, local := r.local.find(q.Name, q.Type)
	switch {
	case q.Type == wire.TypeANY && !(local && own.set == nil && (own.refused || own.kind == cache.NXDomain)):
		alone := q // what escapes is a copy, that the usual question needs not
		return r.any(&alone)
	case local:
	default:
		if zone, ok := r.special.zoneOf(q.Name); ok {
			alone := q
			return r.special.zones[zone].answer(&alone, zone, r.clock.Now())
		}
	}
	if !q.RD {
		alone := q
		return r.told(&alone, r.fromCache(&alone))
	}
	t := r.newTrail(q)
	a := r.told(t.q, t.walk(ctx))
	r.stats.answered(a)
	r.tellBogus(t.q, a)
	return a
}

// lastWord is how much longer than the deadline a client waits, so that the
// flight that began with its question can still say what was wrong.
const lastWord = 100 * time.Millisecond

// fromCache answers a question without RD: what the cache has, else a refusal,
// so that nobody can use the resolver as an authority (RFC 8914 §4.21).
func (r *Resolver) fromCache(q *Query) *Answer {
	t := trail{r: r, q: q, name: q.Name}
	for len(t.chain) <= r.cnameHops {
		now := r.clock.Now()
		h, state := t.known(now)
		if state != stale.Fresh {
			break // RFC 8767 §5: stale data is for those who want recursion
		}
		t.chain = append(t.chain, h)
		if t.ends(&h) {
			return t.finish(now)
		}
		if t.visited(h.Target) {
			break
		}
		t.name = h.Target
	}
	return failed(true, &ede.Error{Code: ede.NotAuthoritative, ID: "NORD", Text: "recursion was not asked for, and it is not in the cache"})
}

// any answers ANY with one synthesised record (RFC 8482 §4.2): asking many
// servers for everything serves amplification only.
func (r *Resolver) any(q *Query) *Answer {
	const hinfo = "\x07RFC8482\x00"
	set := rrset.Set{Name: q.Name, Type: wire.TypeHINFO, TTL: anyTTL, Data: rrset.Packed(nil).Append([]byte(hinfo))}
	now := r.clock.Now()
	e := cache.Entry{Kind: cache.Data, Name: q.Name, Type: wire.TypeHINFO, Set: set, Stored: now, Expiry: now.Add(anyTTL * time.Second)}
	return &Answer{Chain: []Hop{{Entry: e}}, At: now}
}

// anyTTL is in seconds: such answers may be kept for long, they never change.
const anyTTL = 3600

// Addresses finds a name server's addresses for the iterator (see
// [iterator.Flights]): through flights, on the asking flight's budget, else from
// what is stale.
func (r *Resolver) Addresses(ctx context.Context, from iterator.Request, host dnsname.Name, typ wire.Type) (addrs []netip.Addr, lapsed bool, err error) {
	if from.Depth+1 > r.depth {
		r.flights.cramp(from.Flight)
		r.budget(job{from: from.Flight}, "depth")
		return nil, false, &ede.Error{Code: ede.NoReachableAuthority, ID: "DEEP", Text: "name servers' names depend on each other too deeply at " + host.String()}
	}
	q := Query{Name: host, Type: typ, RD: true, Arrival: r.clock.Now()}
	t := trail{r: r, q: &q, name: host, job: job{from: from.Flight, budget: from.Budget, depth: from.Depth + 1, raw: true}}
	if r.validator != nil {
		t.job.work = r.workOf(from.Flight)
	}
	a := t.walk(ctx)
	if len(a.Errors) > 0 {
		if a.Errors[0].ID == "LOOP" {
			return nil, false, iterator.ErrLoop
		}
		return nil, false, a.Errors[0]
	}
	return addressesOf(a), a.Stale, nil
}

// addressesOf lists the addresses in an answer's last hop, none for a denial.
func addressesOf(a *Answer) []netip.Addr {
	var list []netip.Addr
	last := &a.Chain[len(a.Chain)-1].Entry
	if last.Kind == cache.Data && (last.Type == wire.TypeA || last.Type == wire.TypeAAAA) {
		for rd := range last.Set.Data.All() {
			if addr, ok := netip.AddrFromSlice(rd); ok {
				list = append(list, addr)
			}
		}
	}
	return list
}

// budget tells that a work bound was hit.
func (r *Resolver) budget(j job, bound string) {
	r.stats.budget.Add(1)
	r.events.Emit(event.BudgetHit{At: r.clock.Now(), Flight: j.from, Bound: bound})
}
