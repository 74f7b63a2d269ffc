package config

import (
	"net/netip"
	"slices"
	"time"

	"lastgood/internal/dnsname"
)

// table is every option, in the order of the example file. Where an option
// belongs to a list, its row follows that of the list.
var table = slices.Concat(
	tableServing,
	tableCache,
	tableStale,
	tableRecursion,
	tableLimits,
	tableRoot,
	tableDNSSEC,
	tableZones,
	tableLocal,
)

// tlsLater are the encrypted transports; of those, forward has tls.
var tlsLater = []string{"tls", "https", "quic"}

var tableServing = []Option{
	{
		Key: "listen", Default: `["dns://127.0.0.1:5300"]`,
		Values: []string{"dns", "xdp"}, Later: tlsLater,
		RFC:      "RFC 7766",
		Help:     "Where clients ask. dns:// is UDP and TCP; the port may be left out (53). Port 0 is any free port. xdp://INTERFACE takes the questions over UDP that reach the interface's own addresses past the kernel's network stack (Linux, AF_XDP; privileges and what to know: docs/operations.md), beside a dns:// of the same port for all that it leaves to the kernel.",
		Examples: []string{`["dns://192.0.2.1:53", "dns://[2001:db8::1]:53"]`, `["127.0.0.1"]`, `["xdp://eth0", "dns://0.0.0.0", "dns://[::]"]`},
		field:    in(func(c *Config) *[]Endpoint { return &c.Listen }),
	},
	{
		Key: "clients.allow", Default: `["127.0.0.0/8", "::1/128"]`,
		Help:     "Who may ask; all others are answered REFUSED.",
		Examples: []string{`["127.0.0.0/8", "::1", "192.0.2.0/24", "2001:db8::/32"]`, `[]`},
		field:    in(func(c *Config) *[]netip.Prefix { return &c.Clients.Allow }),
	},
	{
		Key: "control.listen", Default: `"127.0.0.1:8053"`,
		Help:     `Where health, metrics and the API (lastgood cache, lastgood zones) are served: an address and port, unix:/path, or "off". Anything but loopback and unix: needs control.token-file.`,
		Examples: []string{`"unix:/run/lastgood/control.sock"`, `"off"`, `"[::1]:8053"`},
		field:    in(func(c *Config) *ControlAddr { return &c.Control.Listen }),
	},
	{
		Key: "control.token-file", Default: `""`,
		Help:     "A file with the bearer token that requests to control.listen must carry; empty for no token.",
		Examples: []string{`"/etc/lastgood/token"`},
		field:    in(func(c *Config) *string { return &c.Control.TokenFile }),
	},
	{
		Key: "server.version", Default: `""`, check: chaosText,
		RFC:      "RFC 4892",
		Help:     "The answer to version.bind and version.server in class CH; empty to refuse.",
		Examples: []string{`"lastgood"`},
		field:    in(func(c *Config) *string { return &c.Server.Version }),
	},
	{
		Key: "server.id", Default: `""`, check: chaosText,
		RFC:      "RFC 4892, RFC 5001",
		Help:     "The answer to id.server and hostname.bind in class CH, and the NSID; empty for neither.",
		Examples: []string{`"resolver-1"`},
		field:    in(func(c *Config) *string { return &c.Server.ID }),
	},
	{
		Key: "server.cookies", Default: `true`,
		RFC:   "RFC 7873, RFC 9018",
		Help:  "Whether clients that send a DNS cookie get one back.",
		field: in(func(c *Config) *bool { return &c.Server.Cookies }),
	},
	{
		Key: "server.cookie-secret-file", Default: `""`,
		RFC:      "RFC 9018",
		Help:     "A file with the secrets behind the cookies, 32 hexadecimal digits a line (the first makes cookies, all are accepted), the same on all servers of one anycast address; empty for one made at start.",
		Examples: []string{`"/etc/lastgood/cookie-secret"`},
		field:    in(func(c *Config) *string { return &c.Server.CookieSecretFile }),
	},
	{
		Key: "log.level", Default: `info`, Values: []string{"debug", "info", "warn", "error"},
		Help:  "The least important messages that are still logged.",
		field: in(func(c *Config) *string { return &c.Log.Level }),
	},
	{
		Key: "log.format", Default: `text`, Values: []string{"text", "json"},
		Help:  "One line of key=value pairs or one JSON object for each message.",
		field: in(func(c *Config) *string { return &c.Log.Format }),
	},
}

