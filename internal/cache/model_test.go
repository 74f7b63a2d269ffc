package cache

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// model is the cache as one would write it without a thought of speed: a list
// of everything that stands at each name, and no bound of memory.
type model struct {
	o     Options
	names map[dnsname.Name][]Entry
}

func (m *model) put(now clock.Mono, e Entry) bool {
	low, high, more := m.o.MinTTL, m.o.MaxTTL, m.o.Stale.Max
	if e.Kind != Data {
		low, high, more = m.o.MinNegativeTTL, m.o.MaxNegativeTTL, m.o.Stale.Negative
	}
	life := max(time.Duration(e.TTL)*time.Second, low)
	if life = min(life, high); life < time.Second {
		return false
	}
	e.TTL = uint32(life / time.Second)
	e.Stored, e.Expiry = now, now.Add(life)
	if e.StaleUntil = e.Expiry; m.o.Stale.Enabled {
		e.StaleUntil = e.Expiry.Add(more)
	}
	var keep []Entry
	for _, old := range m.names[e.Name] {
		if !m.clash(&e, &old) {
			keep = append(keep, old)
		} else if old.Rank > e.Rank && now < old.Expiry {
			return false
		}
	}
	m.names[e.Name] = append(keep, e)
	return true
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

func (m *model) bury(zone dnsname.Name) {
	for n := range m.names {
		if n.Under(zone) {
			delete(m.names, n)
		}
	}
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
		Rank: RankAuthority + Rank(r.IntN(3)), Security: rrset.Security(r.IntN(5)),
		TTL: modelTTLs[r.IntN(len(modelTTLs))],
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
			o.Stale, o.MinTTL = onRules, 2*time.Second
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
			if r.IntN(8) == 0 {
				zone := names[r.IntN(len(names))]
				c.Bury(now, zone)
				m.bury(zone)
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
				e.Rank = RankAuthAnswer
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
