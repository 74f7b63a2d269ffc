package dnssec

import (
	"crypto/ecdsa"
	"sync"
	"testing"
	"testing/synctest"

	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/wire"
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

// TestSlotAfterPanic: a slot is free again whatever a verification does; whoever judges
// answers goes on after a panic, and all slots would be taken for ever.
func TestSlotAfterPanic(t *testing.T) {
	p := newPair(t, "example.", ECDSAP384, 384)
	s, list := setOf(t, "www.example. 300 IN A 192.0.2.1")
	p.sign(t, s, list, nil)
	limits := ample
	limits.Work = &Work{Slots: make(chan struct{}, 1)}
	v := verifier("example.", p)
	broken := *v.Keys[0]
	broken.public = new(ecdsa.PublicKey) // of no curve
	v.Keys, v.Budget = []*Key{&broken}, NewBudget(limits)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		_, _ = v.Verify(s)
	}()
	if n := len(limits.Work.Slots); n != 0 {
		t.Errorf("%d slots are taken", n)
	}
}

// TestSlow: what takes long waits for a slot at once.
func TestSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := ample
		limits.Work = &Work{Slots: make(chan struct{}, 1)}
		limits.Work.Slots <- struct{}{}
		var wait sync.WaitGroup
		for _, kind := range []struct {
			a    Algorithm
			bits int
			n    int32 // that wait
		}{{ECDSAP256, 256, 0}, {RSASHA256, 2048, 0}, {ECDSAP384, 384, 1}, {RSASHA256, 2304, 2}} {
			p := newPair(t, "example.", kind.a, kind.bits)
			s, list := setOf(t, "www.example. 300 IN A 192.0.2.1")
			p.sign(t, s, list, nil)
			v := verifier("example.", p)
			v.Budget = NewBudget(limits)
			wait.Go(func() {
				if _, err := v.Verify(s); err != nil {
					t.Errorf("%v: %v", kind.a, err)
				}
			})
			synctest.Wait()
			if n := limits.Work.waiting.Load(); n != kind.n {
				t.Errorf("%v of %d bits: %d wait", kind.a, kind.bits, n)
			}
		}
		<-limits.Work.Slots
		wait.Wait()
	})
}

// TestSlowHashes: what counts of hashes is how often they are computed.
func TestSlowHashes(t *testing.T) {
	m := &model{dnsname.MustParse("z.example."), map[dnsname.Name][]wire.Type{dnsname.MustParse("z.example."): {wire.TypeSOA}}}
	synctest.Test(t, func(t *testing.T) {
		limits := ample
		limits.Work = &Work{Slots: make(chan struct{}, 1)}
		limits.Work.Slots <- struct{}{}
		var wait sync.WaitGroup
		for i, iterations := range []uint16{0, 50} {
			d := NewDenial(m.zone, m.nsec3s(iterations, nil, false), lenient, NewBudget(limits))
			wait.Go(func() {
				if p, err := d.NXDomain(dnsname.MustParse("a.b.c.d.e.f.g.h.z.example.")); p != Proven {
					t.Errorf("%d iterations: %v, %v", iterations, p, err)
				}
			})
			synctest.Wait()
			if n := limits.Work.waiting.Load(); n != int32(i) {
				t.Errorf("%d iterations: %d wait", iterations, n)
			}
		}
		<-limits.Work.Slots
		wait.Wait()
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
