package cache

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/stale"
	"lastgood/internal/wire"
)

// model is the cache as one would write it without a thought of speed: a list
// of everything that stands at each name, and no bound of memory.
type model struct {
	o     Options
	names map[dnsname.Name][]Entry
}

// modelRules differ from zone to zone; see model.limit for what they come to.
var modelRules = stale.NewRules(onPolicy, map[dnsname.Name]stale.Policy{
	name("example."):    {Enabled: true, Max: 10 * time.Minute, Negative: time.Hour, PositiveOnly: true},
	name("n3.example."): {Enabled: true, Max: 2 * time.Hour, Negative: 2 * time.Minute},
	name("n4.example."): {Max: time.Hour},
}, []dnsname.Name{name("n1.test.")})

// limit is how long an entry may be served after its expiry.
func (m *model) limit(e *Entry) time.Duration {
	under := func(zone string) bool { return m.o.Stale == modelRules && e.Name.Under(name(zone)) }
	positive, negative := 24*time.Hour, time.Hour
	switch {
	case m.o.Stale == nil, e.TTL == 0, under("n1.test."), under("n4.example."):
		return 0
	case under("n3.example."):
		positive, negative = 2*time.Hour, 2*time.Minute
	case under("example."):
		positive, negative = 10*time.Minute, 0
	}
	if e.Kind != Data && !(e.Kind == NoData && e.Type == wire.TypeDS && e.Security != rrset.Unchecked) {
		return negative
	}
	return positive
}

func (m *model) put(now clock.Mono, e Entry) bool {
	low, high := m.o.MinTTL, m.o.MaxTTL
	if e.Kind != Data {
		low, high = m.o.MinNegativeTTL, m.o.MaxNegativeTTL
	}
	life := max(time.Duration(e.TTL)*time.Second, low)
	life = min(life, high)
	e.Stored, e.Expiry = now, now.Add(life)
	e.StaleUntil = e.Expiry.Add(m.limit(&e))
	e.TTL = uint32(life / time.Second)
	var keep []Entry
	for _, old := range m.names[e.Name] {
		if !m.clash(&e, &old) {
			keep = append(keep, old)
		} else if m.better(now, &old, &e) {
			return false
		}
	}
	if life < time.Second { // not to be kept, but newer than what was
		m.names[e.Name] = keep
		return false
	}
	m.names[e.Name] = append(keep, e)
	return true
}

// better tells whether what is there stays.
func (m *model) better(now clock.Mono, old, e *Entry) bool {
	if (old.Security == rrset.Unchecked) == (e.Security == rrset.Unchecked) {
		return old.Rank > e.Rank && now < old.Expiry
	}
	return e.Security == rrset.Unchecked && now < old.StaleUntil
}

func (m *model) clash(a, b *Entry) bool {
	alias := func(e *Entry) bool { return e.Kind == Data && e.Type == wire.TypeCNAME }
	exempt := map[wire.Type]bool{wire.TypeNSEC: true, wire.TypeRRSIG: true, wire.TypeDS: true}
	if a.Kind == NXDomain || b.Kind == NXDomain || a.Type == b.Type {
		return true
	}
	return (alias(a) || alias(b)) && !exempt[a.Type] && !exempt[b.Type]
}

func (m *model) lookup(now clock.Mono, n dnsname.Name, t wire.Type) (Entry, bool) {
	var instead *Entry
	for i := range m.names[n] {
		e := &m.names[n][i]
		switch {
		case now >= e.StaleUntil:
		case e.Kind != NXDomain && e.Type == t:
			return *e, true
		case e.Kind == NXDomain || e.Kind == Data && e.Type == wire.TypeCNAME:
			instead = e
		}
	}
	if instead != nil {
		return *instead, true
	}
	return Entry{}, false
}

// holds tells whether e stands at its name and may be served.
func (m *model) holds(now clock.Mono, e Entry) bool {
	for _, have := range m.names[e.Name] {
		if same(have, e) && now < have.StaleUntil {
			return true
		}
	}
	return false
}

// drop forgets what matches, and tells how many of it could have been served
// and how many there were in all.
func (m *model) drop(now clock.Mono, match func(*Entry) bool) (servable, all int) {
	for n, list := range m.names {
		m.names[n] = slices.DeleteFunc(list, func(e Entry) bool {
			if !match(&e) {
				return false
			}
			all++
			if now < e.StaleUntil {
				servable++
			}
			return true
		})
	}
	return servable, all
}

// servable counts what may be served, and how much of it is stale.
func (m *model) servable(now clock.Mono) (all, old int) {
	for _, list := range m.names {
		for i := range list {
			if now < list[i].StaleUntil {
				all++
				if now >= list[i].Expiry {
					old++
				}
			}
		}
	}
	return all, old
}

var modelTypes = []wire.Type{wire.TypeA, wire.TypeAAAA, wire.TypeCNAME, wire.TypeNSEC, wire.TypeDS, wire.TypeMX, wire.Type(1 + 253)}

