package config

import "time"

var tableLimits = []Option{
	{
		Key: "limits.upstream-queries", Default: `50`, Min: "1", Max: "1000", Unit: "queries",
		Help:     "Queries sent for one client question.",
		Examples: []string{`30`},
		field:    in(func(c *Config) *int { return &c.Limits.UpstreamQueries }),
	},
	{
		Key: "limits.ns-lookups", Default: `5`, Min: "1", Max: "50", Unit: "look-ups",
		Help:     "Look-ups of name servers' addresses for one delegation at once.",
		Examples: []string{`3`},
		field:    in(func(c *Config) *int { return &c.Limits.NSLookups }),
	},
	{
		Key: "limits.ns-lookups-total", Default: `20`, Min: "1", Max: "200", Unit: "look-ups",
		Help:     "Look-ups of name servers' addresses for one delegation in all; the other servers are not used.",
		Examples: []string{`10`},
		field:    in(func(c *Config) *int { return &c.Limits.NSLookupsTotal }),
	},
	{
		Key: "limits.referrals", Default: `30`, Min: "2", Max: "200", Unit: "referrals",
		Help:     "Referrals followed in one resolution.",
		Examples: []string{`20`},
		field:    in(func(c *Config) *int { return &c.Limits.Referrals }),
	},
	{
		Key: "limits.cname-hops", Default: `11`, Min: "1", Max: "64", Unit: "aliases",
		Help:     "Aliases followed for one client question.",
		Examples: []string{`16`},
		field:    in(func(c *Config) *int { return &c.Limits.CNAMEHops }),
	},
	{
		Key: "limits.depth", Default: `6`, Min: "1", Max: "16", Unit: "levels",
		Help:     "How deep lookups of name servers' addresses may need one another.",
		Examples: []string{`4`},
		field:    in(func(c *Config) *int { return &c.Limits.Depth }),
	},
	{
		Key: "limits.records-per-section", Default: `1000`, Min: "16", Max: "65535", Unit: "records",
		Help:     "Records accepted in one section of a reply.",
		Examples: []string{`4000`},
		field:    in(func(c *Config) *int { return &c.Limits.RecordsPerSection }),
	},
	{
		Key: "limits.reply-bytes", Default: `512KiB`, Min: "64KiB", Max: "64MiB",
		Help:     "Octets accepted in all replies to the queries of one client question together.",
		Examples: []string{`1MiB`},
		field:    in(func(c *Config) *Size { return &c.Limits.ReplyBytes }),
	},
	{
		Key: "limits.resolution-deadline", Default: `10s`, Min: "500ms", Max: "60s",
		Help:     "How long one resolution may take.",
		Examples: []string{`5s`},
		field:    in(func(c *Config) *time.Duration { return &c.Limits.ResolutionDeadline }),
	},
	{
		Key: "limits.flights", Default: `10000`, Min: "10", Max: "1000000", Unit: "resolutions",
		Help:     "Resolutions under way at once.",
		Examples: []string{`2000`},
		field:    in(func(c *Config) *int { return &c.Limits.Flights }),
	},
	{
		Key: "limits.clients-waiting", Default: `20000`, Min: "10", Max: "10000000", Unit: "questions",
		Help:     "Client questions that wait for a resolution at once.",
		Examples: []string{`50000`},
		field:    in(func(c *Config) *int { return &c.Limits.ClientsWaiting }),
	},
	{
		Key: "limits.outstanding-per-client", Default: `1000`, Min: "1", Max: "1000000", Unit: "questions",
		Help:     "Of those, questions from one client: an IPv4 address or an IPv6 /64.",
		Examples: []string{`100`},
		field:    in(func(c *Config) *int { return &c.Limits.OutstandingPerClient }),
	},
	{
		Key: "limits.outstanding-per-zone", Default: `1000`, Min: "1", Max: "1000000", Unit: "resolutions",
		Help:     "Resolutions at the servers of one zone at once; the next ones there fail at once. A top-level domain may have four times as many, zones beneath one another twice (below a name of two labels four times) together; the root is not bounded.",
		Examples: []string{`200`},
		field:    in(func(c *Config) *int { return &c.Limits.OutstandingPerZone }),
	},
	{
		Key: "limits.tcp-connections", Default: `1000`, Min: "1", Max: "1000000", Unit: "connections",
		RFC:      "RFC 7766 §6.2.2",
		Help:     "TCP connections from clients.",
		Examples: []string{`5000`},
		field:    in(func(c *Config) *int { return &c.Limits.TCPConnections }),
	},
	{
		Key: "limits.tcp-connections-per-client", Default: `50`, Min: "1", Max: "1000000", Unit: "connections",
		RFC:      "RFC 7766 §6.2.2",
		Help:     "Of those, connections from one client: an IPv4 address or an IPv6 /64.",
		Examples: []string{`10`},
		field:    in(func(c *Config) *int { return &c.Limits.TCPConnectionsPerClient }),
	},
	{
		Key: "limits.tcp-idle-timeout", Default: `10s`, Min: "100ms", Max: "1h",
		RFC:      "RFC 7766 §6.2.3, RFC 7828",
		Help:     "How long a client's connection may be idle.",
		Examples: []string{`30s`},
		field:    in(func(c *Config) *time.Duration { return &c.Limits.TCPIdleTimeout }),
	},
	{
		Key: "limits.tcp-pipeline", Default: `100`, Min: "1", Max: "65535", Unit: "questions",
		RFC:      "RFC 7766 §6.2.1.1",
		Help:     "Questions outstanding on one connection; no more are read until some are answered.",
		Examples: []string{`20`},
		field:    in(func(c *Config) *int { return &c.Limits.TCPPipeline }),
	},
	{
		Key: "limits.udp-size", Default: `1232B`, Min: "512B", Max: "4096B",
		RFC:      "RFC 6891 §6.2.5, RFC 9715",
		Help:     "The largest UDP message sent or asked for.",
		Examples: []string{`1400B`},
		field:    in(func(c *Config) *Size { return &c.Limits.UDPSize }),
	},
	{
		Key: "limits.failure-min", Default: `1s`, Min: "1s", Max: "5m",
		RFC:      "RFC 9520 §3.2",
		Help:     "How long a failure is remembered at first; each repetition doubles it.",
		Examples: []string{`5s`},
		field:    in(func(c *Config) *time.Duration { return &c.Limits.FailureMin }),
	},
	{
		Key: "limits.failure-max", Default: `5m`, Min: "1s", Max: "5m",
		RFC:      "RFC 9520 §3.2",
		Help:     "How long a failure is remembered at most.",
		Examples: []string{`1m`},
		field:    in(func(c *Config) *time.Duration { return &c.Limits.FailureMax }),
	},
}