var tableCache = []Option{
	{
		Key: "cache.size", Default: `256MiB`, Min: "1MiB", Max: "1TiB",
		Help:     "How much memory the cache may take.",
		Examples: []string{`1GiB`, `512MB`},
		field:    in(func(c *Config) *Size { return &c.Cache.Size }),
	},
	{
		Key: "cache.min-ttl", Default: `0s`, Min: "0s", Max: "7d",
		Help:     "Shorter TTLs are raised to this. Anything but 0s keeps data longer than its owner said.",
		Examples: []string{`5s`},
		field:    in(func(c *Config) *time.Duration { return &c.Cache.MinTTL }),
	},
	{
		Key: "cache.max-ttl", Default: `7d`, Min: "0s", Max: "365d",
		RFC:      "RFC 8767 §4",
		Help:     "Longer TTLs are cut to this.",
		Examples: []string{`1d`},
		field:    in(func(c *Config) *time.Duration { return &c.Cache.MaxTTL }),
	},
	{
		Key: "cache.min-negative-ttl", Default: `0s`, Min: "0s", Max: "7d",
		Help:     "Shorter lifetimes of negative answers are raised to this.",
		Examples: []string{`1s`},
		field:    in(func(c *Config) *time.Duration { return &c.Cache.MinNegativeTTL }),
	},
	{
		Key: "cache.max-negative-ttl", Default: `1h`, Min: "0s", Max: "7d",
		RFC:      "RFC 2308 §5",
		Help:     "Longer lifetimes of negative answers are cut to this.",
		Examples: []string{`5m`},
		field:    in(func(c *Config) *time.Duration { return &c.Cache.MaxNegativeTTL }),
	},
	{
		Key: "cache.snapshot", Default: `auto`, check: snapshotPath,
		Help:     "The file that keeps the cache over a restart. auto is one in the service's or user's state directory, with a name of its own for the addresses that listen tells; off keeps nothing.",
		Examples: []string{`"off"`, `/var/lib/lastgood/cache.snapshot`},
		field:    in(func(c *Config) *string { return &c.Cache.Snapshot }),
	},
	{
		Key: "cache.snapshot-interval", Default: `60s`, Min: "1s", Max: "1d",
		Help:     "How often the cache is saved; it is saved as well when the program ends.",
		Examples: []string{`5m`},
		field:    in(func(c *Config) *time.Duration { return &c.Cache.SnapshotInterval }),
	},
}

