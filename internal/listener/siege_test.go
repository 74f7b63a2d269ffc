package listener

import (
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/simnet"
)

// besieger holds a connection; long is a framed question with a large answer.
type besieger func(nc net.Conn, long []byte)

// The ways to hold a connection: say nothing; half a length; a question octet by
// octet; questions without reading the answers; one question after the other.
var besiegers = map[string]besieger{
	"idle":          func(net.Conn, []byte) {},
	"half a length": func(nc net.Conn, long []byte) { nc.Write(long[:1]) },
	"slow": func(nc net.Conn, long []byte) {
		for i := range long {
			if _, err := nc.Write(long[i : i+1]); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	},
	"never reads": func(nc net.Conn, long []byte) {
		for range 100 {
			if _, err := nc.Write(long); err != nil {
				return
			}
		}
	},
	"one after the other": func(nc net.Conn, long []byte) {
		for range 20 {
			if _, err := nc.Write(long); err != nil {
				return
			}
			if _, err := readFrame(nc); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	},
}

const siegeEach = 50 // connections of an attacker

// Ten thousand idle connections of two hundred attackers, or two thousand busy
// ones (there is room for a thousand), keep nobody from being answered: not over
// UDP, not on a connection that is in use, and not on a new one.
func TestSiege(t *testing.T) {
	for name, attack := range besiegers {
		t.Run(name, func(t *testing.T) {
			hosts := 40
			if name == "idle" {
				hosts = 200
			}
			synctest.Test(t, func(t *testing.T) { siege(t, hosts, attack) })
		})
	}
}

func siege(t *testing.T, hosts int, attack besieger) {
	n := simnet.New(simnet.Options{Seed: 1})
	defer n.Close()
	n.SetDefault(simnet.Link{Latency: 5 * time.Millisecond})
	server := netip.MustParseAddrPort("192.0.2.53:53")
	o := testOptions(newFake())
	o.Network, o.Addresses = n.Host(server.Addr()), []netip.AddrPort{server}
	o.Allow = append(o.Allow, netip.MustParsePrefix("198.51.100.0/24"))
	l := New(o)
	if err := l.Start(); err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	var attackers sync.WaitGroup
	defer attackers.Wait()
	defer close(over)
	good := n.Host(netip.MustParseAddr("192.0.2.7"))
	kept := connect(t, good, server)
	defer kept.Close()
	for i := range hosts {
		host := n.Host(netip.AddrFrom4([4]byte{198, 51, 100, byte(1 + i)}))
		for range siegeEach {
			attackers.Go(func() { besiege(t, host, server, attack, over) })
		}
		time.Sleep(10 * time.Millisecond)
		if i%20 == 0 {
			answered(t, "a connection in use", kept, 100*time.Millisecond)
		}
	}
	for range 5 {
		udp, err := good.DialUDP(t.Context(), server)
		if err != nil {
			t.Fatal(err)
		}
		udp.SetDeadline(time.Now().Add(100 * time.Millisecond))
		udp.Write(query(t, "hit.example."))
		if k, err := udp.Read(make([]byte, 512)); k == 0 || err != nil {
			t.Errorf("over UDP: %v", err)
		}
		udp.Close()
		answered(t, "a connection in use", kept, 100*time.Millisecond)
		fresh := connect(t, good, server)
		answered(t, "a new connection", fresh, 100*time.Millisecond)
		fresh.Close()
		time.Sleep(time.Second)
	}
	if open := l.Stats().TCP.Open; open > 1000 {
		t.Errorf("%d connections are open", open)
	}
	if err := l.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func besiege(t *testing.T, host *simnet.Host, server netip.AddrPort, attack besieger, over <-chan struct{}) {
	nc, err := host.DialTCP(t.Context(), server)
	if err != nil {
		return
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	attack(nc, frame(query(t, "big.example.", qtype(16))))
	<-over
}

func answered(t *testing.T, who string, c net.Conn, within time.Duration) {
	t.Helper()
	c.SetDeadline(time.Now().Add(within))
	if _, err := c.Write(frame(query(t, "hit.example."))); err != nil {
		t.Errorf("%s: %v", who, err)
	} else if _, err := readFrame(c); err != nil {
		t.Errorf("%s: %v", who, err)
	}
}
