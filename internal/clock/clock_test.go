package clock

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestReadings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		c := New()
		first := c.Now()
		if first <= 0 || first > Mono(time.Microsecond) {
			t.Errorf("a new clock reads %d", first)
		}
		time.Sleep(72 * time.Hour)
		if d := c.Now().Sub(first); d != 72*time.Hour {
			t.Errorf("three days later it is %v later", d)
		}
		if d := c.Wall().Sub(began); d != 72*time.Hour {
			t.Errorf("three days later the time of day is %v later", d)
		}
		if d := time.Until(c.Deadline(time.Second)); d != time.Second {
			t.Errorf("a deadline in one second is in %v", d)
		}
		if at := c.At(first); !at.Equal(began) {
			t.Errorf("the first reading was at %v, not %v", at, began)
		}
		if at := c.At(c.Now().Add(time.Hour)); !at.Equal(began.Add(73 * time.Hour)) {
			t.Errorf("in one hour it is %v", at)
		}
	})
}

func TestMono(t *testing.T) {
	m := Mono(5).Add(time.Second)
	if m != 1_000_000_005 || m.Sub(5) != time.Second || Mono(5).Sub(m) != -time.Second {
		t.Errorf("%d", m)
	}
}

func TestNowDoesNotAllocate(t *testing.T) {
	c := New()
	if n := testing.AllocsPerRun(100, func() { _ = c.Now() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkNow(b *testing.B) {
	c := New()
	for b.Loop() {
		_ = c.Now()
	}
}
