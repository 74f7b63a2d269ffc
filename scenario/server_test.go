package scenario

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"lastgood/internal/authority"
	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/simnet"
)

// server is an authority on a host of its own.
type server struct {
	w      *world
	name   string
	addrs  []netip.Addr
	port   uint16
	zones  map[dnsname.Name]string // the file of each
	link   simnet.Link
	noTCP  bool
	noHint bool
	host   *simnet.Host
	auth   *authority.Server

	mu     sync.Mutex
	canned []*canned // in the order of the script; the last that fits counts
}

// addServer makes a server of the words of its statement.
func (w *world) addServer(words []string) error {
	if len(words) < 2 {
		return fmt.Errorf("server NAME ADDR[,ADDR] [ZONE[=FILE]…] [option…]")
	}
	s := &server{w: w, name: words[0], port: 53, zones: map[dnsname.Name]string{}}
	if _, err := dnsname.Parse(s.name); err != nil {
		return err
	}
	if _, err := w.named(s.name); err == nil {
		return fmt.Errorf("%s is there already", s.name)
	}
	var err error
	if s.addrs, err = addresses(words[1]); err != nil {
		return err
	}
	rest := words[2:]
	for len(rest) > 0 && isName(rest[0]) {
		text, file, own := strings.Cut(rest[0], "=")
		zone, err := dnsname.Parse(text)
		if err != nil {
			return err
		}
		if !own {
			file = zoneFile(zone)
		}
		s.zones[zone] = file
		rest = rest[1:]
	}
	o, err := optionsOf(rest, "latency= jitter= loss= mtu= no-tcp no-hint port=")
	if err != nil {
		return err
	}
	s.noTCP, s.noHint = o.has("no-tcp"), o.has("no-hint")
	if s.link, err = linkOf(o, simnet.Link{Latency: defaultLatency}); err != nil {
		return err
	}
	if o.has("port") {
		if _, err := fmt.Sscan(o.vals["port"], &s.port); err != nil {
			return err
		}
	}
	s.host = w.net.Host(s.addrs...)
	w.net.SetLinks(w.host, s.host, s.link)
	w.servers = append(w.servers, s)
	return nil
}

// isName tells a zone, which ends with a dot, from an option.
func isName(word string) bool {
	name, _, _ := strings.Cut(word, "=")
	return strings.HasSuffix(name, ".")
}

// start loads the zones and listens.
func (s *server) start() error {
	s.auth = authority.NewServer(authority.Options{NSID: []byte(s.name), Minimal: true, Rand: rand.New(rand.NewPCG(s.w.seed, uint64(len(s.w.servers))))})
	for zone, file := range s.zones {
		z, err := s.w.load(zone, file)
		if err != nil {
			return err
		}
		s.auth.SetZone(z)
	}
	for _, a := range s.addrs {
		at := netip.AddrPortFrom(a, s.port)
		p, err := s.host.ListenPacket(at)
		if err != nil {
			return err
		}
		go s.serveUDP(p, at)
		if s.noTCP {
			continue
		}
		l, err := s.host.Listen(at)
		if err != nil {
			return err
		}
		go s.serveTCP(l)
	}
	return nil
}

// serveUDP answers datagrams until the network closes.
func (s *server) serveUDP(p net.PacketConn, at netip.AddrPort) {
	buf := make([]byte, 65535)
	for {
		n, addr, err := p.ReadFrom(buf)
		if err != nil {
			return
		}
		from := addr.(*net.UDPAddr).AddrPort()
		msg := append([]byte(nil), buf[:n]...)
		for _, re := range s.react(msg, event.UDP, from) {
			if re.Reply != nil {
				s.send(p, at, from, re)
			}
		}
	}
}

// Where replies come from that claim to be another's.
var elsewhere = netip.MustParseAddr("203.0.113.254") // constant in effect

// send sends a datagram as its reaction wants it.
func (s *server) send(p net.PacketConn, at, to netip.AddrPort, re authority.Reaction) {
	go func() {
		time.Sleep(re.Delay)
		switch re.Source {
		case authority.Asked:
			_, _ = p.WriteTo(re.Reply, net.UDPAddrFromAddrPort(to)) // a closed network takes nothing
			return
		case authority.OtherPort:
			at = netip.AddrPortFrom(at.Addr(), 5353)
		case authority.OtherAddress:
			at = netip.AddrPortFrom(elsewhere, 53)
		}
		time.Sleep(s.link.Latency)
		s.w.net.Inject(at, to, re.Reply)
	}()
}

func (s *server) serveTCP(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go s.converse(c)
	}
}

// converse answers questions on a connection.
func (s *server) converse(c net.Conn) {
	defer c.Close()
	from := c.RemoteAddr().(*net.TCPAddr).AddrPort()
	for {
		msg, err := readFrame(c)
		if err != nil {
			return
		}
		s.w.trace.tcpQuery(s, msg)
		for _, re := range s.react(msg, event.TCP, from) {
			time.Sleep(re.Delay)
			if re.Close {
				return
			}
			if re.Reply == nil {
				continue
			}
			frame := append(binary.BigEndian.AppendUint16(nil, uint16(len(re.Reply))), re.Reply...)
			if re.Stall > 0 {
				frame = frame[:min(len(frame), re.Stall)]
			}
			if _, err := c.Write(frame); err != nil {
				return
			}
			s.w.trace.tcpReply(s, re.Reply)
		}
	}
}

// readFrame reads a message with its length.
func readFrame(c net.Conn) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(c, length[:]); err != nil {
		return nil, err
	}
	msg := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(c, msg)
	return msg, err
}

// react gives the replies to a message, in order: mostly one.
func (s *server) react(msg []byte, t event.Transport, from netip.AddrPort) []authority.Reaction {
	honest := s.auth.Handle(msg, t, from, nil)
	if c := s.prepared(msg); c != nil {
		return c.replies(msg, honest)
	}
	return []authority.Reaction{honest}
}

// addresses reads ADDR,ADDR.
func addresses(text string) (list []netip.Addr, err error) {
	for word := range strings.SplitSeq(text, ",") {
		a, err := netip.ParseAddr(word)
		if err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	return list, nil
}

// linkOf reads a link's options over those it has.
func linkOf(o *options, l simnet.Link) (simnet.Link, error) {
	var err error
	for key, text := range o.vals {
		switch key {
		case "latency":
			l.Latency, err = time.ParseDuration(text)
		case "jitter":
			l.Jitter, err = time.ParseDuration(text)
		case "loss":
			var percent float64
			_, err = fmt.Sscanf(text, "%f%%", &percent)
			l.Loss = percent / 100
		case "mtu":
			_, err = fmt.Sscan(text, &l.MTU)
		}
		if err != nil {
			return l, fmt.Errorf("%s=%s: %w", key, text, err)
		}
	}
	return l, nil
}
