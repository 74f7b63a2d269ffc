package cache

import (
	"testing"
	"time"

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
