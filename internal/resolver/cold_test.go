//go:build !race

package resolver

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/infra"
	"lastgood/internal/iterator"
	"lastgood/internal/stale"
	"lastgood/internal/wire"
)

// mirror is an Exchanger with one server, which has one address for every name. It
// allocates the reply's memory and nothing else.
type mirror struct{ clock *clock.Clock }

func (m mirror) Exchange(_ context.Context, q iterator.Query) (iterator.Reply, error) {
	var out wire.Builder
	out.Reset(make([]byte, 0, 128), 512, wire.Header{Response: true, AA: true})
	out.Question(q.Name, q.Type, wire.ClassIN)
	out.Record(wire.AnswerSection, q.Name, q.Type, wire.ClassIN, 300, mirrored[:])
	out.OPT(wire.EDNS{UDPSize: 1232}, 0)
	v, err := wire.Read(out.Bytes())
	return iterator.Reply{View: v, RTT: time.Millisecond, At: m.clock.Now()}, err
}

func (m mirror) ExchangeFor(ctx context.Context, q iterator.Query, _ time.Duration, _ iterator.Late) (iterator.Reply, bool, error) {
	r, err := m.Exchange(ctx, q)
	return r, false, err
}

// mirrored is the data of all A records.
var mirrored = [4]byte{192, 0, 2, 1}

// coldResolver resolves a question that it never had before with each call.
func coldResolver(t testing.TB) (resolve func()) {
	c := clock.New()
	in := infra.New(infra.Options{Rand: rand.New(rand.NewPCG(1, 2)), IPv4: true})
	store := cache.New(cache.Options{Size: 64 << 20, MaxTTL: time.Hour, MaxNegativeTTL: time.Hour, Stale: stale.NewRules(stale.Policy{}, nil, nil), Seed: 1})
	r := New(Options{
		Cache: store, Clock: c, Health: in, Events: func(event.Event) {},
		NewIterator: func(f iterator.Flights) Iterator {
			return iterator.New(iterator.Options{
				Cache: store, Infra: in, Exchanger: mirror{c}, Flights: f, Clock: c, Events: func(event.Event) {},
				Zones: []iterator.Zone{{Name: name("test."), Servers: []iterator.Target{{Addr: netip.MustParseAddrPort("192.0.2.53:53")}}}},
			})
		},
		Deadline: 10 * time.Second, UpstreamQueries: 50, ReplyBytes: 1 << 20, CNAMEHops: 11, Depth: 4, Flights: 1000,
		Minimal: true, SpecialNames: true, NotSpecial: []dnsname.Name{name("test.")},
	})
	t.Cleanup(r.Close)
	next := 0
	return func() {
		q := Query{Name: dnsname.MustParse("n" + strconv.Itoa(next) + ".test."), Type: wire.TypeA, RD: true, Stays: true, Arrival: c.Now()}
		next++
		a := r.Resolve(t.Context(), q)
		if len(a.Chain) != 1 {
			t.Fatalf("%+v", a)
		}
		a.Release()
	}
}

func BenchmarkCold(b *testing.B) {
	resolve := coldResolver(b)
	b.ReportAllocs()
	for b.Loop() {
		resolve()
	}
}

// maxColdAllocs is what a cold question may allocate, in pieces of memory: the reply, its
// record, an entry, an event, and the test's name.
const maxColdAllocs = 6

func TestColdAllocations(t *testing.T) {
	resolve := coldResolver(t)
	if got := testing.AllocsPerRun(2000, resolve); got > maxColdAllocs {
		t.Errorf("%v allocations a cold question, want at most %d", got, maxColdAllocs)
	}
}
