package scenario

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/simnet"
)

// Thirty packets of a hundred are lost in either direction, from the first on:
// the zone is not taken for failing, though half of all exchanges come to
// nothing. With fifty of a hundred three exchanges of four are lost; that is
// told, not promised.
func TestLossFailsNoZone(t *testing.T) {
	heavy(t)
	for _, loss := range []float64{0.3, 0.5} {
		for servers := 1; servers <= 4; servers++ {
			failing, failed, asked := 0, 0, 0
			const seeds = 20
			for seed := range uint64(seeds) {
				synctest.Test(t, func(t *testing.T) {
					var members []member
					for n := range servers {
						members = append(members, member{
							addr: fmt.Sprintf("192.0.2.1%d", n), zones: []string{"one."},
							link: simnet.Link{Latency: 15 * time.Millisecond, Loss: loss},
						})
					}
					g := newRig(t, seed, "", members...)
					g.load(2*time.Minute, 1, always("one."))
					g.end()
					all := g.between("", 0, time.Hour)
					failing, failed, asked = failing+len(g.failing), failed+failures(all), asked+len(all)
				})
			}
			t.Logf("loss %.0f %%, %d servers: %d times failing in %d worlds, %d of %d questions failed", 100*loss, servers, failing, seeds, failed, asked)
			if loss < 0.4 && failing > 0 {
				t.Errorf("loss %.0f %%, %d servers: %d times failing", 100*loss, servers, failing)
			}
		}
	}
}
