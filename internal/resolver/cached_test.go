package resolver

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/iterator"
	"lastgood/internal/wire"
)

func nothing(context.Context, iterator.Request) iterator.Result { return iterator.Result{} }

// reply is a message begun as the listener does.
func begin(b *wire.Builder, buf []byte, q *Query, limit int) {
	b.Reset(buf[:0], limit, wire.Header{ID: 7, Response: true, RD: true, RA: true})
	b.Question(q.Name, q.Type, wire.ClassIN)
}

// The cache-hit path writes, octet for octet, what the slow path does.
func TestCachedWritesWhatResolveDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seed := uint64(time.Now().UnixNano())
		rnd := rand.New(rand.NewPCG(seed, 1))
		r, it := newTest(t, nil, nothing)
		for round := range 300 {
			owner, hops := fmt.Sprintf("n%d.example.", round), rnd.IntN(5)
			q := Query{Name: name(owner), Type: wire.TypeA, RD: true, DO: rnd.IntN(2) == 0}
			for range hops {
				next := fmt.Sprintf("hop%d.example.", rnd.IntN(1e6))
				e := alias(owner, uint32(1+rnd.IntN(300)), next)
				e.Set.Sigs = e.Set.Sigs.Append([]byte("not really a signature"))
				r.cache.Put(r.clock.Now(), &e)
				owner = next
			}
			last := address(owner, uint32(1+rnd.IntN(300)), byte(round))
			if rnd.IntN(3) == 0 {
				last = denial(cache.Kind(1+rnd.IntN(2)), owner, wire.TypeA, uint32(1+rnd.IntN(300)))
				if last.Kind == cache.NXDomain {
					last.Type = wire.TypeNone
				}
			}
			r.cache.Put(r.clock.Now(), &last)
			q.Arrival = r.clock.Now()
			limit := 40 + rnd.IntN(600)
			var fast, slow wire.Builder
			begin(&fast, nil, &q, limit)
			begin(&slow, nil, &q, limit)
			var rd cache.Reader
			a, ok := r.Cached(&rd, &q, &fast)
			b := r.Resolve(context.Background(), q).Write(&slow)
			if !ok || a != b || !bytes.Equal(fast.Bytes(), slow.Bytes()) {
				t.Fatalf("seed %d round %d: hit %v\nfast %+v %x\nslow %+v %x", seed, round, ok, a, fast.Bytes(), b, slow.Bytes())
			}
		}
		if it.asked.Load() != 0 {
			t.Errorf("%d flights: the slow path did not find what the fast one did", it.asked.Load())
		}
	})
}

func TestCachedLeavesNothingBehindOnAMiss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newTest(t, nil, nothing)
		e := alias("a.example.", 60, "b.example.")
		r.cache.Put(r.clock.Now(), &e)
		q := Query{Name: name("a.example."), Type: wire.TypeA, Arrival: r.clock.Now()}
		var b, untouched wire.Builder
		begin(&b, nil, &q, 512)
		begin(&untouched, nil, &q, 512)
		var rd cache.Reader
		if _, ok := r.Cached(&rd, &q, &b); ok {
			t.Fatal("answered half a chain")
		}
		if !bytes.Equal(b.Bytes(), untouched.Bytes()) {
			t.Errorf("left %x", b.Bytes())
		}
	})
}

// Whole RRsets only, and truncation is told.
func TestTruncationKeepsWholeSets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newTest(t, nil, nothing)
		first := alias("a.example.", 60, "b.example.")
		big := entry("b.example.", wire.TypeTXT, 60)
		for i := range 20 {
			big.Set.Add(60, append([]byte{100}, bytes.Repeat([]byte{byte('a' + i)}, 100)...))
		}
		r.cache.Put(r.clock.Now(), &first)
		r.cache.Put(r.clock.Now(), &big)
		q := Query{Name: name("a.example."), Type: wire.TypeTXT, Arrival: r.clock.Now()}
		var b wire.Builder
		begin(&b, nil, &q, 512)
		var rd cache.Reader
		o, ok := r.Cached(&rd, &q, &b)
		v, err := wire.Read(b.Bytes())
		if !ok || err != nil || !o.Truncated || v.Count(wire.AnswerSection) != 1 {
			t.Errorf("hit %v, %v, truncated %v, %d answers; want the alias alone", ok, err, o.Truncated, v.Count(wire.AnswerSection))
		}
	})
}

// hitBench gives what a benchmark or gate of the hit path needs.
func hitBench(tb testing.TB, hops int, change ...func(*Options)) (hit func()) {
	o := Options{
		Cache: cache.New(cache.Options{Size: 8 << 20, Seed: 1}), Clock: newClock(), Deadline: time.Second,
		NewIterator: func(iterator.Flights) Iterator { return &scripted{script: nothing} },
		CNAMEHops:   11, Minimal: true, Flights: 1,
	}
	for _, c := range change {
		c(&o)
	}
	r := New(o)
	tb.Cleanup(r.Close)
	owner := "www.example."
	for i := range hops {
		next := fmt.Sprintf("hop%d.example.", i)
		e := alias(owner, 300, next)
		r.cache.Put(r.clock.Now(), &e)
		owner = next
	}
	e := address(owner, 300, 1)
	r.cache.Put(r.clock.Now(), &e)
	wireName := []byte(name("www.example."))
	var rd cache.Reader
	var b wire.Builder
	buf := make([]byte, 0, 1232)
	return func() {
		q := Query{Name: dnsname.Alias(wireName), Type: wire.TypeA, RD: true, Arrival: r.clock.Now()}
		begin(&b, buf, &q, 1232)
		if _, ok := r.Cached(&rd, &q, &b); !ok {
			tb.Fatal("a miss")
		}
	}
}

func TestCachedHitDoesNotAllocate(t *testing.T) {
	for _, hops := range []int{0, 3} {
		if n := testing.AllocsPerRun(1000, hitBench(t, hops)); n != 0 {
			t.Errorf("a hit over %d aliases allocates %v times", hops, n)
		}
	}
}

func BenchmarkCachedHit(b *testing.B) {
	hit := hitBench(b, 0)
	b.ReportAllocs()
	for b.Loop() {
		hit()
	}
}

// Where local data and private addresses are configured that do not concern the
// question.
func BenchmarkCachedHitBesideLocalData(b *testing.B) {
	hit := hitBench(b, 0, withLocal, func(o *Options) {
		for _, p := range []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10"} {
			o.PrivateAddresses = append(o.PrivateAddresses, netip.MustParsePrefix(p))
		}
	})
	b.ReportAllocs()
	for b.Loop() {
		hit()
	}
}

func BenchmarkCachedHitChainOf3(b *testing.B) {
	hit := hitBench(b, 3)
	b.ReportAllocs()
	for b.Loop() {
		hit()
	}
}