var modelTTLs = []uint32{0, 1, 2, 30, 300, 3600, 1 << 31, 1<<32 - 1}

// randomEntry is an entry of any kind and shape.
func randomEntry(r *rand.Rand, names []dnsname.Name) Entry {
	pick := func() dnsname.Name { return names[r.IntN(len(names))] }
	set := func(n dnsname.Name, t wire.Type, limit int) rrset.Set {
		s := rrset.Set{Name: n, Type: t, TTL: r.Uint32() >> r.IntN(32)}
		for range 1 + r.IntN(4) {
			s.Data = s.Data.Append(randomBytes(r, limit))
		}
		for range r.IntN(3) {
			s.Sigs = s.Sigs.Append(randomBytes(r, limit))
		}
		return s
	}
	e := Entry{
		Kind: Kind(r.IntN(3)), Name: pick(), Type: modelTypes[r.IntN(len(modelTypes))],
		Rank: RankAuthority + Rank(r.IntN(3)), Security: rrset.Security(r.IntN(4)),
		TTL: modelTTLs[r.IntN(len(modelTTLs))],
	}
	if e.Security == rrset.Insecure && r.IntN(2) == 0 {
		e.Why = reasons[r.IntN(len(reasons))]
	}
	if e.Security == rrset.Secure && r.IntN(4) > 0 {
		e.Valid = time.Unix(1+r.Int64N(1<<32-1), 0).UTC()
	}
	if e.Type == 254 {
		e.Type = wire.Type(65000)
	}
	switch r.IntN(3) {
	case 0:
		e.Cut = e.Name.Parent()
	case 1:
		e.Cut = pick()
	}
	limit := 1 << r.IntN(11)
	if e.Kind == NXDomain {
		e.Type = wire.TypeNone
	}
	if e.Kind == Data {
		e.Set = set(e.Name, e.Type, limit)
	}
	for range r.IntN(4) {
		e.Proof = append(e.Proof, set(pick(), wire.TypeNSEC3, limit))
	}
	return e
}

func randomBytes(r *rand.Rand, limit int) []byte {
	b := make([]byte, r.IntN(limit+1))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// same compares an entry with the model's, empty lists being equal to none.
func same(a, b Entry) bool {
	norm := func(e *Entry) {
		sets := []*rrset.Set{&e.Set}
		if len(e.Proof) == 0 {
			e.Proof = nil
		}
		for i := range e.Proof {
			sets = append(sets, &e.Proof[i])
		}
		for _, s := range sets {
			if len(s.Data) == 0 {
				s.Data = nil
			}
			if len(s.Sigs) == 0 {
				s.Sigs = nil
			}
		}
	}
	norm(&a)
	norm(&b)
	return reflect.DeepEqual(a, b)
}

// TestAgainstModel lets cache and model do the same random things under
// virtual time and compares what they answer.
func TestAgainstModel(t *testing.T) {
	tree := []dnsname.Name{dnsname.Root}
	for _, tld := range []string{"test.", "example."} {
		tree = append(tree, name(tld))
		for i := range 6 {
			tree = append(tree, name(fmt.Sprintf("n%d.%s", i, tld)), name(fmt.Sprintf("deep.er.n%d.%s", i, tld)))
		}
	}
	for seed := range uint64(8) {
		o := Options{Size: 16 << 20, Seed: seed, MaxTTL: time.Hour, MaxNegativeTTL: 10 * time.Minute}
		if seed%2 == 1 {
			o.Stale, o.MinTTL = modelRules, 2*time.Second
		}
		runModel(t, seed, o, tree)
	}
}

func runModel(t *testing.T, seed uint64, o Options, names []dnsname.Name) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	c, m := New(o), &model{o: o, names: map[dnsname.Name][]Entry{}}
	var reader Reader
	now := at(0)
	for step := range 4000 {
		switch r.IntN(20) {
		case 0:
			now = now.Add(time.Duration(r.IntN(1<<r.IntN(13))) * time.Second)
		case 1:
			c.Sweep(now)
		case 2:
			if r.IntN(4) == 0 {
				removeSome(t, r, c, m, now, names[r.IntN(len(names))])
			}
		case 9:
			if r.IntN(8) == 0 {
				compareAll(t, c, m, now)
			}
		case 3, 4, 5, 6, 7, 8:
			e := randomEntry(r, names)
			if got, want := c.Put(now, &e), m.put(now, e); got != want {
				t.Fatalf("seed %d step %d: stored %v, want %v: %+v", seed, step, got, want, e)
			}
		default:
			n, typ := names[r.IntN(len(names))], modelTypes[r.IntN(len(modelTypes))]
			h, ok := c.Lookup(&reader, now, n, typ)
			want, wantOK := m.lookup(now, n, typ)
			if ok != wantOK || ok && !same(h.Entry(), want) {
				t.Fatalf("seed %d step %d at %v: %v %v: found %v %+v\nwant %v %+v", seed, step, now, n, typ, ok, h, wantOK, want)
			}
		}
	}
	checkAll(t, c)
	if st := c.Stats(); st.EvictRecency+st.EvictUnasked+st.EvictTypes != 0 || st.Hits == 0 {
		t.Errorf("seed %d: something was evicted for room, the comparison is void: %+v", seed, st)
	}
}

