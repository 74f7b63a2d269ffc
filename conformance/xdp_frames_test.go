package conformance

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// rawFrame is a question in a frame of its own making.
type rawFrame struct {
	to, from net.HardwareAddr
	id       uint16
	change   func(frame []byte) []byte
}

// checksum is the Internet checksum (RFC 1071), in the plain way.
func checksum(parts ...[]byte) uint16 {
	var acc uint32
	for _, p := range parts {
		for i := 0; i < len(p); i += 2 {
			word := uint32(p[i]) << 8
			if i+1 < len(p) {
				word |= uint32(p[i+1])
			}
			acc += word
		}
	}
	for acc > 0xffff {
		acc = acc>>16 + acc&0xffff
	}
	return ^uint16(acc)
}

// pack makes the frame: a question for www.x. from port 40000 of the client.
func (f rawFrame) pack(t *testing.T) []byte {
	q := xdpQuestion("www.x.", dns.TypeA)
	q.Id = f.id
	payload, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	from, to := netip.MustParseAddr(xdpClient4).AsSlice(), netip.MustParseAddr(xdpServer4).AsSlice()
	udp := []byte{40000 >> 8, 40000 & 0xff, 0, xdpPort, 0, byte(8 + len(payload)), 0, 0}
	udp = append(udp, payload...)
	binary.BigEndian.PutUint16(udp[6:], checksum(from, to, []byte{0, 17, 0, byte(len(udp))}, udp))
	ip := append(append([]byte{0x45, 0, 0, byte(20 + len(udp)), 0, 1, 0x40, 0, 64, 17, 0, 0}, from...), to...)
	binary.BigEndian.PutUint16(ip[10:], checksum(ip))
	frame := append(append(append([]byte{}, f.to...), f.from...), 8, 0)
	frame = append(append(frame, ip...), udp...)
	if f.change != nil {
		frame = f.change(frame)
	}
	return frame
}

// port is a socket for whole frames at the client's end.
type port struct {
	t     *testing.T
	fd    int
	index int
}

func (c *cable) port() *port {
	c.t.Helper()
	p := &port{t: c.t}
	var err error
	c.client.inside(func() {
		var ifi *net.Interface
		if ifi, err = net.InterfaceByName("v1"); err != nil {
			return
		}
		p.index = ifi.Index
		all := uint16(unix.ETH_P_ALL)<<8 | uint16(unix.ETH_P_ALL)>>8
		if p.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(all)); err != nil {
			return
		}
		err = unix.Bind(p.fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: p.index})
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { unix.Close(p.fd) })
	return p
}

func (p *port) send(frame []byte) {
	p.t.Helper()
	if err := unix.Sendto(p.fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: p.index}); err != nil {
		p.t.Fatal(err)
	}
}

// reply waits for the frame that answers the question with an id; nil when none comes.
func (p *port) reply(id uint16) []byte {
	deadline := time.Now().Add(time.Second)
	buf := make([]byte, 1<<16)
	for time.Now().Before(deadline) {
		unix.SetsockoptTimeval(p.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000})
		n, _, err := unix.Recvfrom(p.fd, buf, 0)
		if err != nil || n < 14+20+8+12 {
			continue
		}
		if f := buf[:n]; f[12] == 8 && f[13] == 0 && f[23] == 17 && binary.BigEndian.Uint16(f[34:]) == xdpPort && binary.BigEndian.Uint16(f[42:]) == id {
			return f
		}
	}
	return nil
}

// macs are those of both ends.
func (c *cable) macs() (server, client net.HardwareAddr) {
	c.t.Helper()
	for _, end := range []struct {
		n    *namespace
		link string
		mac  *net.HardwareAddr
	}{{c.server, "v0", &server}, {c.client, "v1", &client}} {
		end.n.inside(func() {
			if ifi, err := net.InterfaceByName(end.link); err == nil {
				*end.mac = ifi.HardwareAddr
			}
		})
	}
	return server, client
}

// set replaces octets, and mends the checksum of the IP header.
func set(at int, octets ...byte) func([]byte) []byte {
	return func(f []byte) []byte {
		copy(f[at:], octets)
		f[24], f[25] = 0, 0
		binary.BigEndian.PutUint16(f[24:], checksum(f[14:34]))
		return f
	}
}

