package cache

import (
	"testing"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// bogusAnswer is an alias and its target, the first of which was found to be good.
func bogusAnswer(n dnsname.Name, ttl uint32) []Entry {
	alias := data(n, wire.TypeCNAME, ttl, []byte(name("target.example."))...)
	alias.Security, alias.Valid = rrset.Secure, noon
	return []Entry{*alias, *address(name("target.example."), ttl+1)}
}

func TestBogusIsForWhoAsks(t *testing.T) {
	c := New(Options{Size: minSize, Stale: onRules})
	given := bogusAnswer(question.Name, 20)
	c.PutBogus(at(0), question, given)
	withCD := question
	withCD.CD = true
	for _, q := range []Question{question, withCD} {
		got, ok := c.Bogus(at(20*time.Second-1), q)
		if !ok || len(got) != 2 || got[0].Type != wire.TypeCNAME || !got[1].Set.Equal(&given[1].Set) {
			t.Fatalf("%+v, %v", got, ok)
		}
		for _, e := range got {
			if e.Security != rrset.Bogus || !e.Valid.IsZero() || e.TTL != 20 || e.Expiry != at(20*time.Second) || e.StaleUntil != e.Expiry {
				t.Errorf("%+v", e)
			}
		}
	}
	if _, ok := look(c, at(0), question.Name, wire.TypeA); ok || c.Stats().Entries != 0 {
		t.Error("bogus data is found by who did not ask for it")
	}
	if _, ok := c.Bogus(at(0), Question{Name: question.Name, Type: wire.TypeAAAA}); ok {
		t.Error("found for another type")
	}
	given[1].Set.Data[2] = 99 // the table has a copy
	if got, _ := c.Bogus(at(0), question); got[1].Set.Data[2] == 99 {
		t.Error("the table shares the giver's memory")
	}
	if _, ok := c.Bogus(at(20*time.Second), question); ok || c.Stats().Bogus != 0 {
		t.Error("found after its time")
	}
}

func TestBogusLivesAMinuteAtMost(t *testing.T) {
	for ttl, want := range map[uint32]time.Duration{0: time.Second, 1: time.Second, 59: 59 * time.Second, 61: time.Minute, 1 << 31: time.Minute} {
		c := New(Options{Size: minSize, Stale: onRules})
		c.PutBogus(at(0), question, bogusAnswer(question.Name, 3600)) // an older one is replaced in any case
		c.PutBogus(at(0), question, bogusAnswer(question.Name, ttl))
		e, before := c.Bogus(at(want-1), question)
		if before && ttl == 0 && e[0].TTL != 0 {
			t.Errorf("TTL 0 became %d", e[0].TTL)
		}
		_, after := c.Bogus(at(want), question)
		if !before || after {
			t.Errorf("TTL %d: found %v before %v, %v then", ttl, before, want, after)
		}
	}
}

// The table holds what it may and no more, and the oldest gives way.
func TestBogusIsBounded(t *testing.T) {
	small := func(i int) Question { return Question{Name: numbered("b", i), Type: wire.TypeA} }
	c := New(Options{Size: minSize})
	put := func(i int, size int) {
		e := data(small(i).Name, wire.TypeA, 60, make([]byte, size)...)
		c.PutBogus(at(0), small(i), []Entry{*e})
	}
	const n = 3000
	for i := range n {
		put(i, 4)
	}
	_, first := c.Bogus(at(0), small(n-400))
	_, last := c.Bogus(at(0), small(n-1))
	st := c.Stats()
	if first || !last || st.Bogus > 400 || st.Bogus < 300 || st.EvictBogus != n-uint64(st.Bogus) || c.bogus.bytes > mostBogusBytes {
		t.Errorf("first %v, last %v, %d bytes, %+v", first, last, c.bogus.bytes, st)
	}
	for i := range 100 {
		put(i, 40_000)
		if c.bogus.bytes > mostBogusBytes || c.bogus.order.Len() != len(c.bogus.byKey) {
			t.Fatalf("%d bytes", c.bogus.bytes)
		}
	}
	if st := c.Stats(); st.Bogus != 6 {
		t.Errorf("%d large answers", st.Bogus)
	}
	put(99, mostBogusOne-500)
	if _, ok := c.Bogus(at(0), small(99)); ok {
		t.Error("one that is too large is kept, or what was there before it")
	}
	put(98, 1)
	c.Sweep(at(time.Hour))
	if c.bogus.bytes != 0 || c.Stats().Bogus != 0 || len(c.bogus.byKey) != 0 {
		t.Errorf("%d bytes after all came to its end", c.bogus.bytes)
	}
}

// What ends a failure or the data of a name ends what is bogus there.
func TestBogusIsRemoved(t *testing.T) {
	for what, v := range map[string]struct {
		do    func(c *Cache)
		stays bool
	}{
		"Bury":             {func(c *Cache) { c.Bury(at(1), name("example.")) }, false},
		"Bury, swept":      {func(c *Cache) { c.Bury(at(1), name("example.")); sweepAll(c) }, false},
		"Bury elsewhere":   {func(c *Cache) { c.Bury(at(1), name("a.www.example.")) }, true},
		"FlushBelow":       {func(c *Cache) { c.FlushBelow(name("example.")) }, false},
		"Flush":            {func(c *Cache) { c.Flush(question.Name, wire.TypeNone) }, false},
		"Flush of a type":  {func(c *Cache) { c.Flush(question.Name, wire.TypeA) }, false},
		"Flush of another": {func(c *Cache) { c.Flush(question.Name, wire.TypeMX) }, true},
		"FlushNegative":    {func(c *Cache) { c.FlushNegative(at(1)) }, false},
		"Recovered":        {func(c *Cache) { c.Recovered(question) }, false},
		"Put":              {func(c *Cache) { c.Put(at(1), address(question.Name, 60)) }, true},
	} {
		c := New(Options{Size: minSize, Stale: onRules})
		c.PutBogus(at(0), question, bogusAnswer(question.Name, 60))
		v.do(c)
		if _, ok := c.Bogus(at(1), question); ok != v.stays {
			t.Errorf("%s: stays %v", what, ok)
		}
	}
}

func sweepAll(c *Cache) {
	for c.Sweep(at(1)) {
	}
}

// What was buried stays so when its tombstone retires without a Sweep.
func TestBogusIsBuriedForGood(t *testing.T) {
	c := New(Options{Size: minSize})
	c.PutBogus(at(0), question, bogusAnswer(question.Name, 60))
	c.FlushBelow(name("example."))
	for i := range maxTombs {
		c.FlushBelow(name(numbered("z", i).FirstLabel() + ".test."))
	}
	if n := c.Stats().Tombstones; n >= maxTombs {
		t.Fatalf("%d tombstones", n)
	}
	if _, ok := c.Bogus(at(1), question); ok {
		t.Error("found again")
	}
}

func TestForgetBogus(t *testing.T) {
	c := New(Options{Size: minSize})
	below, beside := Question{Name: name("a.zone.example."), Type: wire.TypeA}, Question{Name: name("zone2.example."), Type: wire.TypeA}
	c.PutBogus(at(0), below, bogusAnswer(below.Name, 60))
	c.PutBogus(at(0), beside, bogusAnswer(beside.Name, 60))
	c.ForgetBogus(name("zone.example."))
	if _, ok := c.Bogus(at(1), below); ok {
		t.Error("what is beneath is there still")
	}
	if _, ok := c.Bogus(at(1), beside); !ok {
		t.Error("what is beside it is not")
	}
}
