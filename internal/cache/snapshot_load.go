package cache

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/stale"
)

// ReadSnapshot stores what a snapshot holds, but for what is gone by now or
// changed by configuration, and what the cache has something newer in place
// of. wall is the time of day at now. How long things are stale is for the
// present rules to say; lifetimes are what they were, or less.
//
// The snapshot is read twice: nothing of one that is not whole is used. Lookups
// go on meanwhile, and find what is stored already. What Bury removes while the
// snapshot is read stays removed; Sweep and the Flush methods wait for the end.
//
// If the time of day is before that of saving, nobody can tell how much time
// went by. Then nothing is fresh, and what is left of the time to be served
// stale is what was left at saving.
func (c *Cache) ReadSnapshot(r io.ReadSeeker, now clock.Mono, wall time.Time, h SnapshotHeader) (LoadReport, error) {
	c.store.sweepMu.Lock() // no tombstone shall retire while something older comes in
	defer c.store.sweepMu.Unlock()
	gen := c.tombs.gen.Load()
	check := &loader{c: c, zones: h.Zones, dry: true, rests: rests{rest: h.Rest}}
	if err := check.read(r); err != nil {
		return LoadReport{}, err
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return LoadReport{}, fmt.Errorf("read the snapshot again: %w", err)
	}
	l := &loader{c: c, zones: h.Zones, restore: h.Restore, gen: gen, now: now, wall: wall.UnixNano(), rests: check.rests}
	err := l.read(r)
	return l.report, err
}

// loader reads one snapshot.
type loader struct {
	c       *Cache
	zones   map[dnsname.Name][8]byte
	restore func([]byte, *LoadReport)
	dry     bool       // only look whether all is well
	gen     uint32     // of the tombstones when reading began
	now     clock.Mono // of reading
	wall    int64      // Unix nanoseconds at now

	saved     int64
	memory    []byte
	memoryLen int  // of all of it
	handed    bool // the memory was
	counts    [2]uint64
	hit       Hit
	rec       []byte
	report    LoadReport
	rests
}

// read goes through a snapshot from its beginning.
func (l *loader) read(r io.Reader) error {
	s := &snapshotReader{r: r}
	if err := s.preamble(); err != nil {
		return err
	}
	for {
		kind, content, err := s.next()
		if err != nil {
			return err
		}
		if !l.block(kind, &cursor{b: content}) {
			return fmt.Errorf("%w: block %d", errMalformed, s.number-1)
		}
		if kind == blockEnd {
			return s.atEnd()
		}
	}
}

// block reads a block's content.
func (l *loader) block(kind byte, c *cursor) bool {
	if kind > blockMemory {
		l.handMemory()
	}
	switch kind {
	case blockHeader:
		return l.header(c)
	case blockMemory:
		if l.memoryLen += len(c.b); !l.dry {
			l.memory = append(l.memory, c.b...)
		}
		return l.memoryLen <= maxMemory
	case blockEnd:
		return c.number(8) == l.counts[0] && c.number(8) == l.counts[1] && len(c.b) == 0
	}
	item := l.delegation
	if kind == blockEntries {
		item = l.entry
	}
	for len(c.b) > 0 {
		l.counts[kind-blockDelegations]++
		if !item(c) {
			return false
		}
		l.dealt(1)
	}
	return true
}

func (l *loader) header(c *cursor) bool {
	l.saved = int64(c.number(8))
	n := c.uvarint()
	l.report.changed = map[dnsname.Name]bool{}
	then := map[dnsname.Name][8]byte{}
	for range min(n, uint64(len(c.b))) {
		zone := dnsname.Name(c.take(uint64(c.byte())))
		var sum [8]byte
		copy(sum[:], c.take(8))
		then[zone] = sum
		if now, ok := l.zones[zone]; !ok || now != sum {
			l.report.changed[zone] = true
		}
	}
	for zone := range l.zones {
		if _, ok := then[zone]; !ok {
			l.report.changed[zone] = true
		}
	}
	l.report.Saved = time.Unix(0, l.saved)
	if l.report.Backwards = l.wall < l.saved; !l.report.Backwards {
		l.report.Elapsed = time.Duration(l.wall - l.saved)
	}
	return !c.bad && len(c.b) == 0 && l.saved >= 0
}

// handMemory gives the memory to whoever wants it, once.
func (l *loader) handMemory() {
	if l.handed || l.dry {
		return
	}
	l.handed = true
	if l.restore != nil && len(l.memory) > 0 {
		l.restore(l.memory, &l.report)
	}
	l.memory = nil
}

// moment is when something that lives so long was stored, on the present
// scale. Where the clock was set back it is moved so far that the life is over,
// now at the latest, and what is left beyond it is what was left at saving.
func (l *loader) moment(stored int64, life time.Duration) clock.Mono {
	if !l.report.Backwards {
		return l.now - clock.Mono(l.wall-stored)
	}
	left := time.Duration(stored-l.saved) + life
	return l.now.Add(min(left, 0) - life)
}

// inTime tells whether something can have been stored at a moment.
func (l *loader) inTime(stored int64) bool { return stored >= 0 && stored <= l.saved }

