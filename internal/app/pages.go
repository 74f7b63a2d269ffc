package app

import (
	"context"
	"sync"
)

// pages is memory for the cache outside the Go heap. All of it is reserved at once,
// which costs addresses; the system gives the pages as they are used, huge ones where
// it has any: with small ones most lookups in a large cache would wait for the
// processor to find where a page is, and for the entry only then.
//
// Nothing is ever given back, nor does anything else have it: whoever was given some
// may keep it until the process ends. That is why there is one for each process at
// most, see Options.Mapped.
//
// A huge page takes its time to be made, up to milliseconds. So pages are made ahead,
// behind the scenes: keepAhead stays aheadOf octets before what was taken, as long as
// nobody takes faster than pages can be made.
type pages struct {
	mu    sync.Mutex
	all   []byte
	taken int
	made  int // of all; as many as the system was asked to make

	wake chan struct{} // of one slot, filled: it is time to make more
}

const (
	hugePage = 2 << 20
	aheadOf  = 2 * hugePage
)

// newPages reserves room for so many octets; nil where that cannot be had.
func newPages(size int64) *pages {
	all := reserve((int(size) + hugePage - 1) &^ (hugePage - 1))
	if all == nil {
		return nil
	}
	return &pages{all: all, wake: make(chan struct{}, 1)}
}

// Reserved is how many octets are for the cache outside the Go heap, as far as it needs
// them; see Options.Mapped.
func (a *App) Reserved() int64 {
	if a.pages == nil {
		return 0
	}
	return int64(len(a.pages.all))
}

// take gives octets that nobody had before, beginning at a multiple of 64; nil: there
// are no more.
func (p *pages) take(octets int) []byte {
	const line = 64
	p.mu.Lock()
	defer p.mu.Unlock()
	end := p.taken + (octets+line-1)&^(line-1)
	if end > len(p.all) {
		return nil
	}
	got := p.all[p.taken : p.taken+octets : p.taken+octets]
	p.taken = end
	if p.made < min(p.taken+aheadOf, len(p.all)) {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
	return got
}

// next is what is to be made next; nil: nothing yet.
func (p *pages) next() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	from := max(p.made, p.taken&^(hugePage-1)) // what was overtaken is made by those who use it
	if from >= min(p.taken+aheadOf, len(p.all)) {
		return nil
	}
	p.made = min(from+hugePage, len(p.all))
	return p.all[from:p.made]
}

// keepAhead makes pages until ctx ends.
func (p *pages) keepAhead(ctx context.Context) {
	for {
		for piece := p.next(); piece != nil; piece = p.next() {
			if !populate(piece) {
				return // then they come as they are used
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		}
	}
}
