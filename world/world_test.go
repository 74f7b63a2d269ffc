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
	countFlag  = flag.Int("world.n", 200, "play so many worlds")
	watchFlag  = flag.String("world.watch", "", "with -world.seed: show all messages about a name")
	replayFlag = flag.Int("world.replays", 20, "play so many worlds twice")
	sizeFlag   = flag.Int("world.questions", 300, "questions of a world")
)

// run plays a plan in a bubble of its own.
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

func TestWorlds(t *testing.T) {
	total := newCounts()
	first, n := uint64(1), uint64(*countFlag)
	if *seedFlag != 0 {
		first, n = *seedFlag, 1
	}
	began := time.Now()
	for seed := first; seed < first+n; seed++ {
		p := generate(seed, *sizeFlag)
		r := run(t, p)
		j := verdicts(r)
		j.counts.worlds, j.counts.queries = 1, len(r.queries)
		total.add(j.counts)
		for i, v := range j.found {
			if i < 3 {
				t.Errorf("world %d: %v %s: %s", seed, v.reply.came, v.reply.ask.String(), v.why)
			}
		}
		if len(j.found) > 0 && *seedFlag != 0 {
			t.Log(r.story(&j.found[0]))
		}
	}
	t.Logf("%s\n%v", total.String(), time.Since(began))
}
