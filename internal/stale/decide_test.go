package stale_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/stale"
)

// Every row of the policy table, and each condition at its edge.
func TestDecide(t *testing.T) {
	const began, timeout = 100 * second, 500 * time.Millisecond
	usual := stale.Policy{Enabled: true, ClientTimeout: timeout, Recheck: 30 * time.Second}
	refuse := usual
	refuse.RefuseRefused = true
	running := stale.Attempt{Began: began, Timeout: timeout}
	with := func(change func(*stale.Attempt)) stale.Attempt {
		a := running
		change(&a)
		return a
	}
	ended := with(func(a *stale.Attempt) { a.Ended = true })
	refused := with(func(a *stale.Attempt) { a.Ended, a.Refused = true, true })
	trouble := with(func(a *stale.Attempt) { a.Trouble = true })
	full := with(func(a *stale.Attempt) { a.Full = true })
	failed := func(ago time.Duration) stale.Attempt {
		return with(func(a *stale.Attempt) { a.Failed = began.Add(-ago) })
	}
	bogus := func(valid clock.Mono) stale.Attempt {
		return with(func(a *stale.Attempt) { a.Ended, a.Bogus, a.Valid = true, true, valid })
	}
	was := func(counts, valid clock.Mono) stale.Attempt {
		return with(func(a *stale.Attempt) { a.Failed, a.Counts, a.Bogus, a.Valid = began.Add(-1), counts, true, valid })
	}
	link := func(valid clock.Mono) stale.Attempt {
		return with(func(a *stale.Attempt) { a.Ended, a.Link, a.Valid = true, true, valid })
	}
	max, never := usual, usual
	max.OnBogus, never.OnBogus = stale.BogusMaxStale, stale.BogusNever
	fails := stale.Decision{Action: stale.Fail}
	wait := stale.Decision{Action: stale.Wait, Until: began.Add(timeout)}
	serve, refresh := stale.Decision{Action: stale.ServeStale}, stale.Decision{Action: stale.ServeStale, Refresh: true}
	for _, v := range []struct {
		what  string
		p     stale.Policy
		now   clock.Mono
		state stale.State
		a     stale.Attempt
		want  stale.Decision
	}{
		{"fresh", usual, began, stale.Fresh, running, stale.Decision{}},
		{"fresh in an outage", usual, began, stale.Fresh, trouble, stale.Decision{}},
		{"stale, cut healthy", usual, began, stale.Stale, running, wait},
		{"stale, still waiting", usual, began.Add(timeout - 1), stale.Stale, running, wait},
		{"stale, past the client timeout", usual, began.Add(timeout), stale.Stale, running, refresh},
		{"stale first", usual, began, stale.Stale, stale.Attempt{Began: began}, refresh},
		{"stale, the attempt failed", usual, began, stale.Stale, ended, serve},
		{"stale, cut in trouble", usual, began, stale.Stale, trouble, serve},
		{"stale, cut in trouble, long waited", usual, began.Add(time.Minute), stale.Stale, trouble, serve},
		{"stale, failed just now", usual, began, stale.Stale, failed(0), serve},
		{"stale, failed within the recheck interval", usual, began, stale.Stale, failed(30*time.Second - 1), serve},
		{"stale, failed before", usual, began, stale.Stale, failed(30 * time.Second), refresh},
		{"stale, the cut just came back", usual, began, stale.Stale, full, serve},
		{"stale, all refused", usual, began, stale.Stale, refused, serve},
		{"stale, all refused, which is an answer", refuse, began, stale.Stale, refused, stale.Decision{Action: stale.Fail}},
		{"stale, failed otherwise, REFUSED being an answer", refuse, began, stale.Stale, ended, serve},
		{"bogus, signatures in date", usual, began, stale.Stale, bogus(began + 1), serve},
		{"bogus, signatures expired", usual, began, stale.Stale, bogus(began), fails},
		{"bogus, never signed", usual, began, stale.Stale, bogus(0), serve},
		{"failed otherwise, signatures expired", usual, began, stale.Stale, with(func(a *stale.Attempt) { a.Ended, a.Valid = true, began }), serve},
		{"bogus, signatures expired, max-stale", max, began, stale.Stale, bogus(began), serve},
		{"bogus, never", never, began, stale.Stale, bogus(began + 1), fails},
		{"bogus, never signed, never", never, began, stale.Stale, bogus(0), fails},
		{"failed otherwise, never", never, began, stale.Stale, ended, serve},
		{"bogus a moment ago, never", never, began, stale.Stale, was(began+1, 0), fails},
		{"bogus before, never", never, began, stale.Stale, was(began, 0), stale.Decision{Action: stale.Wait}},
		{"bogus before, signatures in date", usual, began, stale.Stale, was(began, began+1), serve},
		{"a link that failed, signatures in date", usual, began, stale.Stale, link(began + 1), serve},
		{"a link that failed, signatures expired", usual, began, stale.Stale, link(began), fails},
		{"a link that failed, signatures expired, max-stale", max, began, stale.Stale, link(began), fails},
		{"gone", usual, began, stale.Gone, running, stale.Decision{Action: stale.Wait}},
		{"gone, past the client timeout", usual, began.Add(time.Second), stale.Gone, running, stale.Decision{Action: stale.Wait}},
		{"gone, failed", usual, began, stale.Gone, ended, stale.Decision{Action: stale.Fail}},
	} {
		if got := v.p.Decide(v.now, v.state, v.a); got != v.want {
			t.Errorf("%s: %+v, want %+v", v.what, got, v.want)
		}
	}
}

