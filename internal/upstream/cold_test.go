//go:build !race

package upstream

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"testing"

	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/infra"
	"lastgood/internal/iterator"
	"lastgood/internal/wire"
)

// mirror is a Network of one server, which has one address for every name. It
// allocates nothing.
type mirror struct {
	Network
	reply [512]byte
	n     int
}

func (m *mirror) dialDatagrams(clock.Mono, netip.AddrPort) (datagrams, error) { return m, nil }
func (m *mirror) keep(datagrams) bool                                         { return true }
func (m *mirror) shed() bool                                                  { return false }
func (m *mirror) keeps() int                                                  { return 0 }
func (m *mirror) close()                                                      {}
func (m *mirror) Close() error                                                { return nil }

func (m *mirror) Write(b []byte) (int, error) {
	v, err := wire.Read(b)
	if err != nil {
		return 0, err
	}
	q, _ := v.Question()
	var out wire.Builder
	out.Reset(m.reply[:0], 512, wire.Header{ID: binary.BigEndian.Uint16(b), Response: true, AA: true})
	out.Question(dnsname.Alias(q.Name), q.Type, q.Class)
	out.Record(wire.AnswerSection, dnsname.Alias(q.Name), q.Type, q.Class, 300, rdata)
	out.OPT(wire.EDNS{UDPSize: 1232}, 0)
	m.n = len(out.Bytes())
	return len(b), nil
}

func (m *mirror) ReadUntil(context.Context, clock.Mono) ([]byte, error) {
	if m.n == 0 {
		return nil, os.ErrDeadlineExceeded
	}
	msg := append(make([]byte, 0, m.n), m.reply[:m.n]...)
	m.n = 0
	return msg, nil
}

// cold makes the path of a cold question from the iterator down, and names to
// resolve.
func cold(t testing.TB, n int) (resolve func(), done func()) {
	c, in := clock.New(), infra.New(infra.Options{Rand: rand.New(rand.NewPCG(1, 2)), IPv4: true})
	u := New(Options{Network: new(mirror), Clock: c, Infra: in, CaseRandomisation: true, Cookies: true})
	it := iterator.New(iterator.Options{
		Cache: cache.New(cache.Options{Size: 64 << 20}), Infra: in, Exchanger: u, Clock: c,
		Events: func(event.Event) {},
		Zones:  []iterator.Zone{{Name: "\x04test\x00", Servers: []iterator.Target{{Addr: serverAddr}}}},
	})
	names := make([]dnsname.Name, n)
	for i := range names {
		names[i] = dnsname.MustParse("n" + strconv.Itoa(i) + ".test.")
	}
	next := 0
	return func() {
		r := iterator.Request{Name: names[next%n], Type: wire.TypeA, Budget: iterator.NewBudget(50, 1<<20)}
		next++
		if res := it.Resolve(t.Context(), r); res.Failure != nil || len(res.Entries) != 1 {
			t.Fatalf("%+v", res)
		}
	}, u.Close
}

// maxColdAllocs is what a cold question may allocate from the iterator down, in
// pieces of memory: the reply, its record, an entry, an event, and the test's budget.
const maxColdAllocs = 5

func TestColdAllocations(t *testing.T) {
	resolve, done := cold(t, 3000)
	defer done()
	if got := testing.AllocsPerRun(2000, resolve); got > maxColdAllocs {
		t.Errorf("%v allocations a cold question, want at most %d", got, maxColdAllocs)
	}
}

func BenchmarkCold(b *testing.B) {
	resolve, done := cold(b, 1000)
	defer done()
	b.ReportAllocs()
	for b.Loop() {
		resolve()
	}
}
