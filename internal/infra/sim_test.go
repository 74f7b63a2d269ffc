package infra

import (
	"cmp"
	"container/heap"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/event"
)

// world is a zone's servers and the clients that ask it, in virtual time, with
// a retry loop as the iterator has it: after Timeout another try is begun, and
// the earlier ones stay open.
type world struct {
	t       *testing.T
	i       *Infra
	rand    *rand.Rand
	now     clock.Mono
	todo    queue
	seq     int
	servers []*server
	cands   []Candidate
	tries   []try
	clients []client
}

type server struct {
	rtt   time.Duration
	loss  float64                   // of an exchange
	drops func(question int) bool   // questions never answered
	dead  func(now clock.Mono) bool // answers nothing
}

type try struct {
	at     clock.Mono
	server int
	why    event.Reason
	first  bool
}

type client struct {
	at       clock.Mono
	took     time.Duration
	timeouts []int // servers that cost it one
	failed   bool
}

const zone dnsname.Name = "\x07example\x00"

func addr(n int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(n + 1)}), 53)
}

func newWorld(t *testing.T, seed uint64, servers ...*server) *world {
	w := &world{t: t, now: 1, servers: servers, rand: rand.New(rand.NewPCG(seed, 1))}
	w.i = New(Options{Rand: rand.New(rand.NewPCG(seed, 2))})
	for n := range servers {
		w.cands = append(w.cands, Candidate{Addr: addr(n)})
	}
	return w
}

// at lets something happen later.
func (w *world) at(t clock.Mono, do func()) {
	w.seq++
	heap.Push(&w.todo, happening{t, w.seq, do})
}

// run lets clients ask at a rate per second until a time.
func (w *world) run(until time.Duration, rate float64) {
	end := clock.Mono(until)
	gap := func() clock.Mono { return 1 + clock.Mono(w.rand.ExpFloat64()/rate*1e9) }
	arrival := w.now + gap()
	for {
		if len(w.todo) > 0 && w.todo[0].at <= min(arrival, end) {
			h := heap.Pop(&w.todo).(happening)
			w.now = h.at
			h.do()
			continue
		}
		if arrival > end {
			break
		}
		w.now = arrival
		w.ask()
		arrival += gap()
	}
	w.now = end
}

// ask is one client's question.
func (w *world) ask() {
	id := len(w.clients)
	w.clients = append(w.clients, client{at: w.now, took: -1})
	w.next(id, nil)
}

func (w *world) next(id int, tried []Tries) {
	c := &w.clients[id]
	ch, ok := w.i.Choose(w.now, zone, w.cands, tried)
	if !ok {
		c.failed, c.took = true, w.now.Sub(c.at)
		return
	}
	n := slices.IndexFunc(w.cands, func(x Candidate) bool { return x.Addr == ch.Addr })
	w.tries = append(w.tries, try{w.now, n, ch.Why, len(tried) == 0})
	tried = append(slices.Clone(tried), Tries{Addr: ch.Addr, N: 1})
	sent, s := w.now, w.servers[n]
	w.i.Sent(w.now, ch.Addr)
	if (s.dead == nil || !s.dead(w.now)) && w.rand.Float64() >= s.loss && (s.drops == nil || !s.drops(id)) {
		jitter := 1 + 0.1*w.rand.Float64()
		w.at(w.now.Add(time.Duration(float64(s.rtt)*jitter)), func() {
			w.i.Answered(w.now, ch.Addr, w.now.Sub(sent))
			w.i.Useful(w.now, zone, ch.Addr)
			if c := &w.clients[id]; c.took < 0 {
				c.took = w.now.Sub(c.at)
			}
		})
	}
	w.at(w.now.Add(ch.Timeout), func() {
		if c := &w.clients[id]; c.took < 0 {
			c.timeouts = append(c.timeouts, n)
			w.i.TimedOut(w.now, ch.Addr)
			w.next(id, tried)
		}
	})
}

// share is how many of the first tries since a time went to a server.
func (w *world) share(server int, since time.Duration) float64 {
	hits, all := 0, 0
	for _, t := range w.tries {
		if t.first && t.at > clock.Mono(since) {
			all++
			if t.server == server {
				hits++
			}
		}
	}
	return float64(hits) / float64(max(all, 1))
}

// percentile is of the time clients waited who asked in a span.
func (w *world) percentile(p float64, from, to time.Duration) time.Duration {
	var took []time.Duration
	for _, c := range w.clients {
		if c.at > clock.Mono(from) && c.at <= clock.Mono(to) && c.took >= 0 {
			took = append(took, c.took)
		}
	}
	if len(took) == 0 {
		w.t.Fatal("no client asked")
	}
	slices.Sort(took)
	return took[min(int(p*float64(len(took))), len(took)-1)]
}

type happening struct {
	at  clock.Mono
	seq int
	do  func()
}

type queue []happening

func (q queue) Len() int      { return len(q) }
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(happening)) }
func (q queue) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(q[i].at, q[j].at), cmp.Compare(q[i].seq, q[j].seq)) < 0
}

func (q *queue) Pop() any {
	h := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return h
}

// seeds runs a property for several seeds and rates of questions per second.
func seeds(t *testing.T, property func(t *testing.T, seed uint64, rate float64)) {
	for rate, n := range map[float64]uint64{2: 5, 20: 3, 100: 1} {
		for seed := range n {
			t.Run(fmt.Sprintf("rate=%v/seed=%d", rate, seed), func(t *testing.T) { property(t, seed, rate) })
		}
	}
}

const ms = time.Millisecond

func always(clock.Mono) bool { return true }

// four is the world of the release's figures.
func four() []*server {
	return []*server{{rtt: 10 * ms}, {rtt: 50 * ms}, {rtt: 200 * ms}, {rtt: 10 * ms, dead: always}}
}
