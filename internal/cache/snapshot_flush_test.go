package cache

import (
	"bytes"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

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

// stuck is a disk that takes nothing more after so many writes, until it is told to.
type stuck struct {
	after int
	began chan struct{}
	ends  chan struct{}
}

func (s *stuck) Write(b []byte) (int, error) {
	if s.after--; s.after == 0 {
		close(s.began)
		<-s.ends
	}
	return len(b), nil
}

// Saving that hangs in its disk holds nobody up, whatever it is at.
func TestSnapshotToADiskThatHangs(t *testing.T) {
	for _, after := range []int{1, 3, 10} { // the beginning, delegations, entries
		t.Run(strconv.Itoa(after), func(t *testing.T) { hang(t, after) })
	}
}

func hang(t *testing.T, after int) {
	t.Helper()
	c := New(Options{Size: 16 << 20})
	fill(t, c, at(0), "n", 300, 5000)
	for i := range 5000 {
		c.PutDelegation(at(0), referral(numbered("zone", i)))
	}
	disk := &stuck{after: after, began: make(chan struct{}), ends: make(chan struct{})}
	saved := make(chan error, 1)
	go func() {
		_, err := c.WriteSnapshot(disk, at(0), noon, SnapshotHeader{})
		saved <- err
	}()
	select {
	case <-disk.began:
	case err := <-saved:
		t.Fatalf("saved before it could hang: %v", err)
	}
	used := make(chan int)
	go func() {
		for i := range 5000 {
			c.Put(at(0), address(numbered("n", i), 60))
			c.PutDelegation(at(0), referral(numbered("zone", i)))
			c.Closest(at(0), numbered("zone", i))
		}
		n := found(c, at(0), "n", 5000)
		c.Sweep(at(0))
		c.Flush(numbered("n", 1), wire.TypeNone)
		c.FlushBelow(name("example."))
		used <- n
	}()
	select {
	case n := <-used:
		if n != 5000 {
			t.Errorf("%d found", n)
		}
	case <-time.After(20 * time.Second):
		t.Error("somebody waits for the disk")
	}
	close(disk.ends)
	if err := <-saved; err != nil {
		t.Error(err)
	}
}
