package listener

import (
	"math/bits"

	"lastgood/internal/event"
	"lastgood/internal/resolver"
	"lastgood/internal/wire"
)

// Cells of what is counted of questions, for each transport.
const (
	cellQueries   = iota
	cellCached                                    // answered from the cache alone
	cellTruncated                                 // replies with TC
	cellTypes                                     // questions, by countedType
	cellReplies   = cellTypes + len(countedTypes) // by rcode
	cells         = cellReplies + rcodeSlots
)

const _ = uint(64 - cells) // a tally has a bit for each

// cellOf is where replies with an rcode are counted.
func cellOf(r wire.Rcode) int { return cellReplies + int(min(r, rcodeSlots-1)) }

// tally is what one goroutine counted and did not yet add to the counters that
// everybody reads: an atomic addition costs as much as reading a query. It is
// settled before the goroutine waits for more.
type tally struct {
	n    [cells]uint32
	used uint64 // a bit for each cell that is not 0
}

func (t *tally) count(cell int) {
	t.n[cell]++
	t.used |= 1 << cell
}

// replied counts a reply.
func (t *tally) replied(o resolver.Outcome) {
	t.count(cellOf(o.Rcode))
	if o.Truncated {
		t.count(cellTruncated)
	}
}

// settle adds what was counted of a transport to c.
func (t *tally) settle(c *counters, tr event.Transport) {
	for ; t.used != 0; t.used &= t.used - 1 {
		i := bits.TrailingZeros64(t.used)
		c.cells[tr&1][i].Add(uint64(t.n[i]))
		t.n[i] = 0
	}
}
