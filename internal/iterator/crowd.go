package iterator

import (
	"sync"

	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
)

// crowd counts the resolutions that are at each cut now, from the moment they
// get there until they move on or end. A zone whose servers answer is passed in
// a few milliseconds, so that only one whose servers do not ever has many: random
// names below it would fill the table of flights otherwise, and nobody could ask
// for anything else.
//
// A zone's owner can make any number of zones beneath it, so each name above a
// cut counts what is beneath it as well. Bound: two numbers for each label of
// the cut of each resolution under way.
type crowd struct {
	each int // resolutions at one cut

	mu sync.Mutex
	at map[dnsname.Name]crowding
}

type crowding struct {
	here, below int
}

// Bounds of what counts together, in multiples of what one cut may have. Names
// of two labels may be a registry's (co.uk.), with customers that do not know
// each other. The root has no bound of its own: everything passes it, and what
// is forwarded has no other cut.
const (
	registryShare = 4 // a top-level domain; what is beneath a name of two labels
	subzonesShare = 2 // what is beneath a name of three labels and more
)

// enter counts a resolution at a cut, false when there is no room for it.
func (c *crowd) enter(cut dnsname.Name) bool {
	labels := cut.Labels()
	if labels == 0 {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	most := c.each
	if labels <= registryLabels {
		most *= registryShare
	}
	if c.at[cut].here >= most {
		return false
	}
	for name, n := cut.Parent(), labels-1; n > registryLabels; name, n = name.Parent(), n-1 {
		share := subzonesShare
		if n == registryLabels+1 {
			share = registryShare
		}
		if c.at[name].below >= share*c.each {
			return false
		}
	}
	c.count(cut, labels, 1)
	return true
}

// leave takes back what enter counted.
func (c *crowd) leave(cut dnsname.Name) {
	labels := cut.Labels()
	if labels == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count(cut, labels, -1)
}

// count adds one, or minus one, at a cut and at the names above it.
func (c *crowd) count(cut dnsname.Name, labels, by int) {
	if c.at == nil {
		c.at = map[dnsname.Name]crowding{}
	}
	n := c.at[cut]
	n.here += by
	c.set(cut, n)
	for labels--; labels > registryLabels; labels-- {
		cut = cut.Parent()
		n := c.at[cut]
		n.below += by
		c.set(cut, n)
	}
}

func (c *crowd) set(name dnsname.Name, n crowding) {
	if n == (crowding{}) {
		delete(c.at, name)
		return
	}
	c.at[name] = n
}

// arrive counts the task at its place instead of where it was before, and tells
// whether there was room.
func (t *task) arrive() bool {
	t.depart()
	if !t.it.crowd.enter(t.place.cut) {
		return false
	}
	t.counted = t.place.cut
	return true
}

// depart ends the counting.
func (t *task) depart() {
	if t.counted != "" {
		t.it.crowd.leave(t.counted)
		t.counted = ""
	}
}

// turnedAway ends a resolution at a cut where too many others wait already. That
// is nobody's failure.
func (t *task) turnedAway() state {
	t.bound("outstanding-per-zone")
	t.targets.ours = true
	return t.giveUp(&ede.Error{Code: ede.Other, ID: "CROW",
		Text: "too many resolutions wait for the servers of " + t.place.cut.String()})
}
