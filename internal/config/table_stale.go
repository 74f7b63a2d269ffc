package config

import (
	"net/netip"
	"slices"

	"lastgood/internal/dnsname"
)

var tableStale = slices.Concat(
	[]Option{{
		Key: "stale.enabled", Default: `true`,
		RFC:   "RFC 8767",
		Help:  "Whether expired answers are served while their servers fail. The keys below are checked but have no effect while this is false.",
		field: in(func(c *Config) *bool { return &c.Stale.Enabled }),
	}},
	stalePolicyRows("stale.", func(s any) *StalePolicy { return &s.(*Config).Stale.StalePolicy }),
	[]Option{
		{
			Key: "stale.never-for", Default: `[]`,
			Help:     "Names at and below which nothing stale is served.",
			Examples: []string{`["bank.example."]`},
			field:    in(func(c *Config) *[]dnsname.Name { return &c.Stale.NeverFor }),
		},
		{
			Key: "stale.never-for-clients", Default: `[]`,
			RFC:      "RFC 8767 §10",
			Help:     "Clients that get nothing stale, but a failure: those who check names for certificates, say.",
			Examples: []string{`["192.0.2.0/24"]`},
			field:    in(func(c *Config) *[]netip.Prefix { return &c.Stale.NeverForClients }),
		},
		{
			Key: "stale.error-text", Default: `true`,
			RFC:      "RFC 8914 §2",
			Help:     "Whether stale answers say in words how old they are and what is wrong (EXTRA-TEXT); the codes are sent in any case.",
			Examples: []string{`false`},
			field:    in(func(c *Config) *bool { return &c.Stale.ErrorText }),
		},
		{
			Key: "stale.zones", Default: `[]`,
			Help:  "Zones with a policy of their own; what an item leaves out is as above.",
			field: in(func(c *Config) *[]StaleZone { return &c.Stale.Zones }),
		},
		{
			Key: "stale.zones[].zone", Required: true,
			Help:     "Names at and below it; the longest zone that matches wins.",
			Examples: []string{`"consul."`},
			field:    in(func(z *StaleZone) *dnsname.Name { return &z.Zone }),
		},
	},
	inheriting(stalePolicyRows("stale.zones[].", func(s any) *StalePolicy { return &s.(*StaleZone).StalePolicy })),
)

// inheriting takes the defaults away: the general policy holds instead.
func inheriting(rows []Option) []Option {
	for i := range rows {
		rows[i].Default = ""
	}
	return rows
}

// stalePolicyRows are the keys that the general policy and each zone's have.
func stalePolicyRows(prefix string, policy func(any) *StalePolicy) []Option {
	rows := []Option{
		{
			Key: "client-timeout", Default: `auto`, Min: "0s", Max: "10s",
			RFC:      "RFC 8767 §5",
			Help:     "How long a client waits before it gets a stale answer; auto measures how long answers take (100ms to 1.8s); 0s gives what is stale first and refreshes behind it.",
			Examples: []string{`500ms`, `1.8s`},
			field:    func(s any) any { return &policy(s).ClientTimeout },
		},
		{
			Key: "max-stale", Default: `1d`, Min: "1s", Max: "30d",
			RFC:      "RFC 8767 §5",
			Help:     "How long after its expiry an answer may be served.",
			Examples: []string{`3d`},
			field:    func(s any) any { return &policy(s).MaxStale },
		},
		{
			Key: "max-stale-negative", Default: `1h`, Min: "0s", Max: "30d",
			Help:     "The same for negative answers.",
			Examples: []string{`10m`},
			field:    func(s any) any { return &policy(s).MaxStaleNegative },
		},
		{
			Key: "answer-ttl", Default: `30s`, Min: "1s", Max: "1h",
			RFC:      "RFC 8767 §4",
			Help:     "The TTL of stale answers, never above the original one.",
			Examples: []string{`10s`},
			field:    func(s any) any { return &policy(s).AnswerTTL },
		},
		{
			Key: "failure-recheck", Default: `30s`, Min: "1s", Max: "1h",
			RFC:      "RFC 8767 §5",
			Help:     "How often at most a name is tried again whose own last attempt failed.",
			Examples: []string{`1m`},
			field:    func(s any) any { return &policy(s).FailureRecheck },
		},
		{
			Key: "positive-only", Default: `false`,
			Help:     "Whether negative answers are never served stale.",
			Examples: []string{`true`},
			field:    func(s any) any { return &policy(s).PositiveOnly },
		},
		{
			Key: "on-refused", Default: `stale`, Values: []string{"stale", "refuse"},
			Help:     "Whether REFUSED from all servers is a failure that stale answers cover, or is passed on: a domain that was taken down may look so.",
			Examples: []string{`refuse`},
			field:    func(s any) any { return &policy(s).OnRefused },
		},
		{
			Key: "on-bogus", Default: `until-signature-expiry`, Values: []string{"until-signature-expiry", "max-stale", "never"},
			Help:     "How long the last good answer is served when the fresh one is bogus: until the signatures of it and of its chain of trust expire (what was never signed until max-stale), until max-stale, or not at all. Without dnssec.validation it has no effect.",
			Examples: []string{`never`},
			field:    func(s any) any { return &policy(s).OnBogus },
		},
	}
	for i := range rows {
		rows[i].Key = prefix + rows[i].Key
	}
	return rows
}