var tableRecursion = []Option{
	{
		Key: "recursion.qname-minimisation", Default: `relaxed`, Values: []string{"relaxed", "strict", "off"},
		RFC:   "RFC 9156",
		Help:  "Whether servers are asked for no more of a name than they need. relaxed asks for the whole name where servers cannot cope, strict never does.",
		field: in(func(c *Config) *string { return &c.Recursion.QNAMEMinimisation }),
	},
	{
		Key: "recursion.root-hints", Default: `""`,
		RFC:      "RFC 8109",
		Help:     "A file of root hints in zone file form; empty for the built-in ones.",
		Examples: []string{`"/etc/lastgood/named.root"`},
		field:    in(func(c *Config) *string { return &c.Recursion.RootHints }),
	},
	{
		Key: "recursion.prefetch", Default: `true`,
		Help:  "Whether names that are asked for more than once are refreshed in the last tenth of their TTL, behind the answer.",
		field: in(func(c *Config) *bool { return &c.Recursion.Prefetch }),
	},
	{
		Key: "recursion.minimal-responses", Default: `true`,
		Help:  "Whether replies leave out additional records, such as addresses of mail servers, that were not asked for.",
		field: in(func(c *Config) *bool { return &c.Recursion.MinimalResponses }),
	},
	{
		Key: "recursion.case-randomisation", Default: `true`,
		Help:  "Whether the case of the letters in upstream questions is random, which makes forged replies harder. Servers that do not keep the case are asked without.",
		field: in(func(c *Config) *bool { return &c.Recursion.CaseRandomisation }),
	},
	{
		Key: "recursion.ipv4", Default: `true`,
		Help:  "Whether servers are asked over IPv4.",
		field: in(func(c *Config) *bool { return &c.Recursion.IPv4 }),
	},
	{
		Key: "recursion.ipv6", Default: `true`,
		Help:  "Whether servers are asked over IPv6.",
		field: in(func(c *Config) *bool { return &c.Recursion.IPv6 }),
	},
	{
		Key: "recursion.special-names", Default: `true`,
		RFC:   "RFC 6761, RFC 6303, RFC 7686",
		Help:  "Whether localhost, invalid, test, onion, local, home.arpa and the reverse zones of private addresses are answered here.",
		field: in(func(c *Config) *bool { return &c.Recursion.SpecialNames }),
	},
	{
		Key:      "recursion.do-not-query",
		Default:  `["127.0.0.0/8", "0.0.0.0/8", "::/128", "::1/128", "169.254.0.0/16", "fe80::/10", "224.0.0.0/4", "240.0.0.0/4", "ff00::/8"]`,
		Help:     "Addresses that are never asked, whatever a delegation says. Addresses that forward and stub zones name are asked all the same.",
		Examples: []string{`[]`, `["127.0.0.0/8", "10.0.0.0/8"]`},
		field:    in(func(c *Config) *[]netip.Prefix { return &c.Recursion.DoNotQuery }),
	},
	{
		Key: "recursion.private-addresses", Default: `[]`,
		Help: "Addresses that public names must not lead to (DNS rebinding): A, AAAA, HTTPS and SVCB records with them are removed from answers, also where IPv6 addresses embed them (::ffff:0:0/96, 64:ff9b::/96).",
		Examples: []string{
			`["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "0.0.0.0/8", "fc00::/7", "fe80::/10", "::1/128", "::/128"]`,
		},
		field: in(func(c *Config) *[]netip.Prefix { return &c.Recursion.PrivateAddresses }),
	},
	{
		Key: "recursion.private-domains", Default: `[]`,
		Help:     "Names that may have private addresses, and all names below them; so may local data. Of an answer both the name asked for and the one that has the address must be such. Forward and stub zones are not by themselves.",
		Examples: []string{`["corp.example.", "consul."]`},
		field:    in(func(c *Config) *[]dnsname.Name { return &c.Recursion.PrivateDomains }),
	},
}

var tableRoot = []Option{
	{
		Key: "root-zone.mode", Default: `hints`, Values: []string{"hints", "local"},
		RFC:   "RFC 8806",
		Help:  "hints asks the root servers; local keeps a copy of the root zone, verified as a whole, and asks them only while there is none: questions about names that do not exist then never leave the machine.",
		field: in(func(c *Config) *string { return &c.RootZone.Mode }),
	},
	{
		Key: "root-zone.sources", Default: `[]`,
		RFC: "RFC 8806", Values: []string{"tcp", "tls"}, hosts: true,
		Help:     "Where the copy of the root zone comes from, in the order of preference: servers that give zone transfers, by address or name, https:// URLs and files. Empty: the root servers that are known to give them, or those of recursion.root-hints.",
		Examples: []string{`["b.root-servers.net.", "192.0.2.1", "tls://192.0.2.2#dns.example"]`, `["https://www.internic.net/domain/root.zone", "/var/lib/lastgood/root.zone"]`},
		field:    in(func(c *Config) *[]RootSource { return &c.RootZone.Sources }),
	},
}

