package rootzone

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"lastgood/internal/clock"
)

// Moment is a reading of both clocks: intervals are measured with the one that no
// step of the time of day moves, signatures and what the disk kept with the other.
type Moment struct {
	Mono clock.Mono
	Wall time.Time
}

// Bounds of what the SOA record may say of intervals, and how long to wait when
// there is no zone and every source failed: twice as long each time.
const (
	leastRefresh, mostRefresh = 5 * time.Minute, 24 * time.Hour
	leastRetry, mostRetry     = time.Minute, time.Hour
	mostExpire                = 14 * 24 * time.Hour
	firstRetry, lastRetry     = time.Minute, 15 * time.Minute
	jitter                    = 10 // per cent that an interval is shorter, at most
)

// Keeper keeps the zone current: it says when to ask which source, takes what
// came if it is newer, and gives it to readers until it expires. Zone may be called
// from any goroutine; everything else is for one.
type Keeper struct {
	held   atomic.Pointer[held]
	chance *rand.Rand
	errs   []error // of each source's last attempt
	at     int     // the source to ask next
	whole  bool    // it is not to be asked for differences
	failed int     // sources that failed or were behind, one after another
	rounds int     // through all of them, in vain
	due    clock.Mono
	// The newest serial there was. It outlives its zone: nobody can give an older
	// one by keeping newer ones away until that has expired.
	newest uint32
	seen   bool // there was one
}

// held is a zone with the end of its time; never changed.
type held struct {
	zone      *Zone
	confirmed Moment // when a source had this or an older serial last
	expires   clock.Mono
}

// NewKeeper makes one for so many sources (at least one), in the order of
// preference, which has no zone yet and wants one at once.
func NewKeeper(sources int, chance *rand.Rand) *Keeper {
	return &Keeper{errs: make([]error, max(1, sources)), chance: chance}
}

// Zone is the zone as long as it may be used: until nothing confirmed it for the
// time that its SOA record says, or the first of its signatures expires. Else it
// is nil, and root servers are to be asked. It takes no lock and does not allocate.
func (k *Keeper) Zone(now Moment) *Zone {
	if h := k.held.Load(); h != nil && h.usable(now) {
		return h.zone
	}
	return nil
}

func (h *held) usable(now Moment) bool {
	return now.Mono < h.expires && now.Wall.Before(h.zone.verified.Expires)
}

// Job is what is to be done now: ask a source, by its number, for what is newer
// than Have, or for the whole zone when that is nil.
type Job struct {
	Source int
	Have   *Zone
}

// Next gives what is to be done, or else (ok is false) for how long there is
// nothing. The job is given again until Fetched hears of its end.
func (k *Keeper) Next(now Moment) (job Job, wait time.Duration, ok bool) {
	k.dropExpired(now)
	h := k.held.Load()
	if now.Mono < k.due {
		next := k.due
		if h != nil {
			next = min(next, h.expires, now.Mono.Add(h.zone.verified.Expires.Sub(now.Wall)))
		}
		return Job{}, next.Sub(now.Mono), false
	}
	job.Source = k.at
	if h != nil && !k.whole {
		job.Have = h.zone
	}
	return job, 0, true
}

// dropExpired forgets a zone that may not be used any more, and sees that another
// is wanted at once.
func (k *Keeper) dropExpired(now Moment) {
	if h := k.held.Load(); h != nil && !h.usable(now) {
		k.held.Store(nil)
		k.due, k.whole, k.failed, k.rounds = now.Mono, false, 0, 0
	}
}

// Again wants a source asked at once if none gave or confirmed a zone since some
// failed: a time of day that was wrong may have been why.
func (k *Keeper) Again(now Moment) {
	if k.held.Load() == nil || k.failed+k.rounds > 0 {
		k.due, k.failed, k.rounds = min(k.due, now.Mono), 0, 0
	}
}

// Judge tells of a serial that a source says it has whether it is worth to be
// fetched: ErrSame when it is held, ErrOlder when a newer one was.
func (k *Keeper) Judge(serial uint32) error {
	if !k.seen || serial == k.newest && k.held.Load() == nil {
		return nil
	}
	return compare(serial, k.newest)
}

var errNothing = errors.New("the source gave no zone, and none is held")

