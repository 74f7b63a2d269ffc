package anchor

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/event"
)

// When a zone is said to fail.
const (
	// enoughNames have to fail with one cause that validated before.
	enoughNames = 5
	// beginning is how long they may be apart.
	beginning = 15 * time.Minute
	// mostGood is how many answers of the zone may validate meanwhile for each that
	// fails: some servers of a zone may still be well.
	mostGood = 3
)

// When that is over.
const (
	mendedAfter = time.Minute // without a failure, and with mendedBy answers that validate
	mendedBy    = 3
	quietAfter  = 30 * time.Minute // without anybody who meets it
)

// Bounds of a Watch. At each the one that is least of interest makes room, of incidents
// for what is of more than twice the interest.
const (
	mostBeginnings = 256
	mostIncidents  = 64
	mostSamples    = 4
)

// Watch notices zones that validated before and begin to fail: many names of theirs,
// with one cause. It is told of every answer that was validated, or in vain, and of
// the questions of clients that met a failure; what it finds it tells, and no more:
// nobody but an operator adds a negative trust anchor (RFC 7646 §2).
//
// A zone that never validated is none of its concern, nor are a few names. What
// validated before is known of the latest 65,536 names, by a hash. It may be used
// from many goroutines.
type Watch struct {
	mu    sync.Mutex
	good  proven
	begun map[trouble]*incident
	open  int // of them incidents
	total uint64
	// yielded are incidents that made room since the last Look, at most as many as there may be.
	yielded []Incident
}

// trouble is what an incident is of.
type trouble struct {
	zone dnsname.Name
	code ede.Code
}

// codes are those that FailsValidation.
var codes = [...]ede.Code{ // constant in effect
	ede.Bogus, ede.SignatureExpired, ede.SignatureNotYetValid, ede.DNSKEYMissing, ede.RRSIGsMissing, ede.NoZoneKeyBit, ede.NSECMissing,
	ede.SignatureExpiredBefore, ede.UnsupportedNSEC3Iter,
}

// NewWatch makes a watch; seed is of its hashes.
func NewWatch(seed uint64) *Watch {
	return &Watch{good: proven{seed: seed}, begun: map[trouble]*incident{}}
}

// Incident is a zone that fails: what an operator wants to know of it.
type Incident struct {
	Zone      dnsname.Name
	Cause     *ede.Error // the latest
	Since     clock.Mono // the first failure
	Last      clock.Mono // the latest
	Names     int        // that clients asked for and that failed: an estimate, close to exact up to some thousands
	Questions int        // of clients that met it
	Stale     int        // names that the last good answer was given for, likewise an estimate
	StaleEnd  clock.Mono // when the first of those answers that still may be given ends, to 10 min; 0: none may
	StaleLast clock.Mono // when the last of them ends
	Ended     Ending
}

// Ending is why an incident is over.
type Ending uint8

// Endings.
const (
	Open    Ending = iota
	Mended         // the zone validates again
	Covered        // a negative trust anchor is there
	Quiet          // nobody meets it any more
	Yielded        // it made room for another that more questions meet, and goes on
)

func (e Ending) String() string {
	return [...]string{"open", "it validates again", "it has a negative trust anchor", "nobody met it any more", "others that more questions meet took its place"}[min(e, Yielded)]
}

// Validated tells that an answer for a name was believed, which a zone signed.
func (w *Watch) Validated(zone, name dnsname.Name) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.good.add(name, zone.Labels())
	if len(w.begun) == 0 {
		return
	}
	for _, code := range codes {
		if i := w.begun[trouble{zone, code}]; i != nil {
			i.goodAll++
			i.goodSince++
		}
	}
}

