package listener

import (
	"context"
	"encoding/hex"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/ede"
	"lastgood/internal/resolver"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// fake answers by the first label of the name: "hit…" and "big…" from the
// cache, everything else after waiting: "fail…" with SERVFAIL, "never…" when
// ctx ends, "slow…" when let, the rest at once.
type fake struct {
	let      chan struct{} // closed or fed to let "slow" names go on
	waiting  atomic.Int32  // "slow" and "never" names that wait
	resolved atomic.Int32

	mu   sync.Mutex
	last resolver.Query
}

func newFake() *fake { return &fake{let: make(chan struct{})} }

func (f *fake) Cached(_ *cache.Reader, q *resolver.Query, b *wire.Builder) (resolver.Outcome, bool) {
	label := string(q.Name[min(1, len(q.Name)-1):]) // with what follows
	switch {
	case strings.HasPrefix(label, "hit"):
		ok := b.Record(wire.AnswerSection, q.Name, wire.TypeA, wire.ClassIN, 300, fakeAddress[:])
		return resolver.Outcome{AD: q.AD, Truncated: !ok}, true
	case strings.HasPrefix(label, "big"):
		for range 20 {
			if !b.Record(wire.AnswerSection, q.Name, wire.TypeTXT, wire.ClassIN, 300, fakeText[:]) {
				return resolver.Outcome{Truncated: true}, true
			}
		}
		return resolver.Outcome{}, true
	}
	return resolver.Outcome{}, false
}

// fakeAddress is the data of the A record in answers, fakeText a long TXT.
var (
	fakeAddress = [4]byte{192, 0, 2, 1}
	fakeText    = [201]byte{200}
)

func (f *fake) Resolve(ctx context.Context, q resolver.Query) *resolver.Answer {
	f.resolved.Add(1)
	f.mu.Lock()
	f.last = q
	f.mu.Unlock()
	label := q.Name.FirstLabel()
	a := &resolver.Answer{At: q.Arrival}
	switch {
	case strings.HasPrefix(label, "fail"):
		a.Rcode = wire.RcodeServFail
		a.Errors = []*ede.Error{{Code: ede.NoReachableAuthority, ID: "TEST", Text: strings.TrimPrefix(label, "fail")}}
		return a
	case strings.HasPrefix(label, "never"), strings.HasPrefix(label, "slow"):
		f.waiting.Add(1)
		defer f.waiting.Add(-1)
		let := f.let
		if strings.HasPrefix(label, "never") {
			let = nil
		}
		select {
		case <-let:
		case <-ctx.Done():
			return nil
		}
	}
	set := rrset.Set{Name: q.Name, Type: wire.TypeA, TTL: 300}
	set.Add(300, fakeAddress[:])
	a.Chain = []resolver.Hop{{Entry: cache.Entry{Name: q.Name, Type: q.Type, Set: set, Expiry: q.Arrival.Add(300 * time.Second)}}}
	return a
}

func (f *fake) lastQuery() resolver.Query {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last
}

// testOptions serve 192.0.2.0/24, 2001:db8::/32 and loopback from f.
func testOptions(f Resolver) Options {
	return Options{
		Resolver: f, Clock: clock.New(),
		Allow: []netip.Prefix{
			netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"),
		},
		Version: "lastgood test", ID: "ns1.example", Cookies: true, CookieSecrets: [][16]byte{secret("e5e973e5a6b2a43f48e7dc849e37bfcf")},
	}
}

func secret(s string) (k [16]byte) {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	copy(k[:], b)
	return k
}

// query is a packed question, changed by the functions given.
func query(t testing.TB, name string, change ...func(*dns.Msg)) []byte {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(name, dns.TypeA)
	m.Id = 4711
	for _, c := range change {
		c(m)
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// unpack reads a reply with another library.
func unpack(t testing.TB, b []byte) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	if err := m.Unpack(b); err != nil {
		t.Fatalf("reply does not parse: %v\n%x", err, b)
	}
	return m
}

func edns(size uint16, options ...dns.EDNS0) func(*dns.Msg) {
	return func(m *dns.Msg) {
		m.SetEdns0(size, false)
		m.IsEdns0().Option = options
	}
}

func qtype(t uint16) func(*dns.Msg) { return func(m *dns.Msg) { m.Question[0].Qtype = t } }

func class(c uint16) func(*dns.Msg) { return func(m *dns.Msg) { m.Question[0].Qclass = c } }

// extended are the extended errors of a reply.
func extended(m *dns.Msg) (codes []uint16, texts []string) {
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if e, ok := o.(*dns.EDNS0_EDE); ok {
				codes, texts = append(codes, e.InfoCode), append(texts, e.ExtraText)
			}
		}
	}
	return codes, texts
}

// option is the first option of a type in a reply.
func option[T dns.EDNS0](m *dns.Msg) (found T, ok bool) {
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if found, ok = o.(T); ok {
				return found, true
			}
		}
	}
	return found, false
}
