package stale_test

import (
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
		{"gone", usual, began, stale.Gone, running, stale.Decision{Action: stale.Wait}},
		{"gone, past the client timeout", usual, began.Add(time.Second), stale.Gone, running, stale.Decision{Action: stale.Wait}},
		{"gone, failed", usual, began, stale.Gone, ended, stale.Decision{Action: stale.Fail}},
	} {
		if got := v.p.Decide(v.now, v.state, v.a); got != v.want {
			t.Errorf("%s: %+v, want %+v", v.what, got, v.want)
		}
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