// Fetched hears how a job ended: with a zone that was verified, or an error, which
// is ErrSame when the source has what is held.
func (k *Keeper) Fetched(now Moment, job Job, z *Zone, err error) {
	k.dropExpired(now)
	h := k.held.Load()
	if err == nil {
		err = k.worth(now, z)
	}
	switch {
	case err == nil:
		k.hold(now, z, 0)
	case errors.Is(err, ErrSame) && h != nil:
		err = nil
		k.hold(now, h.zone, 0)
	case errors.Is(err, ErrSame):
		err = errNothing
	}
	if k.errs[job.Source] = err; err != nil {
		k.next(now, job)
	}
}

// worth tells why a zone is not to be taken.
func (k *Keeper) worth(now Moment, z *Zone) error {
	if z == nil {
		return errNothing
	}
	if !now.Wall.Before(z.verified.Expires) {
		return fmt.Errorf("a signature of serial %d expired %s", z.Serial(), z.verified.Expires.Format(time.RFC3339))
	}
	return k.Judge(z.Serial())
}

// hold takes a zone, or the same one once more, that was confirmed some time ago.
func (k *Keeper) hold(now Moment, z *Zone, ago time.Duration) {
	k.newest, k.seen = z.Serial(), true
	soa := &z.Data.soa
	expire := min(seconds(soa.expire), mostExpire)
	k.held.Store(&held{
		zone: z, confirmed: Moment{now.Mono.Add(-ago), now.Wall.Add(-ago)}, expires: now.Mono.Add(expire - ago),
	})
	k.whole, k.failed, k.rounds = false, 0, 0
	refresh := min(max(seconds(soa.refresh), leastRefresh), mostRefresh)
	k.due = now.Mono.Add(max(0, k.shorten(refresh)-ago))
}

// next decides what follows an attempt in vain: the whole zone of the same source
// if it was differences that failed, else the next source, and after the last one
// a pause.
func (k *Keeper) next(now Moment, job Job) {
	if job.Have != nil && !errors.Is(k.errs[job.Source], ErrOlder) {
		k.whole = true
		return
	}
	k.whole = false
	k.at = (job.Source + 1) % len(k.errs)
	if k.failed++; k.failed < len(k.errs) {
		return
	}
	k.failed = 0
	k.due = now.Mono.Add(k.shorten(k.pause()))
	k.rounds++
}

// pause is how long to wait when all sources failed (RFC 1035 §3.3.13: RETRY).
func (k *Keeper) pause() time.Duration {
	if h := k.held.Load(); h != nil {
		return min(max(seconds(h.zone.Data.soa.retry), leastRetry), mostRetry)
	}
	return min(firstRetry<<min(k.rounds, 8), lastRetry)
}

// shorten keeps many resolvers from asking at the same moment.
func (k *Keeper) shorten(d time.Duration) time.Duration {
	return d - time.Duration(k.chance.Int64N(int64(d)*jitter/100+1))
}

func seconds(n uint32) time.Duration { return time.Duration(n) * time.Second }

// Restore takes a zone that was kept on disk and verified now, which a source
// confirmed at a time of day. Should that be ahead, it counts as now. The zone is
// refused when it expired meanwhile, though nothing older will be taken then, or
// when one is held that is as new.
func (k *Keeper) Restore(now Moment, z *Zone, confirmed time.Time) error {
	if err := k.worth(now, z); err != nil {
		return err
	}
	k.newest, k.seen = z.Serial(), true
	ago := max(0, now.Wall.Sub(confirmed))
	if expire := min(seconds(z.Data.soa.expire), mostExpire); ago >= expire {
		return fmt.Errorf("serial %d expired %s", z.Serial(), confirmed.Add(expire).UTC().Format(time.RFC3339))
	}
	k.hold(now, z, ago)
	return nil
}

// Status is what there is to tell about the zone.
type Status struct {
	Zone      *Zone         // nil: root servers are asked
	Confirmed time.Time     // when a source last had nothing newer
	Expires   time.Time     // when it may not be used any more, if nothing confirms it
	Next      time.Duration // until a source is asked
	Errors    []error       // what each source's last attempt failed for, nil where it did not
}

// Status gives the state at a moment.
func (k *Keeper) Status(now Moment) Status {
	s := Status{Next: max(0, k.due.Sub(now.Mono)), Errors: slices.Clone(k.errs)}
	if h := k.held.Load(); h != nil && h.usable(now) {
		s.Zone, s.Confirmed = h.zone, h.confirmed.Wall
		s.Expires = now.Wall.Add(h.expires.Sub(now.Mono))
		if end := h.zone.verified.Expires; end.Before(s.Expires) {
			s.Expires = end
		}
	}
	return s
}
