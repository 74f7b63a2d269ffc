package upstream

import (
	"net/netip"
	"testing"
	"time"

	"lastgood/internal/clock"
)

// Closing ends though the poller is about to wake somebody: nobody waits for it
// with what it waits for.
func TestPollerCloses(t *testing.T) {
	ended := make(chan error, 1)
	go func() {
		for range 50 {
			k := newKernel(new(entropy).Read, clock.New(), func() bool { return true }, func() {})
			d, err := k.dialDatagrams(1, netip.MustParseAddrPort("127.0.0.1:9"))
			if err != nil {
				ended <- err
				return
			}
			p := &k.poller
			p.mu.Lock()
			_, _ = d.Write([]byte("x"))        // nobody is there, which is an event
			time.Sleep(500 * time.Microsecond) // the kernel's event, and the poller waits for the lock: no bubble has either
			p.mu.Unlock()
			k.close()
			_ = d.Close()
		}
		ended <- nil
	}()
	select {
	case err := <-ended:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("close hangs")
	}
}
