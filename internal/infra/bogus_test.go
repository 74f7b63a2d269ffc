package infra

import (
	"testing"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
)

func host(label string) dnsname.Name { return question(label, zone).Name }

// Several names make a cut failing that nothing good was heard of between them;
// that replies look useful, before and after, changes nothing of it, and one that
// validates ends it.
func TestBogusNamesMakeACutFailing(t *testing.T) {
	i, now := fresh(Options{}), sec
	cause := &ede.Error{Code: ede.SignatureExpired, ID: "TEST"}
	bogus := func(label string) bool {
		i.Useful(now, zone, addr(0)) // the reply itself
		now = now.Add(100 * ms)
		return i.NameBogus(now, zone, host(label), cause)
	}
	failing := func() bool {
		f, failing := i.CutFailing(now, zone)
		return failing && f.Cause == cause && !f.Refused
	}
	if bogus("a") || bogus("b") || bogus("b") || bogus("a") || failing() {
		t.Fatal("two names are enough")
	}
	if i.CutSound(now, zone) {
		t.Error("recovered from nothing")
	}
	if bogus("a") || bogus("b") || failing() {
		t.Fatal("names count on after a good one")
	}
	if !bogus("c") || !failing() {
		t.Fatal("three names are not enough")
	}
	if bogus("d") {
		t.Error("it began twice")
	}
	if i.Useful(now, zone, addr(0)) || !failing() {
		t.Error("a reply ends it")
	}
	if tr, bad := i.Trouble(now, zone, cands(addr(0))); !bad || !tr.Failing || tr.Silent || tr.Cause != cause {
		t.Errorf("%+v, %v", tr, bad)
	}
	if !i.CutSound(now, zone) || i.CutSound(now, zone) || failing() {
		t.Error("a good answer does not end it once")
	}
	if bogus("d") || failing() {
		t.Error("one name is enough after it recovered")
	}
}

// What a cut fails for besides: errors do not take the place of bogus answers,
// silence does, and when it is over bogus answers count on.
func TestBogusAndOtherFailures(t *testing.T) {
	i, now := fresh(Options{}), sec
	cause := &ede.Error{Code: ede.Bogus, ID: "TEST"}
	said := &ede.Error{Code: ede.NetworkError, ID: "TEST"}
	i.CutFailed(now, zone, said, Blame{Refused: true})
	for _, label := range []string{"a", "b", "c"} {
		if i.NameBogus(now, zone, host(label), cause) {
			t.Error("it began twice")
		}
	}
	if f, failing := i.CutFailing(now, zone); !failing || f.Cause != cause || f.Refused {
		t.Errorf("%+v, %v", f, failing)
	}
	now = now.Add(time.Minute)
	i.NameFailed(now, zone, host("d"), said, Blame{})
	i.Useful(now, zone, addr(0))
	if f, failing := i.CutFailing(now, zone); !failing || f.Cause != cause {
		t.Errorf("after an error and a reply: %+v, %v", f, failing)
	}
	now = suspects(i, now, addr(0))
	i.CutFailed(now, zone, said, Blame{Silent: cands(addr(0))})
	if tr, bad := i.Trouble(now, zone, nil); !bad || !tr.Silent || tr.Cause != said {
		t.Errorf("in silence: %+v, %v", tr, bad)
	}
	now = now.Add(time.Second)
	i.Answered(now, addr(0), 10*ms)
	if _, failing := i.CutFailing(now, zone); failing {
		t.Error("the silence does not end with a reply")
	}
	if !i.NameBogus(now, zone, host("a"), cause) {
		t.Error("the names that were bogus before are forgotten")
	}
}

// Rechecks go on while replies are bogus, the parent is asked whether somebody else
// serves the cut, and without either it comes to nothing after five minutes.
func TestBogusIsRechecked(t *testing.T) {
	l := &loop{i: fresh(Options{}), answers: func(Recheck) bool { return true }}
	l.now = 100 * sec
	answered(l.i, l.now, addr(0), 10*ms)
	begin := func() {
		for _, label := range []string{"a", "b", "c"} {
			l.i.NameBogus(l.now, zone, host(label), nil)
		}
	}
	begin()
	wants := func() {
		l.want(Want{Cut: zone, Servers: cands(addr(0)), Question: question("www", zone)})
		l.i.Useful(l.now, zone, addr(0))
	}
	start := l.now
	l.run(10*time.Second, 100*ms, wants)
	if n := l.count(start, l.now); n < 9 || n > 13 {
		t.Errorf("%d rechecks in ten seconds", n)
	}
	if n := l.i.Stats().ParentsAsked; n != 1 {
		t.Errorf("the parent was asked %d times", n)
	}
	l.i.CutSound(l.now, zone)
	start = l.now
	l.run(10*time.Second, 100*ms, wants)
	if n := l.count(start, l.now); n != 0 {
		t.Errorf("%d rechecks after it recovered", n)
	}
	begin()
	if _, bad := l.i.Trouble(l.now.Add(backoffLast-1), zone, nil); !bad {
		t.Error("over before five minutes")
	}
	if _, bad := l.i.Trouble(l.now.Add(backoffLast), zone, nil); bad {
		t.Error("believed for longer than five minutes")
	}
}

// A negative trust anchor ends what is held against all cuts beneath it, and nothing
// else; why it was is told.
func TestSoundBelow(t *testing.T) {
	i, now := fresh(Options{}), sec
	at, below, beside := &ede.Error{Code: ede.Bogus, Text: "at"}, &ede.Error{Code: ede.Bogus, Text: "below"}, &ede.Error{Code: ede.Bogus, Text: "beside"}
	child, other := host("child"), dnsname.MustParse("other.test.")
	for _, label := range []string{"a", "b", "c"} {
		i.NameBogus(now, child, question(label, child).Name, below)
		i.NameBogus(now, other, question(label, other).Name, beside)
	}
	if got := i.SoundBelow(now, zone); got != below {
		t.Errorf("cause: %v", got)
	}
	if _, failing := i.CutFailing(now, child); failing {
		t.Error("it fails still")
	}
	if _, failing := i.CutFailing(now, other); !failing {
		t.Error("another does not any more")
	}
	i.NameBogus(now, zone, host("a"), at)
	i.NameBogus(now, child, question("a", child).Name, below)
	if got := i.SoundBelow(now, zone); got != at {
		t.Errorf("of the zone itself: %v", got)
	}
	if got := i.SoundBelow(now, zone); got != nil {
		t.Errorf("told twice: %v", got)
	}
	i.CutFailed(now, zone, at, Blame{Refused: true})
	i.SoundBelow(now, zone)
	if _, failing := i.CutFailing(now, zone); !failing {
		t.Error("its other failure is forgotten too")
	}
}

// What a cut fails for outlives a restart, and is ended by the same.
func TestBogusOutlivesARestart(t *testing.T) {
	before, now := fresh(Options{}), sec
	cause := &ede.Error{Code: ede.SignatureExpired, ID: "TEST", Text: "expired", Zone: string(zone)}
	for _, label := range []string{"a", "b", "c"} {
		before.NameBogus(now, zone, host(label), cause)
	}
	i := fresh(Options{})
	i.Restore(before.Memory())
	i.Useful(now, zone, addr(0))
	if f, failing := i.CutFailing(now, zone); !failing || *f.Cause != *cause {
		t.Fatalf("%+v, %v", f, failing)
	}
	if !i.CutSound(now, zone) {
		t.Error("a good answer does not end it")
	}
	if _, failing := i.CutFailing(now, zone); failing {
		t.Error("it fails still")
	}
}
