package app

import (
	"fmt"

	"lastgood/internal/config"
	"lastgood/internal/listener"
	"lastgood/internal/xdp"
)

// interfaces makes what takes the questions of network interfaces. In a simulated network there are none.
func (a *App) interfaces() []*xdp.Interface {
	if a.o.Listen != nil {
		return nil
	}
	var list []*xdp.Interface
	for _, e := range a.o.Config.Listen {
		if e.Interface != "" {
			list = append(list, xdp.New(xdp.Options{Name: e.Interface, Port: e.Addr.Port(), Clock: a.clock, Log: a.o.Log}))
		}
	}
	return list
}

// CheckInterfaces tells what stands in the way of taking the questions of the
// network interfaces that a configuration names: none of that name, no privilege,
// a system that cannot do it. Its error is a [Mistake]. Nothing is changed.
func CheckInterfaces(c *config.Config) error {
	for _, e := range c.Listen {
		if e.Interface == "" {
			continue
		}
		if err := xdp.Check(e.Interface); err != nil {
			return Mistake{fmt.Errorf("listen: %w", err)}
		}
	}
	return nil
}

// frames lends an interface of package xdp to the listener.
type frames struct{ *xdp.Interface }

// Start gives the queues as the listener knows them.
func (f frames) Start() ([]listener.Frames, error) {
	queues, err := f.Interface.Start()
	if err != nil {
		return nil, err
	}
	list := make([]listener.Frames, len(queues))
	for i, q := range queues {
		list[i] = q
	}
	return list, nil
}

// gatherInterfaces tells what came past the kernel's stack.
func (a *App) gatherInterfaces(g gatherer) {
	for _, i := range a.xdp {
		g.frames(i.Stats())
	}
}

func (g gatherer) frames(s xdp.Stats) {
	way := func(b bool, yes, no string) string {
		if b {
			return yes
		}
		return no
	}
	g.gauge("lastgood_xdp_queues", "Receive queues of an interface that have an AF_XDP socket.", float64(s.Queues),
		"interface", s.Name, "mode", way(s.Native, "native", "generic"), "memory", way(s.ZeroCopy, "zero-copy", "copy"))
	g.gauge("lastgood_xdp_addresses", "Addresses of an interface whose questions are taken by AF_XDP.", float64(s.Addresses), "interface", s.Name)
	g.count("lastgood_xdp_received_total", "Datagrams taken from an interface by AF_XDP.", s.Received, "interface", s.Name)
	g.count("lastgood_xdp_sent_total", "Replies put out at an interface by AF_XDP.", s.Sent, "interface", s.Name)
	for d, n := range s.Dropped {
		g.count("lastgood_xdp_dropped_total", "Datagrams and replies that AF_XDP had no use or no room for.", n, "interface", s.Name, "reason", xdp.Drop(d).String())
	}
}