// entry reads an entry; false: there is none.
func (l *loader) entry(c *cursor) bool {
	ttl, stored, meta := uint32(c.number(4)), int64(c.number(8)), c.number(8)
	payload := c.take(c.uvarint())
	if c.bad {
		return false
	}
	if l.dry {
		return true
	}
	l.rec = append(l.rec[:0], make([]byte, headLen)...)
	binary.LittleEndian.PutUint64(l.rec[24:], meta&(1<<metaLists-1))
	l.rec = append(l.rec, payload...)
	if h := &l.hit; !decode(h, l.rec) || !sound(h) || !l.inTime(stored) {
		l.report.Refused++
		return true
	}
	l.store(ttl, stored, uint8(min(meta>>metaLists, 2*markFreq+1)))
	return true
}

// store puts the entry at hand into the cache if it is to be there.
func (l *loader) store(ttl uint32, stored int64, hits uint8) {
	h, o := &l.hit, &l.c.opt
	name, negative := h.Name(), h.Kind() != Data
	longest := o.MaxTTL
	if negative {
		longest = o.MaxNegativeTTL
	}
	st := stamp{gen: l.gen, ttl: min(ttl, uint32(min(longest/time.Second, 1<<32-1)))}
	st.stored = l.moment(stored, seconds(st.ttl))
	st.zero = h.meta>>metaZero&1 == 1
	st.until = l.c.staleUntil(name, st, negative && !proves(h.Kind(), h.Type(), h.Security()))
	state := stale.StateOf(l.now, st.expiry(), st.until)
	switch {
	case !l.report.Applies(name):
		l.report.Changed++
		return
	case state == stale.Gone:
		l.report.Gone++
		return
	}
	hash := l.c.hash.name(name)
	st.tag = uint32(hash)
	st.putHead(l.rec)
	e := Entry{Kind: h.Kind(), Name: name, Type: h.Type(), Rank: h.Rank(), Security: h.Security(), Stored: st.stored}
	switch became := l.c.store.shard(hash).restore(l.now, &e, l.rec, hits); {
	case became != restored:
		l.refused(became)
	case state == stale.Fresh:
		l.ranges(&st)
		l.report.Fresh++
	default:
		l.report.Stale++
	}
}

// ranges builds the index anew from what the entry at hand was proven by.
func (l *loader) ranges(st *stamp) {
	h := &l.hit
	if !l.c.ranges.on || h.Security() != rrset.Secure || h.ProofLen() == 0 {
		return
	}
	e := Entry{Name: h.Name(), Security: rrset.Secure, TTL: st.ttl, Valid: h.Valid(), Stored: st.stored, Expiry: st.expiry()}
	for i := range h.ProofLen() {
		e.Proof = append(e.Proof, h.ProofAt(i))
	}
	l.c.PutRanges(l.now, l.gen, &e)
}

func (l *loader) refused(why outcome) {
	if why == restoreNewer {
		l.report.Newer++
	} else {
		l.report.Refused++
	}
}

// serversMost is how many name servers of a delegation are read, and addresses of
// each: more than anybody stores, and so that a file cannot ask for much memory.
const serversMost = 1024

// nameServer reads one of a delegation's.
func (c *cursor) nameServer() NameServer {
	ns := NameServer{Name: c.fullName()}
	for range min(c.uvarint(), uint64(len(c.b))) {
		b := c.take(uint64(c.byte()))
		if c.bad {
			break
		}
		if addr, ok := netip.AddrFromSlice(b); ok && len(ns.Addrs) < serversMost {
			ns.Addrs = append(ns.Addrs, addr)
		}
	}
	return ns
}

// delegation reads a delegation; false: there is none.
func (l *loader) delegation(c *cursor) bool {
	d := &Delegation{Cut: c.fullName(), Parent: c.fullName(), TTL: uint32(c.number(4))}
	learned, life := int64(c.number(8)), int64(c.number(8))
	for range min(c.uvarint(), uint64(len(c.b))) {
		ns := c.nameServer()
		if c.bad {
			return false
		}
		if len(d.Servers) < serversMost {
			d.Servers = append(d.Servers, ns)
		}
	}
	if c.bad {
		return false
	}
	if l.dry {
		return true
	}
	sound := !slices.ContainsFunc(d.Servers, func(ns NameServer) bool { return !nameFits(ns.Name) })
	if !sound || !nameFits(d.Cut) || d.Parent != "" && !nameFits(d.Parent) || !l.inTime(learned) || life <= 0 {
		l.report.Refused++
		return true
	}
	lived := min(time.Duration(life), l.c.opt.MaxTTL)
	d.Learned = l.moment(learned, lived)
	d.Expiry = d.Learned.Add(lived)
	l.storeDelegation(d)
	return true
}

// storeDelegation puts a delegation into the cache if it is to be there.
func (l *loader) storeDelegation(d *Delegation) {
	e := &cut{
		d: d, until: l.c.opt.Stale.For(d.Cut).Until(d.Learned, d.Expiry, false),
		labels: d.Cut.Labels(), gen: l.gen, cost: delegationCost(d),
	}
	switch {
	case !l.report.Applies(d.Cut):
		l.report.Changed++
		return
	case e.state(l.now) == stale.Gone:
		l.report.Gone++
		return
	}
	if became := l.c.delegations.restore(l.now, e); became != restored {
		l.refused(became)
		return
	}
	l.report.Delegations++
}