// Failed tells that an answer for a name was not believed, by the fault of the zone
// that the cause names. What comes back is an incident that begins with it, nil for
// none.
func (w *Watch) Failed(now clock.Mono, q event.Question, cause *ede.Error) *Incident {
	t, ok := troubleOf(cause)
	if !ok || !q.Name.Under(t.zone) {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	i := w.begun[t]
	if i != nil && !i.open && now.Sub(i.last) > beginning {
		delete(w.begun, t)
		i = nil
	}
	if i == nil {
		if len(w.begun)-w.open >= mostBeginnings {
			w.drop(w.least(false))
		}
		i = &incident{trouble: t, since: now}
		w.begun[t] = i
	}
	i.last, i.met, i.cause, i.goodSince = now, now, cause, 0
	i.bad++
	if !w.good.has(q.Name, t.zone.Labels()) {
		return nil
	}
	i.sample(q)
	if i.open {
		return nil
	}
	return w.hit(now, i, q.Name)
}

// hit notes that a name that validated before fails, and opens the incident when
// there are enough of them.
func (w *Watch) hit(now clock.Mono, i *incident, name dnsname.Name) *Incident {
	if h := w.good.hash(name); !slices.Contains(i.before, h) && len(i.before) < enoughNames {
		i.before = append(i.before, h)
	}
	if len(i.before) < enoughNames || i.goodAll > mostGood*i.bad || !w.room(now, i) {
		return nil
	}
	i.open, i.before = true, nil
	w.open++
	w.total++
	told := i.told(now)
	return &told
}

// Asked tells of a client's question that met a failure: it got nothing (until 0), or
// the last good answer, which may be given until then. A name with a last good answer
// is one that validated before.
func (w *Watch) Asked(now clock.Mono, q event.Question, cause *ede.Error, until clock.Mono) *Incident {
	t, ok := troubleOf(cause)
	if !ok {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	i := w.begun[t]
	if i == nil {
		return nil
	}
	i.met = now
	i.questions++
	hash := w.good.hash(q.Name)
	i.names.add(hash)
	if until == 0 {
		return nil
	}
	if i.stale.add(hash) {
		i.ends.add(until)
	}
	if i.open || !q.Name.Under(t.zone) {
		return nil
	}
	i.sample(q)
	return w.hit(now, i, q.Name)
}

// Samples gives some questions at or below a name that fail, of names that validated
// before: when they validate again, so may all the rest.
func (w *Watch) Samples(top dnsname.Name) []event.Question {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []event.Question
	for _, i := range w.begun {
		for _, q := range i.samples {
			if q.Name.Under(top) && !slices.Contains(list, q) {
				list = append(list, q)
			}
		}
	}
	slices.SortFunc(list, func(a, b event.Question) int { return dnsname.Compare(a.Name, b.Name) })
	return list[:min(len(list), mostSamples)]
}

func troubleOf(cause *ede.Error) (trouble, bool) {
	if cause == nil || cause.Zone == "" || !cause.Code.FailsValidation() {
		return trouble{}, false
	}
	return trouble{dnsname.Name(cause.Zone), cause.Code}, true
}

// room makes room for another incident, which is of more interest than the one that goes
// by so much that they do not take turns: each is told of. False: there is none.
func (w *Watch) room(now clock.Mono, other *incident) bool {
	if w.open < mostIncidents {
		return true
	}
	least := w.least(true)
	if other.questions <= 2*least.questions || len(w.yielded) == mostIncidents {
		return false
	}
	told := least.told(now)
	told.Ended = Yielded
	w.yielded = append(w.yielded, told)
	w.drop(least)
	return true
}

// least is the incident, or the beginning of one, that the fewest questions met, and among
// those the one that failed longest ago; nil without any.
func (w *Watch) least(open bool) (least *incident) {
	for _, i := range w.begun {
		if i.open == open && (least == nil || cmp.Or(cmp.Compare(i.questions, least.questions), cmp.Compare(i.last, least.last)) < 0) {
			least = i
		}
	}
	return least
}

func (w *Watch) drop(i *incident) {
	delete(w.begun, i.trouble)
	if i.open {
		w.open--
	}
}

// Look ends the incidents that are over, and gives them, with those that made room for
// others; covered tells whether a zone has a negative trust anchor at or above it.
func (w *Watch) Look(now clock.Mono, covered func(zone dnsname.Name) bool) []Incident {
	w.mu.Lock()
	defer w.mu.Unlock()
	ended := w.yielded
	w.yielded = nil
	for _, i := range w.begun {
		why := i.ending(now, covered)
		if why == Open {
			continue
		}
		if w.drop(i); i.open {
			told := i.told(now)
			told.Ended = why
			ended = append(ended, told)
		}
	}
	slices.SortFunc(ended, mostAsked)
	return ended
}

// List gives the incidents that are open, the one that most questions met first.
func (w *Watch) List(now clock.Mono) []Incident {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []Incident
	for _, i := range w.begun {
		if i.open {
			list = append(list, i.told(now))
		}
	}
	slices.SortFunc(list, mostAsked)
	return list
}

func mostAsked(a, b Incident) int {
	return cmp.Or(cmp.Compare(b.Questions, a.Questions), dnsname.Compare(a.Zone, b.Zone), cmp.Compare(a.Cause.Code, b.Cause.Code))
}

// Total counts the incidents since the start.
func (w *Watch) Total() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.total
}

// Command is what would end an incident, for a shell.
func (i *Incident) Command() string {
	zone := i.Zone.String()
	if strings.Trim(zone, "abcdefghijklmnopqrstuvwxyz0123456789-._") != "" {
		zone = "'" + strings.ReplaceAll(zone, "'", `'\''`) + "'"
	}
	return "lastgood nta add " + zone + ` --for 2h --reason "` + strings.ToLower(i.Cause.Code.String()) + `"`
}