var tableDNSSEC = []Option{
	{
		Key: "dnssec.validation", Default: `true`,
		RFC:   "RFC 4035",
		Help:  "Whether answers are validated. The keys below have no effect while this is false.",
		field: in(func(c *Config) *bool { return &c.DNSSEC.Validation }),
	},
	{
		Key: "dnssec.aggressive-nsec", Default: `true`,
		RFC:   "RFC 8198",
		Help:  "Whether validated proofs of what is not there answer for other names that they cover, and for those of wildcards in the cache, without asking. Without dnssec.validation it has no effect.",
		field: in(func(c *Config) *bool { return &c.DNSSEC.AggressiveNSEC }),
	},
	{
		Key: "dnssec.trust-anchors", Default: `[]`, check: trustAnchor,
		RFC:  "RFC 4035 §4.4",
		Help: "DS or DNSKEY records in presentation form, or files of them or in IANA's XML; empty for the built-in anchors of the root. What is written here counts as it is written, unless trust-anchor-updates is all.",
		Examples: []string{
			`[". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"]`,
			`["/etc/lastgood/root.key"]`,
		},
		field: in(func(c *Config) *[]string { return &c.DNSSEC.TrustAnchors }),
	},
	{
		Key: "dnssec.trust-anchor-updates", Default: `auto`, Values: []string{"auto", "all", "off"},
		RFC:   "RFC 5011",
		Help:  "Which trust anchors follow the key rollovers of their zones, with what they learn kept in the state directory: auto, the built-in ones; all, those of trust-anchors too; off, none.",
		field: in(func(c *Config) *string { return &c.DNSSEC.TrustAnchorUpdates }),
	},
	{
		Key: "dnssec.key-tag-signal", Default: `true`,
		RFC:   "RFC 8145 §5",
		Help:  "Whether a zone whose keys are followed is told, once for each look at them, which of them are trusted: by a question for _ta-4f66. or the like. It tells nothing of clients.",
		field: in(func(c *Config) *bool { return &c.DNSSEC.KeyTagSignal }),
	},
	{
		Key: "dnssec.sentinel", Default: `true`,
		RFC:   "RFC 8509",
		Help:  "Whether clients can find out which keys of the root are trusted here: by names that begin with root-key-sentinel-.",
		field: in(func(c *Config) *bool { return &c.DNSSEC.Sentinel }),
	},
	{
		Key: "dnssec.error-reporting", Default: `true`,
		RFC:   "RFC 9567",
		Help:  "Whether what does not validate is reported to whom the zone's servers name for that; at most once an hour each, and one a second to each of them.",
		field: in(func(c *Config) *bool { return &c.DNSSEC.ErrorReporting }),
	},
	{
		Key: "dnssec.sha1", Default: `true`,
		RFC:   "RFC 8624, RFC 9905",
		Help:  "Whether signatures and DS records with SHA-1 are validated (algorithms 5 and 7, digest 1). Zones that have no others are insecure without.",
		field: in(func(c *Config) *bool { return &c.DNSSEC.SHA1 }),
	},
	{
		Key: "dnssec.insecure", Default: `[]`,
		Help:     "Zones that are never validated: private ones. A broken public zone wants a negative trust anchor, which expires.",
		Examples: []string{`["corp.example."]`},
		field:    in(func(c *Config) *[]dnsname.Name { return &c.DNSSEC.Insecure }),
	},
	{
		Key: "dnssec.validation-time", Default: `""`,
		Help:     "Pins the validator's clock (RFC 3339), for diagnosis and tests; empty for the real time.",
		Examples: []string{`"2026-12-01T00:00:00Z"`},
		field:    in(func(c *Config) *time.Time { return &c.DNSSEC.ValidationTime }),
	},
	{
		Key: "dnssec.negative-trust-anchors", Default: `[]`,
		RFC:   "RFC 7646",
		Help:  "Broken zones that are not validated for a while.",
		field: in(func(c *Config) *[]NegativeTrustAnchor { return &c.DNSSEC.NegativeTrustAnchors }),
	},
	{
		Key: "dnssec.negative-trust-anchors[].zone", Required: true,
		Help:     "The zone.",
		Examples: []string{`"broken.example."`},
		field:    in(func(a *NegativeTrustAnchor) *dnsname.Name { return &a.Zone }),
	},
	{
		Key: "dnssec.negative-trust-anchors[].until", Required: true,
		Help:     "When it is validated again.",
		Examples: []string{`"2026-12-01T00:00:00Z"`},
		field:    in(func(a *NegativeTrustAnchor) *time.Time { return &a.Until }),
	},
	{
		Key: "dnssec.negative-trust-anchors[].reason", Default: `""`,
		Help:     "A note for people.",
		Examples: []string{`"keys lost"`},
		field:    in(func(a *NegativeTrustAnchor) *string { return &a.Reason }),
	},
}

