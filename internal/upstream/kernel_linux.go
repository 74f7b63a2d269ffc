package upstream

import "net/netip"

// kernel opens the sockets of an Upstream that was given no Network.
type kernel struct {
	System
	poller poller
}

func newKernel(random func([]byte)) *kernel { return &kernel{System: System{Random: random}} }

func (k *kernel) dialDatagrams(to netip.AddrPort) (datagrams, error) {
	d, err := k.poller.dialDatagram(to, k.port)
	if err != nil {
		return nil, err // not d: a nil pointer is no nil interface
	}
	return d, nil
}

func (k *kernel) close() { k.poller.close() }
