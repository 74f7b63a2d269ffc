package infra

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
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

// Servers of a family that is dead are rechecked where no others serve, and only
// there.
func TestDeadFamilyIsRecheckedWhereNothingElseServes(t *testing.T) {
	four := Candidate{Addr: netip.MustParseAddrPort("192.0.2.1:53")}
	six := Candidate{Addr: netip.MustParseAddrPort("[2001:db8::1]:53")}
	for want, servers := range map[string][]Candidate{
		"[2001:db8::1]:53": {six}, "192.0.2.1:53": {six, four},
	} {
		i, cut := fresh(Options{}), dnsname.MustParse("example.")
		i.families[1].dead = true
		i.CutFailed(sec, cut, &ede.Error{ID: "TEST"}, Blame{Silent: servers})
		i.Wanted(sec, Want{Cut: cut, Fixed: true, Servers: servers, Question: question("www", cut)})
		due, _ := i.Rechecks(sec)
		if len(due) != 1 || due[0].Server.Addr.String() != want {
			t.Errorf("%v, want one of %s", due, want)
		}
	}
}
