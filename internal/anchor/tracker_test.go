package anchor

import (
	"strings"
	"testing"
	"time"

	"lastgood/internal/dnssec"
)

// story tells a tracker of sets, a day at a time.
type story struct {
	*testing.T
	*Tracker
	now time.Time
}

func tell(t *testing.T, seeds ...*dnssec.Key) *story {
	t.Helper()
	a := &Anchor{Zone: zone}
	for _, k := range seeds {
		a.DS = append(a.DS, digestOf(zone, k))
	}
	return &story{T: t, Tracker: NewTracker(a), now: noon}
}

// after lets time pass, shows a set, and says what should have come of it: the
// states of all keys.
func (s *story) after(wait time.Duration, keys, signers []*dnssec.Key, want string) []Tracked {
	s.Helper()
	s.now = s.now.Add(wait)
	changed, _ := s.Seen(&Sighting{At: s.now, Keys: keys, Signers: signers, TTL: 2 * day, Left: 20 * day})
	if got := states(s.Tracker); got != want {
		s.Errorf("after %v: %s, want %s", s.now.Sub(noon), got, want)
	}
	return changed
}

// trusts fails unless exactly some of many keys are trusted.
func (s *story) trusts(all []*dnssec.Key, want ...*dnssec.Key) {
	s.Helper()
	a := s.Anchor()
	for _, k := range all {
		wanted := false
		for _, w := range want {
			wanted = wanted || w == k
		}
		if a.Trusts(k) != wanted {
			s.Errorf("key %d: trusted %v, want %v", k.Data()[4], !wanted, wanted)
		}
	}
}

type set = []*dnssec.Key

// TestAdd: a new key is trusted when a set has it that is 30 days younger than the
// first, and not before (RFC 5011 §2.2, §2.4.1).
func TestAdd(t *testing.T) {
	one, two := newKey(t, 1, entryPoint), newKey(t, 2, entryPoint)
	s := tell(t, one)
	s.trusts(set{one, two}, one)
	s.after(0, set{one}, set{one}, "1:valid")
	s.after(day, set{one, two}, set{one}, "1:valid 2:pending")
	s.after(30*day-time.Second, set{one, two}, set{one}, "1:valid 2:pending")
	s.trusts(set{one, two}, one)
	changed := s.after(time.Second, set{one, two}, set{one}, "1:valid 2:valid")
	s.trusts(set{one, two}, one, two)
	if len(changed) != 1 || changed[0].Key != two || changed[0].State != "valid" || changed[0].Configured || !changed[0].Since.Equal(s.now) {
		t.Errorf("changed %+v", changed)
	}
	if changed := s.after(day, set{one, two}, set{two}, "1:valid 2:valid"); changed != nil {
		t.Errorf("nothing happened, and %+v changed", changed)
	}
}

// TestTimePassesAlone: 30 days without a set make nobody trusted.
func TestTimePassesAlone(t *testing.T) {
	one, two := newKey(t, 1, entryPoint), newKey(t, 2, entryPoint)
	s := tell(t, one)
	s.after(0, set{one, two}, set{one}, "1:valid 2:pending")
	s.now = s.now.Add(365 * day)
	s.trusts(set{one, two}, one)
	// Nor does a set that nobody trusted signed, or the new key alone.
	s.after(0, set{one, two}, nil, "1:valid 2:pending")
	s.after(0, set{one, two}, set{two}, "1:valid 2:pending")
	s.trusts(set{one, two}, one)
}

// TestLongTTL: the hold-down is as long as the first set may live in caches.
func TestLongTTL(t *testing.T) {
	one, two := newKey(t, 1, entryPoint), newKey(t, 2, entryPoint)
	tr := NewTracker(&Anchor{Zone: zone, Keys: set{one}})
	tr.Seen(&Sighting{At: noon, Keys: set{one, two}, Signers: set{one}, TTL: 40 * day, Left: 50 * day})
	tr.Seen(&Sighting{At: noon.Add(39 * day), Keys: set{one, two}, Signers: set{one}, TTL: day, Left: day})
	if got := states(tr); got != "1:valid 2:pending" {
		t.Error(got)
	}
	tr.Seen(&Sighting{At: noon.Add(40 * day), Keys: set{one, two}, Signers: set{one}, TTL: day, Left: day})
	if got := states(tr); got != "1:valid 2:valid" {
		t.Error(got)
	}
}

