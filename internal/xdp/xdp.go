package xdp

import (
	"errors"
	"log/slog"

	"lastgood/internal/clock"
)

// DefaultPort is where questions come in over UDP.
const DefaultPort = 53

// ErrUnsupported is that there is no AF_XDP, here or in this kernel.
var ErrUnsupported = errors.New("AF_XDP needs Linux 5.9 or later, with CONFIG_XDP_SOCKETS")

// Options is what an Interface needs to know. All but Log are required.
type Options struct {
	Name  string // of the network interface
	Port  uint16
	Clock *clock.Clock
	Log   *slog.Logger // nil: silent
}

// Stats is what happened at an Interface since it was started.
type Stats struct {
	Name     string
	Queues   int  // with a socket; 0: it is not served
	Native   bool // the program is in the driver, not in the kernel's generic way
	ZeroCopy bool // the driver writes into our memory
	// Addresses are those of the interface that are served.
	Addresses int

	Received uint64 // datagrams that the program gave us
	Sent     uint64 // replies
	// Dropped are those received, and replies, of which nothing came, by Drop.
	Dropped [drops]uint64
}

// Drop is why a datagram or a reply came to nothing.
type Drop uint8

// Reasons.
const (
	DropMalformed  Drop = iota // lengths that contradict each other
	DropChecksum               // of IP or UDP: wrong
	DropSource                 // from an address, port or MAC that nobody can be answered at
	DropReceive                // the kernel found no room in our frames and rings
	DropSend                   // no frame was free for a reply: the kernel had not sent those before
	DropSendError              // the system refused to send
	DropDescriptor             // the kernel named a frame that was not its to give
	drops          = iota
)

func (d Drop) String() string {
	return [...]string{"malformed", "checksum", "source", "receive-buffer", "send-buffer", "send-error", "descriptor"}[d%drops]
}