var tableZones = []Option{
	{
		Key: "forward", Default: `[]`,
		Help:  `Zones whose questions go to other resolvers (RD=1). "." forwards everything.`,
		field: in(func(c *Config) *[]Forward { return &c.Forward }),
	},
	{
		Key: "forward[].zone", Required: true,
		Help:     "Names at and below it are forwarded; the longest zone that matches wins.",
		Examples: []string{`"consul."`},
		field:    in(func(z *Forward) *dnsname.Name { return &z.Zone }),
	},
	{
		Key: "forward[].to", Required: true,
		Values: []string{"dns", "tcp", "tls"}, Later: []string{"https", "quic"}, hosts: true,
		RFC:      "RFC 7858, RFC 8310",
		Help:     "The resolvers: an address, with a port where it is not 53, or a name. dns:// is UDP, and TCP where needed; tcp:// is TCP alone; tls:// is TLS (port 853) with a server whose certificate has the name behind #, and never anything else.",
		Examples: []string{`["tls://192.0.2.1#consul.example"]`, `["192.0.2.1:8600", "2001:db8::2", "ns1.example."]`, `["dns://[2001:db8::1]:5353", "tcp://192.0.2.2", "tls://[2001:db8::1]:8853#consul.example"]`},
		field:    in(func(z *Forward) *[]Endpoint { return &z.To }),
	},
	{
		Key: "forward[].tls-ca", Default: `""`,
		RFC:      "RFC 8310 §8.1",
		Help:     "A PEM file with the certificates that may sign those of the tls:// resolvers, in place of the system's. A snapshot's entries of the zone are dropped when its content changes.",
		Examples: []string{`"/etc/lastgood/consul-ca.pem"`},
		field:    in(func(z *Forward) *string { return &z.TLSCA }),
	},
	{
		Key: "forward[].fallback", Default: `false`,
		Help:     "Whether to resolve by iteration when they all fail.",
		Examples: []string{`true`},
		field:    in(func(z *Forward) *bool { return &z.Fallback }),
	},
	{
		Key: "forward[].cache", Default: `true`,
		Help:     "Whether answers are cached; false asks the resolvers each time. Failures are remembered all the same.",
		Examples: []string{`false`},
		field:    in(func(z *Forward) *bool { return &z.Cache }),
	},
	{
		Key: "stub", Default: `[]`,
		Help:  "Zones whose authoritative servers are named here (asked with RD=0), whatever the delegation says.",
		field: in(func(c *Config) *[]Stub { return &c.Stub }),
	},
	{
		Key: "stub[].zone", Required: true,
		Help:     "The zone.",
		Examples: []string{`"corp.example."`},
		field:    in(func(z *Stub) *dnsname.Name { return &z.Zone }),
	},
	{
		Key: "stub[].servers", Required: true,
		Values: []string{"dns", "tcp"}, Later: tlsLater, hosts: true,
		Help:     "Its servers: an address, with a port where it is not 53, or a name.",
		Examples: []string{`["192.0.2.53", "ns1.corp.example."]`},
		field:    in(func(z *Stub) *[]Endpoint { return &z.Servers }),
	},
	{
		Key: "stub[].fallback", Default: `false`,
		Help:     "Whether to follow the public delegation when they all fail.",
		Examples: []string{`true`},
		field:    in(func(z *Stub) *bool { return &z.Fallback }),
	},
	{
		Key: "stub[].cache", Default: `true`,
		Help:     "Whether answers are cached; false asks the servers each time. Failures and delegations are remembered all the same.",
		Examples: []string{`false`},
		field:    in(func(z *Stub) *bool { return &z.Cache }),
	},
}
