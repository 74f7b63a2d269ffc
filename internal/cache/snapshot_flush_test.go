package cache

import (
	"bytes"
	"runtime"
	"sync"
	"testing"

	"lastgood/internal/wire"
)

// begun tells of the first read.
type begun struct {
	*bytes.Reader
	tell func()
}

func (b *begun) Read(p []byte) (int, error) {
	b.tell()
	return b.Reader.Read(p)
}

// What is removed while a snapshot is only looked through, before anything of it
// is stored, does not come back with it either.
func TestSnapshotBringsNothingBackFromTheBeginning(t *testing.T) {
	c := New(Options{Size: 1 << 20})
	for _, n := range []string{"flushed.example.", "a.buried.example.", "kept.example."} {
		c.Put(at(0), address(name(n), 3600))
	}
	b := save(t, c, at(0), noon, SnapshotHeader{})
	d := New(Options{Size: 1 << 20})
	done := make(chan int, 1)
	r := &begun{bytes.NewReader(b), sync.OnceFunc(func() {
		d.Bury(at(0), name("buried.example."))
		go func() { done <- d.Flush(name("flushed.example."), wire.TypeNone) }() // waits for the end
		for range 1000 {
			runtime.Gosched()
		}
	})}
	if _, err := d.ReadSnapshot(r, at(0), noon, SnapshotHeader{}); err != nil {
		t.Fatal(err)
	}
	if n := <-done; n != 1 {
		t.Errorf("%d entries were flushed, want 1", n)
	}
	for range 100 {
		d.Sweep(at(0))
	}
	if n := d.Stats().Entries; n != 1 {
		t.Errorf("%d entries, want 1", n)
	}
}
