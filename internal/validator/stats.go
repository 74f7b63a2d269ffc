package validator

import (
	"sync/atomic"

	"lastgood/internal/rrset"
)

// Stats counts what became of entries since the start, once for each time that one
// was judged, links of chains of trust among them.
type Stats struct {
	Secure, Insecure     uint64
	Bogus, Indeterminate uint64
	Spent                uint64 // of those, for want of budget
	KeySets              int    // zones whose keys are kept, read
}

type counts struct {
	secure, insecure, bogus, indeterminate, spent atomic.Uint64
}

// Stats gives the counts.
func (v *Validator) Stats() Stats {
	v.keys.mu.Lock()
	sets := len(v.keys.sets)
	v.keys.mu.Unlock()
	c := v.stats
	return Stats{
		Secure: c.secure.Load(), Insecure: c.insecure.Load(), Bogus: c.bogus.Load(), Indeterminate: c.indeterminate.Load(),
		Spent: c.spent.Load(), KeySets: sets,
	}
}

func (c *counts) judged(s rrset.Security) {
	if s == rrset.Secure {
		c.secure.Add(1)
	} else {
		c.insecure.Add(1)
	}
}

func (c *counts) failed(v *Verdict) {
	if v.Bogus {
		c.bogus.Add(1)
	} else {
		c.indeterminate.Add(1)
	}
	if v.Spent {
		c.spent.Add(1)
	}
}
