//go:build !linux

package xdp

import (
	"fmt"
	"net"
	"net/netip"
)

// Interface is what takes an interface's questions on Linux. Here it does nothing.
type Interface struct{ o Options }

// New prepares an Interface.
func New(o Options) *Interface { return &Interface{o} }

// Check says that there is no such thing here.
func Check(name string) error { return fmt.Errorf("xdp://%s: %w: leave it out", name, ErrUnsupported) }

// Start fails.
func (i *Interface) Start() ([]*Queue, error) { return nil, Check(i.o.Name) }

// Stop does nothing.
func (i *Interface) Stop() {}

// Close does nothing.
func (i *Interface) Close() {}

// Stats is empty.
func (i *Interface) Stats() Stats { return Stats{Name: i.o.Name} }

// Queue is never made.
type Queue struct{}

// Room is 0.
func (*Queue) Room() int { return 0 }

// Receive fails.
func (*Queue) Receive() (int, error) { return 0, net.ErrClosed }

// Query has none.
func (*Queue) Query(int) (query []byte, from netip.Addr, room []byte, ok bool) {
	return nil, netip.Addr{}, nil, false
}

// Reply does nothing.
func (*Queue) Reply(int, []byte) {}

// Path has none.
func (*Queue) Path(int, []byte) int { return 0 }

// Flush does nothing.
func (*Queue) Flush() {}

// Send fails.
func (*Queue) Send(_, _ []byte) error { return net.ErrClosed }
