package infra

import (
	"slices"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
)

// What does not validate came in a reply that looks useful, and whoever sends and
// reads replies says so (Useful). So what is held against a cut for bogus answers
// is apart: no reply ends it, but the word of who validates. Of the cut's other
// failures it differs in nothing: its servers are rechecked, its parent is asked,
// it comes to nothing after five minutes without either.

// NameBogus notes that what the servers of a cut say of a name does not validate
// through the cut's own fault, whichever of them is asked. When several names'
// answers did not and none since was found to be good (see CutSound), the cut is
// failing. It tells whether it began to by this.
//
// The cut is the zone whose signatures or keys are wrong. Where a server has a zone
// and others below it, that need not be the one it was asked for as a server of: a
// broken zone says nothing of the one that delegates it.
func (i *Infra) NameBogus(now clock.Mono, cut, name dnsname.Name, cause *ede.Error) (began bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	c := i.cut(cut)
	i.revive(c)
	c.bogusBy = cause
	if len(c.bogus) < namesToFail && !slices.Contains(c.bogus, name) {
		c.bogus = append(c.bogus, clone(name))
	}
	if len(c.bogus) < namesToFail {
		return false
	}
	if !c.unsound {
		c.until = now // they answer: what it failed for before is over
	}
	began = c.fail(now, cause, Blame{})
	c.unsound = true
	return began
}

// CutSound notes that an answer of a cut's servers was validated, as secure or as
// insecure: no bogus answer is held against the cut any more. It tells whether the
// cut was failing for them.
func (i *Infra) CutSound(_ clock.Mono, cut dnsname.Name) (recovered bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	c, ok := i.cuts.peek(cut)
	if !ok {
		return false
	}
	return c.sound()
}

func (c *cutState) sound() (recovered bool) {
	if recovered = c.unsound; recovered {
		c.recover()
	}
	c.bogus, c.bogusBy = nil, nil
	return recovered
}

// SoundBelow forgets what is held against the cuts at and below a zone for bogus
// answers, which nobody judges any more, and gives the latest cause that is known:
// of the zone itself before those below, nil for none.
func (i *Infra) SoundBelow(_ clock.Mono, zone dnsname.Name) (cause *ede.Error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	own := false
	i.cuts.each(func(cut dnsname.Name, c *cutState) bool { // the one that was used last before others
		if !cut.Under(zone) {
			return true
		}
		if why := c.bogusBy; why != nil && !own && (cause == nil || cut == zone) {
			cause, own = why, cut == zone
		}
		c.sound()
		return true
	})
	return cause
}
