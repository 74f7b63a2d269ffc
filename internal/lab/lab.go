package lab

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"

	"lastgood/internal/authority"
	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
)

// Options say what a Lab is to be.
type Options struct {
	World  *World // nil: lastgood's own, signed when it starts
	Seed   uint64 // of what chance there is: which datagrams are lost
	Socket string // Unix socket where faults can be set; "": none
}

// Lab is a World that runs on loopback ports.
type Lab struct {
	world   *World
	servers []*authority.Server // as World.Servers
	network *Network
	cancel  context.CancelFunc
	running sync.WaitGroup
	anchors []string

	mu     sync.Mutex
	faults map[dnsname.Name]authority.Fault // set while it runs, by zone
}

// Start opens a socket pair for every address of every server and serves until
// ctx ends or Close is called.
func Start(ctx context.Context, o Options) (*Lab, error) {
	var anchors []string
	if o.World == nil {
		w, err := NewWorld()
		if err != nil {
			return nil, err
		}
		signed, ds, err := w.Signed(clock.New().Wall())
		if err != nil {
			return nil, fmt.Errorf("lab: %w", err)
		}
		o.World = signed
		for _, r := range ds {
			anchors = append(anchors, r.String())
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	l := &Lab{world: o.World, cancel: cancel, anchors: anchors, faults: map[dnsname.Name]authority.Fault{}}
	if err := l.start(ctx, o); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

func (l *Lab) start(ctx context.Context, o Options) (err error) {
	if l.network, err = newNetwork(); err != nil {
		return err
	}
	l.running.Go(func() {
		<-ctx.Done()
		l.network.sink.Close()
	})
	for i, s := range o.World.Servers {
		a := o.World.NewServer(s, authority.Options{Rand: rand.New(rand.NewPCG(o.Seed, uint64(i)))})
		l.servers = append(l.servers, a)
		for _, addr := range s.Addrs {
			if err := l.open(ctx, a, s, addr); err != nil {
				return fmt.Errorf("lab server %s: %w", s.Host, err)
			}
		}
	}
	if o.Socket != "" {
		return l.serveControl(ctx, o.Socket)
	}
	return nil
}

// open serves a server's address on ports of its own.
func (l *Lab) open(ctx context.Context, a *authority.Server, s Server, addr netip.Addr) error {
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		udp.Close()
		return err
	}
	l.network.ports[addr] = ports{udp: addrPort(udp.LocalAddr()), tcp: addrPort(tcp.Addr()), server: a, serves: s.Serves}
	outlet := &Outlet{Handler: a, UDP: udp, TCP: tcp, Latency: s.Latency, Forge: forge}
	l.running.Go(func() { outlet.Serve(ctx) })
	return nil
}

// forge sends from another port, and for want of other machines that is also
// the other address: the client's socket tells neither from any stranger.
func forge(_ authority.Source, to net.Addr, msg []byte) {
	conn, err := net.Dial("udp4", to.String())
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = conn.Write(msg) // the client will not read it anyway
}

// Close ends the lab and waits until all of it is gone.
func (l *Lab) Close() error {
	l.cancel()
	l.running.Wait()
	return nil
}

// World is what runs.
func (l *Lab) World() *World { return l.world }

// Network is how a resolver reaches the servers.
func (l *Lab) Network() *Network { return l.network }

// RootHints lists the root's servers with their documentation addresses.
func (l *Lab) RootHints() []cache.NameServer { return l.world.RootHints() }

// TrustAnchors gives the DS records of the root in presentation form, as
// dnssec.trust-anchors takes them; none when a World was given, who signed that has
// them.
func (l *Lab) TrustAnchors() []string { return slices.Clone(l.anchors) }
