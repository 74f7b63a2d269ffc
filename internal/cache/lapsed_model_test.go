package cache

import (
	"math/rand/v2"
	"testing"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/stale"
)

// cutModel is what is known of cuts, by a plain map: of each when it expires and
// when it is gone.
type cutModel map[dnsname.Name][2]clock.Mono

// deepest searches for a cut in one of the states.
func (m cutModel) deepest(now clock.Mono, n dnsname.Name, want ...stale.State) dnsname.Name {
	for {
		if e, ok := m[n]; ok {
			state := stale.Gone
			if now < e[0] {
				state = stale.Fresh
			} else if now < e[1] {
				state = stale.Stale
			}
			for _, w := range want {
				if state == w && w != stale.Gone {
					return n
				}
			}
		}
		if n.IsRoot() {
			return ""
		}
		n = n.Parent()
	}
}

// Random referrals, denials and removals in random time, against the model.
func TestDelegationsAgainstModel(t *testing.T) {
	names := []dnsname.Name{dnsname.Root}
	for _, n := range []string{"test.", "n1.test.", "a.n1.test.", "n2.test.", "a.n2.test.", "b.a.n2.test.", "example.", "n3.example.", "a.n3.example."} {
		names = append(names, name(n))
	}
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 14))
		c := New(Options{Size: 4 << 20, Seed: seed, Stale: modelRules})
		limits := &model{o: c.opt}
		m := cutModel{}
		now, lapsedSeen := at(0), 0
		for step := range 5000 {
			n := names[r.IntN(len(names))]
			switch r.IntN(12) {
			case 0:
				now = now.Add(time.Duration(r.IntN(1<<r.IntN(16))) * time.Second)
			case 1:
				c.Sweep(now)
			case 2:
				c.DropDelegation(n)
				delete(m, n)
			case 3:
				if r.IntN(8) == 0 {
					c.Bury(now, n)
					for cut := range m {
						if cut.Under(n) {
							delete(m, cut)
						}
					}
				}
			case 4, 5:
				d := referral(n)
				d.TTL = 1 + r.Uint32N(1<<r.IntN(18))
				c.PutDelegation(now, d)
				expiry := now.Add(seconds(d.TTL))
				m[n] = [2]clock.Mono{expiry, expiry.Add(limits.limit(&Entry{Name: n, TTL: 1}))}
			default:
				check := func(what string, d *Delegation, ok bool, want dnsname.Name) {
					if ok != (want != "") || ok && d.Cut != want {
						t.Fatalf("seed %d step %d at %v: %s %v: %v %+v, want %q", seed, step, now, what, n, ok, d, want)
					}
				}
				d, ok := c.Closest(now, n)
				check("closest of", d, ok, m.deepest(now, n, stale.Fresh))
				d, ok = c.Lapsed(now, n)
				if ok {
					lapsedSeen++
				}
				check("lapsed of", d, ok, m.deepest(now, n, stale.Stale))
				d, ok = c.Delegation(now, n)
				want := m.deepest(now, n, stale.Fresh, stale.Stale)
				if want != n {
					want = ""
				}
				check("exactly", d, ok, want)
			}
		}
		if st := c.Stats(); st.EvictCuts > 0 || lapsedSeen < 100 {
			t.Errorf("seed %d: %d found lapsed: the comparison is void: %+v", seed, lapsedSeen, st)
		}
	}
}
