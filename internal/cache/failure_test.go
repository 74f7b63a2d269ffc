package cache

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/wire"
)

var question = Question{Name: name("www.example."), Type: wire.TypeA}

func TestFailureBacksOffAndIsForgotten(t *testing.T) {
	c := New(Options{Size: minSize})
	cause := &ede.Error{Code: ede.NoReachableAuthority, ID: "TEST"}
	now := at(0)
	for _, pause := range []time.Duration{1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300} {
		pause *= time.Second
		c.Fail(now, question, cause, true)
		c.Fail(now.Add(pause/2), question, cause, true) // within the pause: changes nothing
		f, ok := c.Failure(now.Add(pause-1), question)
		if !ok || f.Cause != cause || !f.Refused || f.Since != at(0) || f.Until != now.Add(pause) {
			t.Fatalf("pause %v: %+v %v", pause, f, ok)
		}
		now = now.Add(pause)
		if _, ok := c.Failure(now, question); ok {
			t.Fatalf("pause %v: remembered for longer", pause)
		}
	}
	now = now.Add(maxFailure)
	c.Fail(now, question, cause, false)
	if f, ok := c.Failure(now, question); !ok || f.Until != now.Add(minFailure) || f.Since != now {
		t.Errorf("after a quiet while: %+v %v", f, ok)
	}
	c.Recovered(question)
	if _, ok := c.Failure(now, question); ok || c.Stats().Failures != 0 {
		t.Error("remembered after it recovered")
	}
}

func TestFailureBoundsAreThoseOfTheRFC(t *testing.T) {
	for _, v := range []struct{ low, high, wantLow, wantHigh time.Duration }{
		{0, 0, time.Second, 5 * time.Minute},
		{time.Millisecond, time.Hour, time.Second, 5 * time.Minute},
		{10 * time.Second, time.Minute, 10 * time.Second, time.Minute},
		{time.Minute, 10 * time.Second, 10 * time.Second, 10 * time.Second},
	} {
		if low, high := failureBounds(v.low, v.high); low != v.wantLow || high != v.wantHigh {
			t.Errorf("%v to %v became %v to %v", v.low, v.high, low, high)
		}
	}
}

// Name, type and CD make the key, and a failure touches no data.
func TestFailureIsApart(t *testing.T) {
	c := New(Options{Size: minSize})
	c.Put(at(0), address(question.Name, 60))
	c.Fail(at(0), question, nil, false)
	for _, q := range []Question{
		{Name: question.Name, Type: wire.TypeAAAA},
		{Name: question.Name, Type: wire.TypeA, CD: true},
		{Name: name("example."), Type: wire.TypeA},
	} {
		if _, ok := c.Failure(at(0), q); ok {
			t.Errorf("%+v failed too", q)
		}
		c.Recovered(q)
	}
	if _, ok := c.Failure(at(0), question); !ok {
		t.Error("forgotten by another's recovery")
	}
	if _, ok := look(c, at(0), question.Name, wire.TypeA); !ok {
		t.Error("the failure took the data along")
	}
}

func TestFailuresAreBounded(t *testing.T) {
	c := New(Options{Size: minSize})
	for i := range 1000 {
		c.Fail(at(time.Duration(i)), Question{Name: numbered("n", i)}, nil, false)
	}
	st := c.Stats()
	if st.Failures > failureShards*int64(c.failures.limit) || st.EvictFailures != 1000-uint64(st.Failures) {
		t.Errorf("%+v", st)
	}
	if _, ok := c.Failure(at(1000), Question{Name: numbered("n", 999)}); !ok {
		t.Error("the newest was dropped")
	}
	c.Sweep(at(time.Hour))
	if st := c.Stats(); st.Failures != 0 {
		t.Errorf("%d left after an hour", st.Failures)
	}
}

// When it failed last is known for longer than nothing may be asked.
func TestLastFailure(t *testing.T) {
	c := New(Options{Size: minSize, FailureMax: 10 * time.Second})
	c.Fail(at(0), question, nil, true)
	c.Fail(at(time.Second/2), question, nil, true) // within the pause
	for _, v := range []struct {
		now         time.Duration
		counts, row bool
	}{
		{time.Second - 1, true, true},
		{time.Second, false, true},
		{30 * time.Second, false, true},
		{time.Second/2 + maxFailure - 1, false, true},
		{time.Second/2 + maxFailure, false, false},
	} {
		_, counts := c.Failure(at(v.now), question)
		f, row := c.LastFailure(at(v.now), question)
		if counts != v.counts || row != v.row || row && (f.Last != at(time.Second/2) || !f.Refused || f.Since != at(0)) {
			t.Errorf("%v: counts %v, known %v %+v", v.now, counts, row, f)
		}
		c.Sweep(at(v.now)) // which keeps it for as long
	}
	c.Fail(at(time.Hour), question, nil, false)
	c.Bury(at(time.Hour), name("example."))
	if _, ok := c.LastFailure(at(time.Hour), question); ok {
		t.Error("known although it is buried")
	}
	c.Fail(at(time.Hour), question, nil, false)
	c.Recovered(question)
	if _, ok := c.LastFailure(at(time.Hour), question); ok {
		t.Error("known although it recovered")
	}
}