// TestGap: a set without the new key makes it begin anew.
func TestGap(t *testing.T) {
	one, two := newKey(t, 1, entryPoint), newKey(t, 2, entryPoint)
	s := tell(t, one)
	s.after(0, set{one, two}, set{one}, "1:valid 2:pending")
	changed := s.after(29*day, set{one}, set{one}, "1:valid")
	if len(changed) != 1 || changed[0].State != "forgotten" {
		t.Errorf("changed %+v", changed)
	}
	s.after(day, set{one, two}, set{one}, "1:valid 2:pending")
	s.after(29*day, set{one, two}, set{one}, "1:valid 2:pending")
	s.after(day, set{one, two}, set{one}, "1:valid 2:valid")
	// One that is trusted may be missing for as long as it likes.
	s.after(day, set{one}, set{one}, "1:valid 2:missing")
	s.after(400*day, set{one}, set{one}, "1:valid 2:missing")
	s.trusts(set{one, two}, one, two)
	s.after(day, set{one, two}, set{two}, "1:valid 2:valid")
}

// TestForgedGap: a set that nobody trusted signed does not set anything back.
func TestForgedGap(t *testing.T) {
	one, two, three := newKey(t, 1, entryPoint), newKey(t, 2, entryPoint), newKey(t, 3, entryPoint)
	s := tell(t, one)
	s.after(0, set{one, two}, set{one}, "1:valid 2:pending")
	s.after(15*day, set{three}, set{three}, "1:valid 2:pending")
	s.after(15*day, set{one, two}, set{one}, "1:valid 2:valid")
}

// TestRevoke: at once, by the key's own signature alone, for ever (RFC 5011 §2.1).
func TestRevoke(t *testing.T) {
	one, two := newKey(t, 1, entryPoint), newKey(t, 2, entryPoint)
	revokedOne := newKey(t, 1, givenUp)
	if one.Tag == revokedOne.Tag {
		t.Fatal("the tag is the same with the REVOKE bit")
	}
	s := tell(t, one, two)
	s.after(0, set{one, two}, set{one}, "1:valid 2:valid")
	// Others may say what they like: a key is revoked by itself.
	s.after(day, set{revokedOne, two}, set{two}, "1:missing 2:valid")
	s.trusts(set{one, two}, one, two)
	s.after(day, set{revokedOne, two}, set{revokedOne}, "1:revoked 2:valid")
	s.trusts(set{one, revokedOne, two}, two)
	// It comes back, and may sign what it likes.
	s.after(day, set{one, two}, set{one}, "1:revoked 2:valid")
	s.after(day, set{one, two}, set{one, two}, "1:revoked 2:valid")
	s.after(29*day, set{two}, set{two}, "1:revoked 2:valid")
	s.after(day, set{two}, set{two}, "1:removed 2:valid")
	s.after(day, set{one, two}, set{two}, "1:removed 2:valid")
	s.after(40*day, set{one, two}, set{one, two}, "1:removed 2:valid")
	s.trusts(set{one, two}, two)
}

// TestRevokedUnseen: the anchor's key is revoked before it was ever seen otherwise.
func TestRevokedUnseen(t *testing.T) {
	one, two := newKey(t, 1, entryPoint), newKey(t, 2, entryPoint)
	s := tell(t, one, two)
	s.after(0, set{newKey(t, 1, givenUp), two}, set{newKey(t, 1, givenUp), two}, "1:revoked 2:valid")
	s.trusts(set{one, two}, two)
	// A key that nobody knows may be revoked too, and is of no interest.
	s.after(day, set{two, newKey(t, 3, givenUp)}, set{two, newKey(t, 3, givenUp)}, "1:revoked 2:valid")
}

// TestRevokePending: one that is revoked before it was trusted never will be.
func TestRevokePending(t *testing.T) {
	one, two, gone := newKey(t, 1, entryPoint), newKey(t, 2, entryPoint), newKey(t, 2, givenUp)
	s := tell(t, one)
	s.after(0, set{one, two}, set{one}, "1:valid 2:pending")
	s.after(day, set{one, gone}, set{one, gone}, "1:valid 2:revoked")
	s.after(40*day, set{one, two}, set{one}, "1:valid 2:revoked")
}

// TestVouchersRevoked: a key begins anew when all who signed the first set with it
// were revoked (RFC 5011 §2.2).
func TestVouchersRevoked(t *testing.T) {
	one, two, three, gone := newKey(t, 1, entryPoint), newKey(t, 2, entryPoint), newKey(t, 3, entryPoint), newKey(t, 1, givenUp)
	s := tell(t, one, two)
	s.after(0, set{one, two, three}, set{one}, "1:valid 2:valid 3:pending")
	s.after(29*day, set{gone, two, three}, set{gone, two}, "1:revoked 2:valid 3:pending")
	s.after(29*day, set{two, three}, set{two}, "1:revoked 2:valid 3:pending")
	s.after(day, set{two, three}, set{two}, "1:removed 2:valid 3:valid")

	s = tell(t, one, two)
	s.after(0, set{one, two, three}, set{one, two}, "1:valid 2:valid 3:pending")
	s.after(29*day, set{gone, two, three}, set{gone, two}, "1:revoked 2:valid 3:pending")
	s.after(day, set{two, three}, set{two}, "1:revoked 2:valid 3:valid")
}

