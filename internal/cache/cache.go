package cache

import (
	"time"

	"lastgood/internal/stale"
)

// Defaults of Options, and bounds that are not for choice.
const (
	DefaultSize           = 256 << 20
	DefaultMaxTTL         = 7 * 24 * time.Hour // RFC 8767 §4
	DefaultMaxNegativeTTL = time.Hour          // within the 1 to 3 hours of RFC 2308 §5
	minSize               = 256 << 10
	// MaxTypes bounds the entries of one name.
	MaxTypes = 64
)

// Options say how much a cache holds and how long. Zero values mean defaults.
type Options struct {
	// Size bounds the memory in bytes of everything in the cache: 7/8 are for
	// entries with their index, 3/32 for delegations, 1/32 for failures. At
	// least 256 KiB. Bogus answers have up to 256 KiB beside it. Where ranges are
	// kept 1/16 are for them, and so much less for entries.
	Size int64
	// Memory gives what entries and their index lie in: that many octets, all zero,
	// at a multiple of 64, which nobody else has and which stay as they are until the
	// process ends; nil: there are no more. Where it is nil, or gives none, the Go heap
	// does. It is called as the cache fills, by several at once, and should not wait.
	Memory func(octets int) []byte
	// Ranges keeps what secure denials were proven by where other names can be
	// looked up (RFC 8198).
	Ranges bool
	// Bounds of an entry's lifetime; the maxima win. A minimum makes TTL 0
	// storable, which it otherwise is not.
	MinTTL, MaxTTL                 time.Duration
	MinNegativeTTL, MaxNegativeTTL time.Duration
	Stale                          *stale.Rules // nil: nothing is served stale
	// The first and longest time a failure is remembered, clamped to the
	// 1 s to 5 min of RFC 9520 §3.2.
	FailureMin, FailureMax time.Duration
	// Seed makes the places of names unpredictable for those who would have
	// them collide; a constant makes runs repeatable.
	Seed uint64
}

// Cache is one store of entries, delegations, failures, bogus answers and ranges.
// All methods are safe for concurrent use.
type Cache struct {
	opt         Options
	hash        hasher
	store       store
	tombs       tombs
	delegations delegations
	failures    failures
	bogus       bogusTable
	ranges      ranges
}

// New makes an empty cache. It allocates memory as it fills.
func New(o Options) *Cache {
	o = o.withDefaults()
	c := &Cache{opt: o}
	c.hash = newHasher(o.Seed)
	entries := o.Size * 7 / 8
	if c.ranges.init(&c.opt, c.hash, &c.tombs); o.Ranges {
		entries -= c.ranges.limit
	}
	c.store.init(entries, o.Memory, &c.tombs)
	c.delegations.init(o.Size*3/32, c.hash, &c.tombs)
	c.failures.init(&c.opt, c.hash, &c.tombs)
	c.bogus.init(&c.tombs)
	return c
}

func (o Options) withDefaults() Options {
	if o.Size <= 0 {
		o.Size = DefaultSize
	}
	o.Size = max(o.Size, minSize)
	if o.MaxTTL <= 0 {
		o.MaxTTL = DefaultMaxTTL
	}
	if o.MaxNegativeTTL <= 0 {
		o.MaxNegativeTTL = DefaultMaxNegativeTTL
	}
	o.FailureMin, o.FailureMax = failureBounds(o.FailureMin, o.FailureMax)
	return o
}

// lifetime applies the bounds to a TTL in seconds. A TTL with the high bit set
// is a large number, not zero (RFC 8767 §4).
func (o *Options) lifetime(ttl uint32, negative bool) uint32 {
	low, high := o.MinTTL, o.MaxTTL
	if negative {
		low, high = o.MinNegativeTTL, o.MaxNegativeTTL
	}
	d := min(max(time.Duration(ttl)*time.Second, low), high)
	return uint32(min(d/time.Second, 1<<32-1))
}

func seconds(n uint32) time.Duration { return time.Duration(n) * time.Second }
