package anchor

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
)

// How long a negative trust anchor lasts (RFC 7646 §2).
const (
	NegativeDefault = time.Hour
	NegativeLongest = 7 * 24 * time.Hour
)

const (
	mostNegatives = 1000 // added ones, and as many configured ones
	mostReason    = 200  // octets: it goes into answers
)

// Negatives keeps the negative trust anchors: those of the configuration, and
// those that were added since, which outlive a restart by Marshal and Unmarshal.
// None lasts longer than a week, none is without an end. Each change shows in the
// table at once, as a whole. It may be used from many goroutines.
//
// A zone may have one of each kind; the one that ends later counts.
type Negatives struct {
	table *Table

	mu         sync.Mutex
	configured map[dnsname.Name]*Against
	added      map[dnsname.Name]*Against
	latest     map[*Against]clock.Mono // when each has lasted as long as it was meant to
}

// NewNegatives makes a store without any, which alone may call the table's
// SetAgainst.
func NewNegatives(t *Table) *Negatives {
	return &Negatives{table: t, configured: map[dnsname.Name]*Against{}, added: map[dnsname.Name]*Against{}, latest: map[*Against]clock.Mono{}}
}

// Configure replaces those that come from the configuration. One that has ended
// already is left out; so is one that is not allowed, and the error says which. By a
// clock that is not set none ends too late; Expire sees to that.
func (n *Negatives) Configure(list []Against, wall time.Time) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	var bad []error
	next := map[dnsname.Name]*Against{}
	for i := range list {
		a := list[i]
		a.Configured = true
		if !a.Until.IsZero() && !wall.Before(a.Until) {
			continue
		}
		if a.Until.IsZero() {
			bad = append(bad, fmt.Errorf("negative trust anchor of %s has no end; write a moment such as %s", a.Zone, stamp(wall.Add(NegativeDefault))))
			continue
		}
		from := wall
		if wall.Before(firstDay) {
			from = a.Until.Add(-NegativeLongest)
		}
		if err := a.check(from); err != nil {
			bad = append(bad, err)
			continue
		}
		if a.Added.IsZero() {
			a.Added = wall
		}
		if len(next) == mostNegatives && next[a.Zone] == nil {
			bad = append(bad, errMany)
			break
		}
		next[a.Zone] = &a
	}
	n.configured = next
	n.publish()
	return errors.Join(bad...)
}

// firstDay is before this version was made: a clock that says an earlier time is not
// set yet, as on a machine that has the time of day from the network alone.
var firstDay = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) // constant in effect

// NotBefore is a time of day, or a later one if that is of a clock that is not set
// yet: what the configuration says of other times is no mistake then.
func NotBefore(wall time.Time) time.Time {
	if wall.Before(firstDay) {
		return firstDay
	}
	return wall
}

// Add adds one, instead of one that was added for the zone before. Without Until
// it lasts NegativeDefault. What comes back is the one that counts from now on.
func (n *Negatives) Add(a Against, wall time.Time) (*Against, error) {
	a.Added, a.Configured = wall.UTC().Truncate(time.Second), false
	if a.Until.IsZero() {
		a.Until = wall.Add(NegativeDefault)
	}
	if err := a.check(wall); err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.added[a.Zone] == nil && len(n.added) >= mostNegatives {
		return nil, errMany
	}
	a.Until = a.Until.UTC().Truncate(time.Second)
	n.added[a.Zone] = &a
	n.publish()
	return n.counting(a.Zone), nil
}

var errMany = fmt.Errorf("there are %d negative trust anchors already; remove some, or add one for a zone above them", mostNegatives)

// check refuses one that may not be, with what to do.
func (a *Against) check(wall time.Time) error {
	lasts := a.Until.Sub(wall)
	switch {
	case a.Zone == "":
		return errors.New("a negative trust anchor without a zone; name one")
	case lasts < time.Second:
		return fmt.Errorf("negative trust anchor of %s would have ended %s; give an end that is ahead", a.Zone, stamp(a.Until))
	case lasts > NegativeLongest:
		return fmt.Errorf("negative trust anchor of %s until %s would last longer than a week; give an end until %s, and add it again then if need be",
			a.Zone, stamp(a.Until), stamp(wall.Add(NegativeLongest)))
	case len(a.Reason) > mostReason:
		return fmt.Errorf("the reason for the negative trust anchor of %s is longer than %d octets; shorten it", a.Zone, mostReason)
	case !utf8.ValidString(a.Reason) || strings.ContainsFunc(a.Reason, unicode.IsControl):
		return fmt.Errorf("the reason for the negative trust anchor of %s has characters that do not print; write one line of text", a.Zone)
	}
	return nil
}

