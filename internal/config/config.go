// Package config reads lastgood's configuration file.
//
// One table of [Option]s names every key with its type, default, bounds and
// help. The parser, the example file and the JSON schema all come from it; there
// is no second list of keys. [Parse] reports every mistake of a file at once,
// each with its line and a remedy.
//
// The package knows nothing of what the values do: packages below app own
// plain options of their own, which app fills from a [Config]. It opens no
// file but the one that [Load] is given and never asks the network.
package config

import (
	"net/netip"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
)

// Config is a whole configuration. Every field has exactly one row in the
// option table, which says what it means, its bounds and its default.
type Config struct {
	Listen    []Endpoint
	Clients   Clients
	Control   Control
	Server    Server
	Log       Log
	Cache     Cache
	Stale     Stale
	Recursion Recursion
	Limits    Limits
	RootZone  RootZone
	DNSSEC    DNSSEC
	Forward   []Forward
	Stub      []Stub

	LocalZones []LocalZone
	LocalData  []rrset.Set // one record each
}

// Clients says who may ask.
type Clients struct {
	Allow []netip.Prefix
}

// Control is where the API, the metrics and the dashboard are served.
type Control struct {
	Listen    ControlAddr
	TokenFile string // "" without a token
}

// Server is what the server tells of itself.
type Server struct {
	Version          string // "" refuses version.bind
	ID               string // "" refuses id.server and sends no NSID
	Cookies          bool
	CookieSecretFile string // "" for a secret made at start
}

// Log says what is logged and how.
type Log struct {
	Level  string // debug, info, warn, error
	Format string // text, json
}

// Cache bounds the cache and what it holds.
type Cache struct {
	Size             Size
	MinTTL           time.Duration
	MaxTTL           time.Duration
	MinNegativeTTL   time.Duration
	MaxNegativeTTL   time.Duration
	Snapshot         string // auto, off, or a file's path
	SnapshotInterval time.Duration
}

// Stale is the policy of RFC 8767.
type Stale struct {
	Enabled bool
	StalePolicy
	NeverFor        []dnsname.Name
	NeverForClients []netip.Prefix
	ErrorText       bool
	Zones           []StaleZone
}

// StalePolicy is what may differ from zone to zone.
type StalePolicy struct {
	ClientTimeout    Timeout
	MaxStale         time.Duration
	MaxStaleNegative time.Duration
	AnswerTTL        time.Duration
	FailureRecheck   time.Duration
	PositiveOnly     bool
	OnRefused        string // stale, refuse
	OnBogus          string // until-signature-expiry, max-stale, never
}

// StaleZone is the policy below one zone. What the file leaves out is as in
// the general policy.
type StaleZone struct {
	Zone dnsname.Name
	StalePolicy
}

// Recursion says how questions are resolved.
type Recursion struct {
	QNAMEMinimisation string // relaxed, strict, off
	RootHints         string // a file; "" for the built-in hints
	Prefetch          bool
	MinimalResponses  bool
	CaseRandomisation bool
	IPv4              bool
	IPv6              bool
	SpecialNames      bool
	DoNotQuery        []netip.Prefix
	PrivateAddresses  []netip.Prefix
	PrivateDomains    []dnsname.Name
}

// Limits are the work budgets, and the bounds of queues and connections.
type Limits struct {
	UpstreamQueries    int // per client question
	NSLookups          int // at once per delegation
	NSLookupsTotal     int // in all per delegation
	Referrals          int
	CNAMEHops          int
	Depth              int
	RecordsPerSection  int
	ReplyBytes         Size // per client question
	ResolutionDeadline time.Duration

	Flights              int
	ClientsWaiting       int
	OutstandingPerClient int
	OutstandingPerZone   int

	TCPConnections          int
	TCPConnectionsPerClient int
	TCPIdleTimeout          time.Duration
	TCPPipeline             int
	UDPSize                 Size

	FailureMin time.Duration
	FailureMax time.Duration
}

// RootZone says where the root comes from.
type RootZone struct {
	Mode    string // hints, local
	Sources []RootSource
}

// DNSSEC configures validation.
type DNSSEC struct {
	Validation           bool
	AggressiveNSEC       bool
	TrustAnchors         []string // DS or DNSKEY records in presentation form, or files
	TrustAnchorUpdates   string   // auto, all, off
	KeyTagSignal         bool
	Sentinel             bool
	ErrorReporting       bool
	SHA1                 bool
	Insecure             []dnsname.Name
	NegativeTrustAnchors []NegativeTrustAnchor
	ValidationTime       time.Time // zero: the real time
}

// NegativeTrustAnchor is a zone that is not validated for a while (RFC 7646).
type NegativeTrustAnchor struct {
	Zone   dnsname.Name
	Until  time.Time
	Reason string
}

// Forward sends the questions below Zone to resolvers (RD=1).
type Forward struct {
	Zone     dnsname.Name
	To       []Endpoint
	TLSCA    string // a PEM file; "" for the system's roots
	Fallback bool
	Cache    bool
}

// Stub asks Servers as the authorities of Zone.
type Stub struct {
	Zone     dnsname.Name
	Servers  []Endpoint
	Fallback bool
	Cache    bool
}

// LocalZone says what becomes of the names below Zone that the local data does
// not answer for.
type LocalZone struct {
	Zone dnsname.Name
	Type string // transparent, type-transparent, static, refuse, nxdomain, redirect
}

// Default returns the configuration that an empty file gives. The caller owns
// it.
func Default() *Config {
	c := new(Config)
	fillDefaults(c)
	return c
}
