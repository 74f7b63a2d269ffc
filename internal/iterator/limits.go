package iterator

import "time"

// Limits bound the work of one resolution. Zero values mean the defaults in
// parentheses. What a limit cuts off is told by an event.BudgetHit or, for
// records, in event.Exchanged.Scrubbed.
type Limits struct {
	Records      int           // records read of a section of a reply (2,000)
	Sets         int           // RRsets kept of a section (200)
	Signatures   int           // RRSIGs kept with a set (8)
	CNAMEHops    int           // alias hops followed inside one reply (11)
	NameServers  int           // NS names of a referral that are used (20)
	Addresses    int           // addresses of one name server that are used (8)
	NSLookups    int           // look-ups of name servers' addresses at once (5)
	LookupsTotal int           // the same in all for one delegation (20)
	Depth        int           // how deep name servers' addresses may need others' (8)
	Referrals    int           // referrals followed in one resolution (30)
	PerZone      int           // resolutions at one zone's servers at once (1,000)
	PrimeWait    time.Duration // for another resolution's priming (2 s)
}

// withDefaults fills in the zero values.
func (l Limits) withDefaults() Limits {
	for _, f := range []struct {
		value *int
		dflt  int
	}{
		{&l.Records, 2000}, {&l.Sets, 200}, {&l.Signatures, 8}, {&l.CNAMEHops, 11}, {&l.NameServers, 20},
		{&l.Addresses, 8}, {&l.NSLookups, 5}, {&l.LookupsTotal, 20}, {&l.Depth, 8}, {&l.Referrals, 30},
		{&l.PerZone, 1000},
	} {
		if *f.value <= 0 {
			*f.value = f.dflt
		}
	}
	if l.PrimeWait <= 0 {
		l.PrimeWait = 2 * time.Second
	}
	return l
}
