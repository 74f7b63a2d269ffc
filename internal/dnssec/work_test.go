package dnssec

import (
	"sync"
	"testing"
	"testing/synctest"

	"lastgood/internal/ede"
)

// TestSlots: a question whose signatures are wrong, or many, waits for a slot; others
// do not, and no more wait than there may.
func TestSlots(t *testing.T) {
	p := newPair(t, "example.", Ed25519, 256)
	good, list := setOf(t, "www.example. 300 IN A 192.0.2.1")
	p.sign(t, good, list, nil)
	wrong := good.Clone()
	wrong.Sigs[len(wrong.Sigs)-1] ^= 1
	synctest.Test(t, func(t *testing.T) {
		limits := ample
		limits.Work = &Work{Slots: make(chan struct{}, 1)}
		limits.Work.Slots <- struct{}{} // somebody else's
		verify := func(v *Verifier, n int) {
			for range n {
				_, _ = v.Verify(good)
			}
		}
		usual, many, bad := verifier("example.", p), verifier("example.", p), verifier("example.", p)
		for _, v := range []*Verifier{usual, many, bad} {
			v.Budget = NewBudget(limits)
		}
		verify(usual, usualSignatures)
		_, _ = bad.Verify(&wrong)
		var wait sync.WaitGroup
		wait.Go(func() { verify(many, usualSignatures+1) })
		wait.Go(func() { verify(bad, 1) })
		synctest.Wait()
		if n := limits.Work.waiting.Load(); n != 2 {
			t.Errorf("%d wait", n)
		}
		for range mostWaiting - 2 {
			wait.Go(func() {
				v := verifier("example.", p)
				v.Budget = NewBudget(limits)
				v.Budget.vain.Store(1)
				verify(v, 1)
			})
		}
		synctest.Wait()
		_, err := many.Verify(good)
		if err == nil || err.ID != "WORK" || err.Code != ede.Bogus {
			t.Errorf("one too many: %v", err)
		}
		<-limits.Work.Slots
		wait.Wait()
		if n := limits.Work.waiting.Load(); n != 0 || len(limits.Work.Slots) != 0 {
			t.Errorf("%d wait, %d slots are taken", n, len(limits.Work.Slots))
		}
	})
}

// TestVain: verifications in vain have a bound of their own.
func TestVain(t *testing.T) {
	p := newPair(t, "example.", Ed25519, 256)
	s, list := setOf(t, "www.example. 300 IN A 192.0.2.1")
	p.sign(t, s, list, nil)
	wrong := s.Clone()
	wrong.Sigs[len(wrong.Sigs)-1] ^= 1
	limits := ample
	limits.Vain = 3
	v := verifier("example.", p)
	v.Budget = NewBudget(limits)
	for i := range 5 {
		if _, err := v.Verify(&wrong); err == nil || (err.ID == "WORK") != (i >= 3) {
			t.Errorf("%d: %v", i, err)
		}
	}
	if _, err := v.Verify(s); err == nil || err.ID != "WORK" {
		t.Errorf("afterwards: %v", err)
	}
}