// frames are questions that no ordinary client sends.
func (c *cable) frames() {
	server, client := c.macs()
	p := c.port()
	for i, f := range []struct {
		name            string
		change          func([]byte) []byte
		taken, answered bool
	}{
		{"plain", nil, true, true},
		{"no UDP checksum", set(40, 0, 0), true, true},
		{"wrong UDP checksum", func(f []byte) []byte { f[40] ^= 1; return f }, true, false},
		{"wrong checksum of the header", func(f []byte) []byte { f[24] ^= 1; return f }, true, false},
		{"a VLAN's", func(f []byte) []byte { return append(append(append([]byte{}, f[:12]...), 0x81, 0, 0, 5), f[12:]...) }, false, false},
		{"a first fragment", set(20, 0x20, 0), false, false},
		{"a later fragment", set(20, 0, 1), false, false},
		{"IP options", options, false, true},
		{"another's MAC", set(5, server[5]^1), false, false},
		{"broadcast at the link", set(0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), false, true},
		{"another port", set(36, 0, 54), false, false},
		{"a response", func(f []byte) []byte { f[44] |= 0x80; f[40], f[41] = 0, 0; return f }, true, false},
		{"plain again", nil, true, true},
	} {
		id := uint16(1000 + i)
		before := c.count(xdpReceived)
		p.send(rawFrame{to: server, from: client, id: id, change: f.change}.pack(c.t))
		reply := p.reply(id)
		taken := c.count(xdpReceived) > before
		if taken != f.taken || (reply != nil) != f.answered {
			c.t.Errorf("%s: taken %v, answered %v", f.name, taken, reply != nil)
		}
		if reply != nil && taken {
			c.exact(reply, server, client)
		}
	}
	if n := c.count(`lastgood_xdp_dropped_total{interface="v0",reason="checksum"}`); n != 2 {
		c.t.Errorf("%v wrong checksums were counted", n)
	}
}

// options gives a frame a header with IP options (no operation, four times).
func options(f []byte) []byte {
	g := append(append(append([]byte{}, f[:34]...), 1, 1, 1, 1), f[34:]...)
	g[14] = 0x46
	binary.BigEndian.PutUint16(g[16:], binary.BigEndian.Uint16(g[16:])+4)
	g[24], g[25] = 0, 0
	binary.BigEndian.PutUint16(g[24:], checksum(g[14:38]))
	return g
}

// exact looks at a reply's frame octet for octet.
func (c *cable) exact(f []byte, server, client net.HardwareAddr) {
	c.t.Helper()
	udp := f[34:]
	from, to := netip.MustParseAddr(xdpServer4).AsSlice(), netip.MustParseAddr(xdpClient4).AsSlice()
	for _, x := range []struct {
		what string
		ok   bool
	}{
		{"MACs", string(f[:6]) == string(client) && string(f[6:12]) == string(server)},
		{"addresses", string(f[26:30]) == string(from) && string(f[30:34]) == string(to)},
		{"ports", binary.BigEndian.Uint16(udp) == xdpPort && binary.BigEndian.Uint16(udp[2:]) == 40000},
		{"lengths", int(binary.BigEndian.Uint16(f[16:])) == len(f)-14 && int(binary.BigEndian.Uint16(udp[4:])) == len(udp)},
		{"time to live", f[22] == 64},
		{"not to be fragmented", binary.BigEndian.Uint16(f[20:]) == 0x4000},
		{"checksum of IP", checksum(f[14:34]) == 0},
		{"checksum of UDP", checksum(from, to, []byte{0, 17, byte(len(udp) >> 8), byte(len(udp))}, udp) == 0 && binary.BigEndian.Uint16(udp[6:]) != 0},
	} {
		if !x.ok {
			c.t.Errorf("%s: %x", x.what, f)
		}
	}
	if m := new(dns.Msg); m.Unpack(udp[8:]) != nil || len(m.Answer) != 1 {
		c.t.Errorf("the answer: %v", m)
	}
}
