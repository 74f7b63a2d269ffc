package anchor

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"lastgood/internal/dnssec"
)

// shown is a set that a tracker was shown, and who was trusted then.
type shown struct {
	Sighting
	counted bool
	before  []bool // who was trusted before it, by number
	after   []bool
	// revoking: it, or one before it, has a key that signs its own end.
	revoking bool
}

// history is what a tracker was shown, in order.
type history struct {
	seeds  int // the first so many keys are the anchor's
	plain  set
	gone   set // the same, revoked
	sets   []shown
	states []string // of the keys before the last set, by number
}

// revokes tells whether a set revokes a key by the key's own signature.
func (h *history) revokes(s *shown, n int) bool { return contains(s.Signers, h.gone[n]) }

func contains(list set, k *dnssec.Key) bool {
	return slices.ContainsFunc(list, func(o *dnssec.Key) bool { return bytes.Equal(o.Data(), k.Data()) })
}

// vouched are the trusted keys that signed a set, but for those that it revokes.
func (h *history) vouched(s *shown) (list []int) {
	for n, k := range h.plain {
		if s.before[n] && contains(s.Signers, k) && !h.revokes(s, n) {
			list = append(list, n)
		}
	}
	return list
}

// earned tells whether a key may be trusted after the last set: all sets that
// counted had it, back to one that is 30 days older, and the set's TTL, and that
// somebody vouched for who has not been revoked since (RFC 5011 §2.2, §2.4.1).
func (h *history) earned(n int) bool {
	last := &h.sets[len(h.sets)-1]
	for i := len(h.sets) - 1; i >= 0; i-- {
		s := &h.sets[i]
		if !s.counted {
			continue
		}
		if !contains(s.Keys, h.plain[n]) {
			return false
		}
		if last.At.Sub(s.At) < max(30*day, s.TTL) {
			continue
		}
		for _, voucher := range h.vouched(s) {
			if !slices.ContainsFunc(h.sets[i:], func(o shown) bool { return h.revokes(&o, voucher) }) {
				return true
			}
		}
	}
	return false
}

// check looks at the last set with nothing but what was shown.
func (h *history) check() error {
	s := &h.sets[len(h.sets)-1]
	if want := len(h.vouched(s)) > 0; s.counted != want {
		return fmt.Errorf("counted is %v", s.counted)
	}
	for n := range h.plain {
		known := s.before[n] || h.states[n] == "pending"
		switch {
		case s.after[n] && !s.before[n] && h.states[n] != "pending":
			return fmt.Errorf("key %d is trusted out of the blue, it was %q", n, h.states[n])
		case s.after[n] && !s.before[n] && !h.earned(n):
			return fmt.Errorf("key %d is trusted and was not seen for 30 days", n)
		case s.after[n] && slices.ContainsFunc(h.sets, func(o shown) bool { return o.before[n] && h.revokes(&o, n) }):
			return fmt.Errorf("key %d is trusted and was revoked", n)
		case s.after[n] && known && h.revokes(s, n):
			return fmt.Errorf("key %d is trusted and is revoked", n)
		case s.before[n] && !s.after[n] && !h.revokes(s, n):
			return fmt.Errorf("key %d was lost", n)
		case h.overdue(n):
			return fmt.Errorf("key %d is not trusted after 30 days", n)
		}
	}
	return nil
}

// overdue tells whether a key should be trusted and is not: all sets that counted
// had it for longer than any TTL here, and nobody was ever revoked.
func (h *history) overdue(n int) bool {
	last := &h.sets[len(h.sets)-1]
	if last.revoking {
		return false
	}
	first := last.At
	for i := len(h.sets) - 1; i >= 0; i-- {
		if s := &h.sets[i]; s.counted {
			if !contains(s.Keys, h.plain[n]) {
				break
			}
			first = s.At
		}
	}
	return last.counted && !last.after[n] && last.At.Sub(first) > 36*day
}

func (h *history) trusted(tr *Tracker) []bool {
	out := make([]bool, len(h.plain))
	a := tr.Anchor()
	for n, k := range h.plain {
		out[n] = a.Trusts(k)
	}
	return out
}

// show makes up a set, mostly an honest one.
func (h *history) show(r *rand.Rand, now time.Time) shown {
	s := shown{Sighting: Sighting{At: now, TTL: time.Duration(r.IntN(4)) * 12 * day, Left: 14 * day}}
	for n := range h.plain {
		switch p := r.IntN(100); {
		case p < 88:
			s.Keys = append(s.Keys, h.plain[n])
		case p < 91:
			s.Keys = append(s.Keys, h.gone[n])
		}
	}
	for _, k := range s.Keys {
		if r.IntN(3) > 0 {
			s.Signers = append(s.Signers, k)
		}
	}
	return s
}

// TestTrackerProperty: over random sets no key is trusted that was not seen for 30
// days signed by one that is trusted, none that was revoked, none that was trusted
// is lost without being revoked; and a restart changes nothing.
func TestTrackerProperty(t *testing.T) {
	learned, revokedOnes, empty := 0, 0, 0
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 5011))
		h := &history{seeds: 1 + r.IntN(2)}
		seeds := &Anchor{Zone: zone}
		for n := range 5 {
			h.plain, h.gone = append(h.plain, newKey(t, byte(n), entryPoint)), append(h.gone, newKey(t, byte(n), givenUp))
			if n < h.seeds {
				seeds.DS = append(seeds.DS, digestOf(zone, h.plain[n]))
			}
		}
		tr, now := NewTracker(seeds), noon
		for step := range 60 {
			now = now.Add(time.Duration(1+r.IntN(10*24)) * time.Hour)
			s := h.show(r, now)
			s.before, h.states = h.trusted(tr), h.stateOf(tr)
			_, s.counted = tr.Seen(&s.Sighting)
			s.after = h.trusted(tr)
			for k := range h.plain {
				s.revoking = s.revoking || h.revokes(&s, k) || step > 0 && h.sets[step-1].revoking
			}
			h.sets = append(h.sets, s)
			if err := h.check(); err != nil {
				t.Fatalf("seed %d, step %d: %v\n%s", seed, step, err, tr.Marshal())
			}
			tr = restarted(t, seeds, tr)
		}
		for n, trusted := range h.trusted(tr) {
			if trusted && n >= h.seeds {
				learned++
			}
		}
		for _, k := range tr.Keys() {
			if k.State == "revoked" || k.State == "removed" {
				revokedOnes++
			}
		}
		if tr.Anchor().Empty() {
			empty++
		}
	}
	t.Logf("%d learned, %d revoked, %d anchors empty", learned, revokedOnes, empty)
	if learned < 20 || revokedOnes < 20 || empty < 5 {
		t.Errorf("too little happened: %d learned, %d revoked, %d anchors empty", learned, revokedOnes, empty)
	}
}

// stateOf is each key's state, "" for one that is not tracked.
func (h *history) stateOf(tr *Tracker) []string {
	out := make([]string, len(h.plain))
	for _, k := range tr.Keys() {
		out[k.Key.Data()[4]] = k.State
	}
	return out
}

// restarted writes a tracker and reads it.
func restarted(t *testing.T, seeds *Anchor, tr *Tracker) *Tracker {
	t.Helper()
	text := tr.Marshal()
	again, err := ReadTracker(seeds, text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if second := again.Marshal(); !bytes.Equal(text, second) {
		t.Fatalf("a restart made\n%s of\n%s", second, text)
	}
	return again
}