// TestLastRevoked: nothing is trusted any more, and nothing new ever is.
func TestLastRevoked(t *testing.T) {
	one, two, gone := newKey(t, 1, entryPoint), newKey(t, 2, entryPoint), newKey(t, 1, givenUp)
	s := tell(t, one)
	s.after(0, set{one, two}, set{one}, "1:valid 2:pending")
	s.after(day, set{gone, two}, set{gone, two}, "1:revoked 2:pending")
	if !s.Anchor().Empty() {
		t.Error("something is trusted still")
	}
	s.after(60*day, set{one, two}, set{one, two}, "1:revoked 2:pending")
	again, err := ReadTracker(s.seeds, s.Marshal())
	if err != nil || !again.Anchor().Empty() {
		t.Errorf("a restart brings the anchor back: %v", err)
	}
}

// TestNotTracked: what is no entry point, or nothing that can be verified.
func TestNotTracked(t *testing.T) {
	one, signing, foreign := newKey(t, 1, entryPoint), newKey(t, 2, 0x0100), newKey(t, 3, 0x0001)
	unknown, err := dnssec.ReadKey([]byte{1, 1, 3, 200, 1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	s := tell(t, one)
	s.after(0, set{one, signing, unknown, foreign}, set{one}, "1:valid")
}

// TestClockSetBack: what the clock said before it was mended counts for nothing.
func TestClockSetBack(t *testing.T) {
	one, two := newKey(t, 1, entryPoint), newKey(t, 2, entryPoint)
	s := tell(t, one)
	s.after(0, set{one, two}, set{one}, "1:valid 2:pending")
	if wait := s.Wait(s.now); wait != day {
		t.Errorf("the next set is due in %v", wait)
	}
	s.after(-400*day, set{one, two}, set{one}, "1:valid 2:pending")
	s.after(29*day, set{one, two}, set{one}, "1:valid 2:pending")
	s.after(day, set{one, two}, set{one}, "1:valid 2:valid")
	if wait := s.Wait(s.now.Add(-400 * day)); wait != 15*day {
		t.Errorf("the next set is due in %v", wait)
	}
}

// TestRefresh is RFC 5011 §2.3.
func TestRefresh(t *testing.T) {
	one := newKey(t, 1, entryPoint)
	for _, c := range []struct{ ttl, left, refresh, retry time.Duration }{
		{2 * day, 20 * day, day, 2 * day / 10},
		{time.Minute, 20 * day, time.Hour, time.Hour},
		{40 * day, 40 * day, 15 * day, day},
		{2 * day, 4 * time.Hour, 2 * time.Hour, time.Hour},
	} {
		tr := NewTracker(&Anchor{Zone: zone, Keys: set{one}})
		if wait := tr.Wait(noon); wait != 0 {
			t.Errorf("the first set is due in %v", wait)
		}
		tr.Seen(&Sighting{At: noon, Keys: set{one}, Signers: set{one}, TTL: c.ttl, Left: c.left})
		if wait := tr.Wait(noon); wait != c.refresh {
			t.Errorf("%v, %v: refresh in %v, want %v", c.ttl, c.left, wait, c.refresh)
		}
		tr.Failed(noon.Add(c.refresh))
		if wait := tr.Wait(noon.Add(c.refresh)); wait != c.retry {
			t.Errorf("%v, %v: retry in %v, want %v", c.ttl, c.left, wait, c.retry)
		}
	}
}

// TestManyKeys: there is a bound to what is learned; keys that were removed yield.
func TestManyKeys(t *testing.T) {
	one, two, gone := newKey(t, 1, entryPoint), newKey(t, 2, entryPoint), newKey(t, 2, givenUp)
	s := tell(t, one)
	s.after(0, set{one, two}, set{one}, "1:valid 2:pending")
	s.after(day, set{one, gone}, set{one, gone}, "1:valid 2:revoked")
	s.after(30*day, set{one}, set{one}, "1:valid 2:removed")
	many := set{one}
	for n := range mostTracked + 5 {
		many = append(many, newKey(t, byte(10+n), entryPoint))
	}
	s.Seen(&Sighting{At: s.now, Keys: many, Signers: set{one}})
	if got := len(s.Keys()); got != mostTracked+1 {
		t.Errorf("%d keys are tracked", got)
	}
	if strings.Contains(states(s.Tracker), "removed") {
		t.Error("the removed key did not yield")
	}
	s.trusts(many, one)
}