// removeSome removes something from cache and model, which must agree on how
// much. Who is not told the time may count what is gone and not yet swept.
func removeSome(t *testing.T, r *rand.Rand, c *Cache, m *model, now clock.Mono, zone dnsname.Name) {
	t.Helper()
	type result struct{ n, least, most int }
	var got result
	what := [...]string{"Bury", "FlushBelow", "Flush", "FlushStale", "FlushNegative"}[r.IntN(5)]
	switch what {
	case "Bury":
		c.Bury(now, zone)
		m.drop(now, func(e *Entry) bool { return e.Name.Under(zone) })
	case "FlushBelow":
		got.n = c.FlushBelow(zone)
		got.least, got.most = m.drop(now, func(e *Entry) bool { return e.Name.Under(zone) })
	case "Flush":
		typ := modelTypes[r.IntN(len(modelTypes))]
		if r.IntN(2) == 0 {
			typ = wire.TypeNone
		}
		got.n = c.Flush(zone, typ)
		got.least, got.most = m.drop(now, func(e *Entry) bool {
			return e.Name == zone && (typ == wire.TypeNone || e.Type == typ || e.Kind == NXDomain)
		})
	case "FlushStale":
		got.n = c.FlushStale(now)
		got.least, _ = m.drop(now, func(e *Entry) bool { return now >= e.Expiry && now < e.StaleUntil })
		got.most = got.least
	case "FlushNegative":
		got.n = c.FlushNegative(now)
		got.least, _ = m.drop(now, func(e *Entry) bool { return e.Kind != Data && now < e.StaleUntil })
		got.most = got.least
	}
	if got.n < got.least || got.n > got.most {
		t.Fatalf("%s of %v: %d entries, want %d to %d", what, zone, got.n, got.least, got.most)
	}
}

// compareAll compares all that may be served, name by name and in a walk.
func compareAll(t *testing.T, c *Cache, m *model, now clock.Mono) {
	t.Helper()
	for n := range m.names {
		for _, e := range c.Names(n) {
			if e.Name != n || e.State(now) != stale.Gone && !m.holds(now, e) {
				t.Fatalf("%v has %+v, want one of %+v", n, e, m.names[n])
			}
		}
	}
	seen, old := 0, 0
	c.Walk(func(h *Hit, _ uint8) bool {
		switch h.State(now) {
		case stale.Gone:
			return true
		case stale.Stale:
			old++
		}
		seen++
		if e := h.Entry(); !m.holds(now, e) {
			t.Fatalf("the walk came by %+v, want one of %+v", e, m.names[e.Name])
		}
		return true
	})
	if all, wantOld := m.servable(now); seen != all || old != wantOld {
		t.Fatalf("the walk came by %d entries, %d of them stale; want %d and %d", seen, old, all, wantOld)
	}
	for c.Sweep(now) {
	}
	if st := c.Stats(); st.Stale != int64(old) || st.Entries != int64(seen) {
		t.Fatalf("after a sweep %d entries are counted, %d of them stale; want %d and %d", st.Entries, st.Stale, seen, old)
	}
}

// TestSmallCacheKeepsItsShape does random things to caches that are always
// full: what is found is what was put last, and the structures hold.
func TestSmallCacheKeepsItsShape(t *testing.T) {
	var names []dnsname.Name
	for i := range 3000 {
		names = append(names, numbered("n", i))
	}
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 2))
		o := Options{Size: minSize, Seed: seed}
		if seed%2 == 1 {
			o.Stale = onRules
		}
		c := New(o)
		m := &model{o: c.opt, names: map[dnsname.Name][]Entry{}}
		now := at(0)
		for step := range 6000 {
			now = now.Add(time.Duration(r.IntN(3000)) * time.Millisecond)
			e := randomEntry(r, names)
			if r.IntN(3) == 0 {
				// What the cache has evicted stands in no entry's way.
				e.Rank, e.Security = RankAuthAnswer, max(e.Security, rrset.Insecure)
				if got, want := c.Put(now, &e), m.put(now, e); want && !got {
					t.Fatalf("seed %d step %d: not stored", seed, step)
				}
			}
			n := names[int(r.ExpFloat64()*300)%len(names)]
			// What answers best may have been evicted, but what is found must
			// be what was put last.
			if got, ok := look(c, now, n, e.Type); ok && !m.holds(now, got) {
				t.Fatalf("seed %d step %d: %+v, want one of %+v", seed, step, got, m.names[n])
			}
			if step%500 == 0 {
				checkAll(t, c)
			}
		}
		if st := c.Stats(); st.EvictRecency+st.EvictUnasked == 0 {
			t.Errorf("seed %d: nothing was evicted: %+v", seed, st)
		}
	}
}
