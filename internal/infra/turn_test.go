package infra

import (
	"fmt"
	"testing"
	"time"

	"lastgood/internal/dnsname"
)

// Turns of a cut are a second apart; those of all cuts keep to the budget of
// rechecks, and what goes beyond is counted.
func TestTurnsAreBounded(t *testing.T) {
	i := fresh(Options{})
	cuts := make([]dnsname.Name, 2000)
	for n := range cuts {
		cuts[n] = dnsname.MustParse(fmt.Sprintf("z%d.example.", n))
	}
	taken := map[dnsname.Name]int{}
	const seconds, step = 5, 100 * time.Millisecond
	for now := sec; now < sec.Add(seconds*time.Second); now = now.Add(step) {
		for _, cut := range cuts {
			if i.Turn(now, cut) {
				taken[cut]++
			}
		}
	}
	all, most := 0, 0
	for _, n := range taken {
		all, most = all+n, max(most, n)
	}
	if all > seconds*recheckRate+recheckBurst || all < seconds*recheckRate*9/10 || most > seconds {
		t.Errorf("%d turns in %d s, %d of one cut", all, seconds, most)
	}
	if i.Stats().RecheckBudgetHits == 0 {
		t.Error("what went beyond the budget is not counted")
	}
}