// Whatever is known, who waits for something better than the last good answer
// decides again while that may still be served, and no later than the client
// timeout says; and what may be served by then is served.
func TestWaitEndsBeforeTheLimit(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 1))
	p := stale.Policy{Enabled: true, Recheck: 30 * time.Second}
	waits, cut := 0, 0
	for range 10_000 {
		now := 1000 * second
		between := func(d time.Duration) time.Duration { return time.Duration(rnd.Int64N(int64(d))) }
		a := stale.Attempt{Began: now.Add(-between(2 * time.Second)), Timeout: between(2 * time.Second)}
		limit := now.Add(1 + between(3*time.Second))
		for range rnd.IntN(3) {
			a.Within(limit.Add(between(time.Hour)))
		}
		a.Within(limit)
		a.Within(limit.Add(between(time.Second)))
		d := p.Decide(now, stale.Stale, a)
		if d.Action == stale.Wait {
			waits++
			if end := a.Began.Add(a.Timeout); d.Until > end || d.Until >= limit || d.Until <= now {
				t.Fatalf("seed %d: %+v, at %v: waits until %v, the client timeout ends at %v, the limit is %v", seed, a, now, d.Until, end, limit)
			} else if d.Until < end {
				cut++
			}
			d = p.Decide(d.Until, stale.StateOf(d.Until, now, limit), a)
		}
		if d.Action != stale.ServeStale || !d.Refresh {
			t.Fatalf("seed %d: %+v: %+v", seed, a, d)
		}
	}
	if waits < 1000 || cut < 100 || cut > waits*9/10 {
		t.Errorf("of %d waits %d ended for the limit: the test proves little", waits, cut)
	}
}

func TestLearned(t *testing.T) {
	ms := func(n int, each ...time.Duration) []time.Duration {
		list := make([]time.Duration, n)
		for i := range list {
			list[i] = each[i%len(each)] * time.Millisecond
		}
		return list
	}
	for _, v := range []struct {
		what    string
		samples []time.Duration
		want    time.Duration
	}{
		{"nothing", nil, 500 * time.Millisecond},
		{"too few", ms(15, 200), 500 * time.Millisecond},
		{"enough", ms(16, 200), 400 * time.Millisecond},
		{"not less than 100 ms", ms(64, 1), 100 * time.Millisecond},
		{"not more than 1.8 s", ms(64, 1000), 1800 * time.Millisecond},
		{"the slowest tenth does not count", append(ms(58, 100), ms(6, 1000)...), 200 * time.Millisecond},
		{"a little more does", append(ms(57, 100), ms(7, 700)...), 1400 * time.Millisecond},
	} {
		if got := stale.Learned(v.samples); got != v.want {
			t.Errorf("%s: %v, want %v", v.what, got, v.want)
		}
	}
}

func TestPolicyTimeout(t *testing.T) {
	auto, fixed := stale.Policy{ClientTimeout: stale.AutoTimeout}, stale.Policy{}
	if got := auto.Timeout(time.Second); got != time.Second {
		t.Errorf("auto: %v", got)
	}
	if got := fixed.Timeout(time.Second); got != 0 {
		t.Errorf("0s: %v", got)
	}
}

// Until when something is served, as far as that is known.
func TestServed(t *testing.T) {
	for _, v := range []struct {
		on   stale.OnBogus
		a    stale.Attempt
		want clock.Mono
	}{
		{0, stale.Attempt{Valid: 5}, 9},
		{0, stale.Attempt{Valid: 5, Link: true}, 5},
		{0, stale.Attempt{Valid: 5, Bogus: true}, 5},
		{0, stale.Attempt{Valid: 15, Bogus: true}, 9},
		{0, stale.Attempt{Bogus: true}, 9},
		{stale.BogusMaxStale, stale.Attempt{Valid: 5, Bogus: true}, 9},
		{stale.BogusMaxStale, stale.Attempt{Valid: 5, Bogus: true, Link: true}, 5},
		{stale.BogusNever, stale.Attempt{Valid: 5, Bogus: true}, -(1<<63 - 1)},
		{stale.BogusNever, stale.Attempt{Valid: 5}, 9},
	} {
		p := stale.Policy{Enabled: true, OnBogus: v.on}
		if got := p.Served(9, &v.a); got != v.want {
			t.Errorf("%d, %+v: %v, want %v", v.on, v.a, got, v.want)
		}
	}
}
