package world

import (
	"encoding/binary"
	"flag"
	"hash/fnv"
	"runtime"
	"runtime/debug"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"
)

var (
	seedFlag   = flag.Uint64("world.seed", 0, "play this world only")
	firstFlag  = flag.Uint64("world.first", 1, "the first world's seed")
	countFlag  = flag.Int("world.n", 0, "play so many worlds (200, fewer with the race detector)")
	watchFlag  = flag.String("world.watch", "", "with -world.seed: show all messages about a name")
	shrinkFlag = flag.Int("world.shrink", 200, "replays for making a failing world smaller")
	replayFlag = flag.Int("world.replays", 10, "play so many worlds twice")
	sizeFlag   = flag.Int("world.questions", 300, "questions of a world")
)

const (
	worlds     = 200
	progress   = 100 // worlds between two lines of a long run
	maxFailing = 5   // worlds; then it is enough
	heapRoom   = 64 << 20
)

// run plays a plan in a bubble of its own: on one processor and without the
// garbage collector, which both would change the order of what happens at one
// instant.
func run(t *testing.T, p *plan) (r *record) {
	t.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	runtime.GC()
	cryptotest.SetGlobalRandom(t, p.seed)
	synctest.Test(t, func(t *testing.T) {
		var err error
		if r, err = play(t, p); err != nil {
			t.Fatal(err)
		}
	})
	return r
}

// digest is of everything that went over the wire.
func (r *record) digest() uint64 {
	h := fnv.New64a()
	put := func(n uint64) {
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], n)
		h.Write(b[:])
	}
	for _, x := range r.replies {
		put(uint64(x.came))
		h.Write(x.msg)
	}
	for _, q := range r.queries {
		put(uint64(q.at))
		put(uint64(q.typ))
		h.Write([]byte(q.name))
		h.Write(q.to.AsSlice())
	}
	return h.Sum64()
}

// TestWorlds plays worlds and judges every reply.
func TestWorlds(t *testing.T) {
	total, failing := newCounts(), 0
	first, n := *firstFlag, uint64(*countFlag)
	switch {
	case *seedFlag != 0:
		first, n = *seedFlag, 1
	case n == 0:
		n = worlds / slower
	}
	began, heap := time.Now(), uint64(0)
	for seed := first; seed < first+n && failing < maxFailing; seed++ {
		r := run(t, generate(seed, *sizeFlag))
		j := verdicts(r)
		total.add(j.counts)
		if len(j.found) > 0 {
			if failing++; failing == 1 {
				t.Logf("%d questions until the first world failed", total.questions)
			}
			complain(t, r, &j.found[0])
		}
		if done := seed - first + 1; done%progress == 0 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			if heap == 0 {
				heap = m.HeapAlloc
			}
			t.Logf("%v: %d worlds, %d questions, %d MiB", time.Since(began).Round(time.Second), done, total.questions, m.HeapAlloc>>20)
			if m.HeapAlloc > 2*heap+heapRoom {
				t.Errorf("memory grew from %d to %d octets", heap, m.HeapAlloc)
			}
		}
	}
	t.Logf("worlds from %d: %s\n%v", first, total.String(), time.Since(began).Round(time.Second))
	if n >= worlds && failing < maxFailing {
		for _, missing := range total.varied() {
			t.Error(missing)
		}
	}
}

// complain makes a failing world small and tells its story.
func complain(t *testing.T, r *record, v *violation) {
	t.Errorf("world %d: %v %s: %s", r.p.seed, v.reply.came, v.reply.ask.String(), v.why)
	small, again, replays := shrink(t, r.p, *shrinkFlag, func(p *plan) (*record, *violation) {
		r := run(t, p)
		if j := verdicts(r); len(j.found) > 0 {
			return r, &j.found[0]
		}
		return r, nil
	})
	if small == nil {
		t.Logf("world %d does not fail twice alike; as it was:\n%s", r.p.seed, r.story(v))
		return
	}
	t.Logf("as small as %d replays could make it:\n%s", replays, small.story(again))
}
