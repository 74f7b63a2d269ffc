package app

import (
	"net/netip"

	"lastgood/internal/config"
	"lastgood/internal/dnsname"
	"lastgood/internal/stale"
)

// staleRules are the policies of all names, by the configuration.
func staleRules(c *config.Config) *stale.Rules {
	if !c.Stale.Enabled && len(c.Stale.NeverFor) == 0 {
		return nil
	}
	if !c.Stale.Enabled { // what others serve stale is not for these zones either
		return stale.NewRules(stale.Policy{}, nil, c.Stale.NeverFor)
	}
	zones := make(map[dnsname.Name]stale.Policy, len(c.Stale.Zones))
	for _, z := range c.Stale.Zones {
		zones[z.Zone] = stalePolicy(&z.StalePolicy)
	}
	return stale.NewRules(stalePolicy(&c.Stale.StalePolicy), zones, c.Stale.NeverFor)
}

func stalePolicy(p *config.StalePolicy) stale.Policy {
	wait := p.ClientTimeout.Fixed
	if p.ClientTimeout.Auto {
		wait = stale.AutoTimeout
	}
	return stale.Policy{
		Enabled: true, ClientTimeout: wait, Max: p.MaxStale, Negative: p.MaxStaleNegative, AnswerTTL: p.AnswerTTL,
		Recheck: p.FailureRecheck, PositiveOnly: p.PositiveOnly, RefuseRefused: p.OnRefused == "refuse", OnBogus: onBogus[p.OnBogus],
	}
}

// onBogus are the values of on-bogus as the configuration calls them.
var onBogus = map[string]stale.OnBogus{ // constant in effect
	"until-signature-expiry": stale.BogusUntilExpiry, "max-stale": stale.BogusMaxStale, "never": stale.BogusNever,
}

// neverStale tells which clients get nothing stale, nil when all may.
func neverStale(c *config.Config) func(netip.Addr) bool {
	clients := c.Stale.NeverForClients
	if len(clients) == 0 {
		return nil
	}
	return func(addr netip.Addr) bool { return within(clients, addr) }
}
