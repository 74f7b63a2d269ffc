package app

import (
	"context"
	"reflect"
	"sync"
	"testing"
)

// What is taken is zero, begins at a line, and is nobody else's; then there is no more.
func TestPagesAreTakenOnce(t *testing.T) {
	p := newPages(hugePage + 1)
	if p == nil {
		t.Skip("no memory can be reserved")
	}
	if len(p.all) != 2*hugePage || reflect.ValueOf(p.all).Pointer()%hugePage != 0 {
		t.Fatalf("%d octets reserved at %x", len(p.all), reflect.ValueOf(p.all).Pointer())
	}
	ctx, end := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { p.keepAhead(ctx) })
	sum := 0
	for _, n := range []int{1, 64, 100, 16 << 10, hugePage} {
		b := p.take(n)
		if len(b) != n || reflect.ValueOf(b).Pointer()%64 != 0 {
			t.Fatalf("%d octets at %x, want %d", len(b), reflect.ValueOf(b).Pointer(), n)
		}
		for i := range b {
			if b[i] != 0 {
				t.Fatalf("octet %d of %d belongs to somebody", i, n)
			}
			b[i] = 1
		}
		sum += n
	}
	if p.take(2*hugePage-sum) != nil {
		t.Error("more is given than there is")
	}
	end()
	wg.Wait()
}

// Pages are made ahead of what was taken, a bounded piece, and those that somebody
// overtook are not made again.
func TestPagesAreMadeAhead(t *testing.T) {
	p := newPages(8 * hugePage)
	if p == nil {
		t.Skip("no memory can be reserved")
	}
	from := func() (at int) { return p.made }
	for p.next() != nil {
	}
	if from() != aheadOf {
		t.Fatalf("%d octets are made for nothing taken", from())
	}
	p.take(1)
	if p.next() == nil || p.next() != nil || from() != aheadOf+hugePage {
		t.Errorf("%d octets are made for one", from())
	}
	p.take(5 * hugePage)
	first := p.next()
	if want := reflect.ValueOf(p.all).Pointer() + 5*hugePage; reflect.ValueOf(first).Pointer() != want {
		t.Errorf("what was overtaken is made again")
	}
	for p.next() != nil {
	}
	if from() != len(p.all) {
		t.Errorf("%d of %d octets are made at the end", from(), len(p.all))
	}
}
