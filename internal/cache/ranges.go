package cache

import (
	"encoding/base32"
	"encoding/binary"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// Range is an NSEC or NSEC3 record that was found secure, and that there is nothing
// between its two names, or hashes, is true for every name there: also for those that
// nobody asked for yet (RFC 8198). An SOA record of such a zone is one without an
// extent. It is shared and never changed.
type Range struct {
	Set    rrset.Set // with its signatures
	Stored clock.Mono
	Expiry clock.Mono
	Valid  time.Time // until when the signatures are, see Entry.Valid

	key, end    string // of the order in its chain
	gen         uint32
	zone        *rangeZone
	left, right *Range
	priority    uint64
	at          int // in the ring
	cost        int64
	used        atomic.Bool
}

// ranges is the index of ranges by zone and by the order of the zone's chain. It has
// what denials in the cache were proven by, in the order in which other names can be
// looked up there. One lock: who has the answer in the cache never comes here.
//
// Bound: a share of Options.Size. Beyond it a hand goes round the ring of all ranges
// and removes the first that expired, or that answered nothing since it last came by:
// so the ranges of a zone that makes up new ones for each name push out each other.
type ranges struct {
	on     bool
	tombs  *tombs
	hash   hasher
	limit  int64
	count  atomic.Int64
	bytes  atomic.Int64
	evicts atomic.Uint64

	mu    sync.RWMutex
	zones map[dnsname.Name]*rangeZone
	ring  []*Range
	hand  int // of eviction
	broom int // of sweeping
}

// rangeZone is what is known of one zone. It is there as long as anything is.
type rangeZone struct {
	name   dnsname.Name
	soa    *Range
	plain  rangeTree // NSEC
	hashed rangeTree // NSEC3, all with the same parameters
	params string    // of those: iterations, length of salt, salt
	count  int
}

func (x *ranges) init(o *Options, h hasher, t *tombs) {
	x.on, x.tombs, x.hash, x.limit = o.Ranges, t, h, o.Size/rangesShare
	x.zones = map[dnsname.Name]*rangeZone{}
}

// rangesShare is the share of the memory that ranges have, where they are kept.
const rangesShare = 16

// rangeCost is what a range takes beside its octets.
const rangeCost = 384

// PutRanges takes in the NSEC, NSEC3 and SOA records that a secure entry is proven
// by, with the times that Put or Date gave the entry: none lives longer than the
// entry, nor than its own TTL. Nothing is taken from an earlier generation, nor
// records whose signatures name more than one zone.
func (c *Cache) PutRanges(now clock.Mono, gen uint32, e *Entry) {
	if c.ranges.on && e.Security == rrset.Secure {
		c.ranges.take(now, gen, e)
	}
}

func (x *ranges) take(now clock.Mono, gen uint32, e *Entry) {
	for i := range e.Proof {
		s := &e.Proof[i]
		expiry := min(e.Expiry, e.Stored.Add(seconds(min(s.TTL, e.TTL))))
		if expiry <= now {
			continue
		}
		if r, zone, ok := readRange(s); ok {
			r.Stored, r.Expiry, r.Valid, r.gen = e.Stored, expiry, e.Valid, gen
			x.put(r, zone)
		}
	}
}

// readRange makes a range of a record, which it copies.
func readRange(s *rrset.Set) (r *Range, zone dnsname.Name, ok bool) {
	zone, ok = signer(s)
	if !ok {
		return nil, "", false
	}
	r = &Range{}
	switch data := s.Data.First(); s.Type {
	case wire.TypeSOA:
		ok = s.Name == zone
	case wire.TypeNSEC:
		n := dnsname.WireLen(data)
		next, err := dnsname.FromWire(data[:n])
		if ok = n > 0 && err == nil && next.Under(zone) && worthwhile(s.Name, next); ok {
			r.key, r.end = string(orderKey(nil, s.Name)), string(orderKey(nil, next))
		}
	case wire.TypeNSEC3:
		ok = s.Name.Below(zone) && s.Name.Parent() == zone && r.hashes(s.Name.FirstLabel(), data)
	default:
		ok = false
	}
	r.Set = cloneSet(*s)
	r.cost = int64(rangeCost + len(s.Name) + len(s.Data) + len(s.Sigs) + len(r.key) + len(r.end))
	return r, zone, ok
}

// worthwhile tells whether anything is between two names. Who signs while it answers
// makes a record for each name asked, up to the next that there could be (RFC 4470):
// that says nothing of others.
func worthwhile(owner, next dnsname.Name) bool {
	return len(next) != len(owner)+2 || next[:2] != "\x01\x00" || next[2:] != owner
}

var base32Hex = base32.HexEncoding.WithPadding(base32.NoPadding)

// hashes reads the two hashes of an NSEC3 record. Where they are so close that a
// chain of four thousand million names would not have such neighbours, they were
// made for one name.
func (r *Range) hashes(label string, data []byte) bool {
	params := hashParams(data)
	if params == "" {
		return false
	}
	own, err := base32Hex.DecodeString(strings.ToUpper(label))
	next := data[2+len(params):]
	const size, near = 20, 8
	if err != nil || len(own) != size || len(next) <= size || next[0] != size {
		return false
	}
	r.key, r.end = string(own), string(next[1:1+size])
	return r.key[:near] != r.end[:near]
}

// hashParams are iterations, length of salt and salt of an NSEC3 record; "" where it
// is malformed.
func hashParams(data []byte) string {
	const fixed = 5
	if len(data) < fixed || len(data) < fixed+int(data[4])+1 {
		return ""
	}
	return string(data[2 : fixed+int(data[4])])
}

// signer is the zone that signed a set: all its signatures name it, and were made for
// the name itself, not for a wildcard.
func signer(s *rrset.Set) (zone dnsname.Name, ok bool) {
	const head = 18 // of an RRSIG record, before the signer (RFC 4034 §3.1)
	labels := s.Name.Labels()
	if s.Name.FirstLabel() == "*" {
		labels--
	}
	for sig := range s.Sigs.All() {
		if len(sig) <= head || wire.Type(binary.BigEndian.Uint16(sig)) != s.Type || int(sig[3]) != labels {
			return "", false
		}
		n := dnsname.WireLen(sig[head:])
		name, err := dnsname.FromWire(sig[head : head+n])
		if n == 0 || err != nil || zone != "" && name != zone {
			return "", false
		}
		zone = name
	}
	return zone, zone != "" && s.Name.Under(zone)
}

// put takes in a range, in place of all that it contradicts.
func (x *ranges) put(r *Range, zone dnsname.Name) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if r.cost > x.limit/2 || r.gen != x.tombs.gen.Load() {
		return
	}
	for x.bytes.Load()+r.cost > x.limit {
		x.evict(r.Stored)
	}
	z := x.zones[zone]
	if z == nil {
		z = &rangeZone{name: zone}
		x.zones[zone] = z
	}
	r.zone, r.priority = z, x.hash.name(dnsname.Name(r.key))
	z.count++ // so that it stays while others go
	switch r.Set.Type {
	case wire.TypeSOA:
		if z.soa != nil {
			x.remove(z.soa)
		}
		z.soa = r
	case wire.TypeNSEC:
		x.insert(&z.plain, r)
	default:
		if p := hashParams(r.Set.Data.First()); p != z.params {
			x.empty(&z.hashed)
			z.params = p
		}
		x.insert(&z.hashed, r)
	}
	r.at = len(x.ring)
	x.ring = append(x.ring, r)
	x.bytes.Add(r.cost)
	x.count.Add(1)
}

// insert puts a range into its chain. What lies within it, or reaches into it, is of
// another version of the zone, and older.
func (x *ranges) insert(t *rangeTree, r *Range) {
	if old := t.floor([]byte(r.key)); old != nil && (old.key == r.key || old.covers([]byte(r.key))) {
		x.remove(old)
	}
	if old := t.last(); old != nil && old.key > old.end && old.covers([]byte(r.key)) {
		x.remove(old)
	}
	for old := t.above(r.key); old != nil && r.covers([]byte(old.key)); old = t.above(r.key) {
		x.remove(old)
	}
	for old := t.above(""); r.key >= r.end && old != nil && old.key < r.end; old = t.above("") {
		x.remove(old)
	}
	t.add(r)
}

// covers tells whether a key lies between the range's two.
func (r *Range) covers(key []byte) bool {
	if r.key < r.end {
		return r.key < string(key) && string(key) < r.end
	}
	return r.key < string(key) || string(key) < r.end // the chain's last, which leads to its first
}