// Remove ends the one that was added for a zone. One of the configuration is not
// removed but named in the error.
func (n *Negatives) Remove(zone dnsname.Name) (*Against, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	a := n.added[zone]
	if a == nil {
		if n.configured[zone] != nil {
			return nil, fmt.Errorf("the negative trust anchor of %s comes from the configuration; delete it there", zone)
		}
		return nil, fmt.Errorf("there is no negative trust anchor of %s", zone)
	}
	delete(n.added, zone)
	n.publish()
	return a, nil
}

// Recovered drops what a zone that validates again no longer needs (RFC 7646 §4):
// those that are not forced, configured or not. It gives what was dropped.
func (n *Negatives) Recovered(zone dnsname.Name) []*Against {
	return n.drop(func(a *Against) bool { return a.Zone == zone && !a.Forced })
}

// Expire drops those that have ended, and gives them. At their moment they do not
// count any more whether it is called or not; but the time of day may be set back, or
// not be set yet at the start, and then it is the first call for each that sees to it
// that it lasts no longer than from Added to Until, and than a week.
func (n *Negatives) Expire(wall time.Time, now clock.Mono) []*Against {
	return n.drop(func(a *Against) bool {
		latest, known := n.latest[a]
		if !known {
			latest = now.Add(min(a.Until.Sub(a.Added), NegativeLongest))
			n.latest[a] = latest
		}
		return !wall.Before(a.Until) || latest <= now
	})
}

func (n *Negatives) drop(which func(*Against) bool) []*Against {
	n.mu.Lock()
	defer n.mu.Unlock()
	var dropped []*Against
	for _, kind := range []map[dnsname.Name]*Against{n.configured, n.added} {
		for zone, a := range kind {
			if which(a) {
				dropped = append(dropped, a)
				delete(kind, zone)
			}
		}
	}
	if len(dropped) > 0 {
		n.publish()
	}
	slices.SortFunc(dropped, inOrder)
	return dropped
}

// List gives all of them in canonical order of their zones, a configured one before
// an added one.
func (n *Negatives) List() []*Against {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := make([]*Against, 0, len(n.configured)+len(n.added))
	for _, kind := range []map[dnsname.Name]*Against{n.configured, n.added} {
		for _, a := range kind {
			list = append(list, a)
		}
	}
	slices.SortFunc(list, inOrder)
	return list
}

// Has tells whether there is one of a zone, whichever kind.
func (n *Negatives) Has(zone dnsname.Name) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.counting(zone) != nil
}

func inOrder(a, b *Against) int {
	switch c := dnsname.Compare(a.Zone, b.Zone); {
	case c != 0:
		return c
	case a.Configured == b.Configured:
		return 0
	case a.Configured:
		return -1
	}
	return 1
}

// counting is the one of a zone's that ends later, nil for none. The lock is held.
func (n *Negatives) counting(zone dnsname.Name) *Against {
	a, c := n.added[zone], n.configured[zone]
	if a == nil || c != nil && c.Until.After(a.Until) {
		return c
	}
	return a
}

// publish tells the table. The lock is held, so that no older state overtakes.
func (n *Negatives) publish() {
	list := make([]*Against, 0, len(n.configured)+len(n.added))
	for zone := range n.configured {
		list = append(list, n.counting(zone))
	}
	for zone := range n.added {
		if n.configured[zone] == nil {
			list = append(list, n.added[zone])
		}
	}
	maps.DeleteFunc(n.latest, func(a *Against, _ clock.Mono) bool { return n.added[a.Zone] != a && n.configured[a.Zone] != a })
	n.table.SetAgainst(list)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