// RecoverBelow against a plain search.
func TestRecoverBelow(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 13))
	labels := []string{"a", "b", "c", "xa"}
	pick := func() dnsname.Name {
		n := dnsname.Root
		for range r.IntN(7) {
			n, _ = n.Prepend(labels[r.IntN(len(labels))])
		}
		return n
	}
	c := New(Options{Size: 256 << 20})
	want := map[Question]bool{}
	recovered := 0
	for step := range 20_000 {
		switch q := (Question{Name: pick(), Type: modelTypes[r.IntN(3)], CD: r.IntN(2) == 0}); r.IntN(100) {
		case 0:
			n := 0
			for q2 := range want {
				if q2.Name.Under(q.Name) {
					n++
					delete(want, q2)
				}
			}
			before := c.Stats().Failures
			if c.RecoverBelow(q.Name); before-c.Stats().Failures != int64(n) {
				t.Fatalf("step %d: %d below %v, want %d", step, before-c.Stats().Failures, q.Name, n)
			}
			recovered += n
		case 1, 2, 3, 4, 5:
			c.Recovered(q)
			delete(want, q)
		default:
			c.Fail(at(0), q, nil, false)
			want[q] = true
			if _, ok := c.Failure(at(0), q); !ok {
				t.Fatalf("step %d: %+v is forgotten", step, q)
			}
		}
	}
	st := c.Stats()
	if st.Failures != int64(len(want)) || st.EvictFailures != 0 || recovered < 1000 {
		t.Errorf("%d failures, want %d; %d recovered, %d evicted", st.Failures, len(want), recovered, st.EvictFailures)
	}
	for q := range want {
		if _, ok := c.Failure(at(0), q); !ok {
			t.Errorf("%+v is forgotten", q)
		}
	}
	if c.RecoverBelow(dnsname.Root); c.Stats().Failures != 0 {
		t.Errorf("%d are left below the root", c.Stats().Failures)
	}
}

// What is over or buried is forgotten as well.
func TestRecoverBelowWhatIsOver(t *testing.T) {
	c := New(Options{Size: 64 << 20})
	for i := range 10 {
		c.Fail(at(0), Question{Name: numbered("old", i)}, nil, false)
		c.Fail(at(0), Question{Name: name(fmt.Sprintf("n%d.b.example.", i))}, nil, false)
	}
	c.Bury(at(0), name("b.example."))
	c.Fail(at(maxFailure), question, nil, false)
	if c.RecoverBelow(name("example.")); c.Stats().Failures != 0 {
		t.Errorf("%d left", c.Stats().Failures)
	}
}

// BenchmarkRecoverBelow: a zone of which nothing failed, and a top-level domain
// below which everything did.
func BenchmarkRecoverBelow(b *testing.B) {
	const n = 10_000
	c := New(Options{Size: 256 << 20})
	refill := func() {
		for i := range n {
			c.Fail(at(0), Question{Name: name(fmt.Sprintf("www%d.zone%d.example.", i, i/10)), Type: wire.TypeA}, nil, false)
		}
	}
	refill()
	b.Run("one zone of a thousand", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.RecoverBelow("\x05zonex\x07example\x00")
		}
	})
	b.Run("everything", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			refill()
			b.StartTimer()
			before := c.Stats().Failures
			if c.RecoverBelow(name("example.")); before-c.Stats().Failures < n*9/10 {
				b.Fatal(before, c.Stats().Failures)
			}
		}
	})
}

// A link of a chain of trust that failed is asked for again soon: much hangs on it.
func TestLinkFailureIsShort(t *testing.T) {
	for _, v := range []struct {
		typ  wire.Type
		most time.Duration
	}{{wire.TypeDS, 10 * time.Second}, {wire.TypeDNSKEY, 10 * time.Second}, {wire.TypeA, maxFailure}} {
		c, q, now := New(Options{Size: minSize}), Question{Name: name("example."), Type: v.typ}, at(0)
		for range 20 {
			c.Fail(now, q, nil, false)
			f, _ := c.Failure(now, q)
			now = f.Until
		}
		c.Fail(now, q, nil, false)
		if f, ok := c.Failure(now, q); !ok || f.Until != now.Add(v.most) {
			t.Errorf("%s: %v, for %v", v.typ, ok, f.Until.Sub(now))
		}
	}
}
