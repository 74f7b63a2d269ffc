package simauth

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"lastgood/internal/cache"
)

// Bounds of a Walker.
const (
	maxSteps    = 60
	maxNesting  = 4
	tryTimeout  = 1500 * time.Millisecond
	triesPerTry = 2 // rounds over a zone's servers
)

// Network is what a Walker dials with: a simulated host or the lab's network.
type Network interface {
	DialUDP(ctx context.Context, to netip.AddrPort) (net.Conn, error)
	DialTCP(ctx context.Context, to netip.AddrPort) (net.Conn, error)
}

// Walker resolves as naively as can be, without a cache, and believes what it
// is told: a yardstick for worlds and for resolvers. It is no resolver to use.
type Walker struct {
	Network Network
	Hints   []cache.NameServer

	steps int
}

// errNoAnswer is SERVFAIL; errRefused is when all servers refused.
var (
	errNoAnswer = errors.New("no server gave a useful answer")
	errRefused  = errors.New("all servers refused")
	errSteps    = errors.New("too many steps")
)

// Resolve gives the whole answer section, the aliases first, and the rcode.
func (w *Walker) Resolve(ctx context.Context, name string, qtype uint16) ([]dns.RR, int, error) {
	w.steps = 0
	var chain []dns.RR
	for range 12 {
		m, err := w.walk(ctx, name, qtype, 0)
		if err != nil {
			return chain, dns.RcodeServerFailure, err
		}
		next := follow(m, &chain, name, qtype)
		if next == "" {
			return chain, m.Rcode, nil
		}
		name = next
	}
	return chain, dns.RcodeServerFailure, errSteps
}

// follow adds to the chain what a reply says of a name, alias by alias, and
// gives the name that is to be asked for next, "" at the end.
func follow(m *dns.Msg, chain *[]dns.RR, name string, qtype uint16) string {
	for range 12 {
		alias := ""
		for _, rr := range m.Answer {
			if !strings.EqualFold(rr.Header().Name, name) {
				continue
			}
			if c, ok := rr.(*dns.CNAME); ok && qtype != dns.TypeCNAME {
				*chain = append(*chain, rr)
				alias = c.Target
			} else if rr.Header().Rrtype == qtype {
				*chain = append(*chain, rr)
			}
		}
		if alias == "" {
			return ""
		}
		name = alias
		if !answers(m, name) {
			return name
		}
	}
	return name
}

// answers tells whether a reply has more on an alias's target.
func answers(m *dns.Msg, name string) bool {
	for _, rr := range m.Answer {
		if strings.EqualFold(rr.Header().Name, name) {
			return true
		}
	}
	return false
}

// walk goes from the root to the servers that answer for a name.
func (w *Walker) walk(ctx context.Context, name string, qtype uint16, nesting int) (*dns.Msg, error) {
	if nesting > maxNesting {
		return nil, errSteps
	}
	servers, zone := w.hints(), "."
	for {
		m, err := w.askAll(ctx, servers, zone, name, qtype)
		if err != nil {
			return nil, fmt.Errorf("%s at %s: %w", name, zone, err)
		}
		cut := referral(m, zone, name)
		if cut == "" {
			return m, nil
		}
		zone = cut
		if servers, err = w.addresses(ctx, m, cut, nesting); err != nil {
			return nil, err
		}
	}
}

func (w *Walker) hints() (addrs []netip.Addr) {
	for _, h := range w.Hints {
		addrs = append(addrs, h.Addrs...)
	}
	return addrs
}

// referral gives the cut that a reply refers to, "" when it is none.
func referral(m *dns.Msg, zone, name string) string {
	if m.Authoritative || len(m.Answer) > 0 || m.Rcode != dns.RcodeSuccess {
		return ""
	}
	for _, rr := range m.Ns {
		cut := rr.Header().Name
		if rr.Header().Rrtype == dns.TypeNS && dns.IsSubDomain(zone, cut) && !strings.EqualFold(zone, cut) && dns.IsSubDomain(cut, name) {
			return cut
		}
	}
	return ""
}

// useful tells whether a reply moves on.
func useful(m *dns.Msg, zone, name string) bool {
	return m.Rcode == dns.RcodeSuccess && (m.Authoritative || referral(m, zone, name) != "") ||
		(m.Rcode == dns.RcodeNameError || m.Rcode == dns.RcodeYXDomain) && m.Authoritative
}

// addresses gives those of a referral's servers: glue, or else looked up.
func (w *Walker) addresses(ctx context.Context, m *dns.Msg, cut string, nesting int) (addrs []netip.Addr, err error) {
	for _, rr := range m.Ns {
		ns, ok := rr.(*dns.NS)
		if !ok || !strings.EqualFold(ns.Hdr.Name, cut) {
			continue
		}
		found := addressesIn(m.Extra, ns.Ns)
		for _, t := range []uint16{dns.TypeA, dns.TypeAAAA} {
			if len(found) > 0 || len(addrs) > 0 {
				break
			}
			var reply *dns.Msg
			if reply, err = w.walk(ctx, ns.Ns, t, nesting+1); err == nil {
				found = addressesIn(reply.Answer, ns.Ns)
			}
		}
		addrs = append(addrs, found...)
	}
	if len(addrs) == 0 {
		return nil, errors.Join(errNoAnswer, err)
	}
	return addrs, nil
}

func addressesIn(rrs []dns.RR, host string) (addrs []netip.Addr) {
	for _, rr := range rrs {
		if !strings.EqualFold(rr.Header().Name, host) {
			continue
		}
		switch rr := rr.(type) {
		case *dns.A:
			a, _ := netip.AddrFromSlice(rr.A.To4())
			addrs = append(addrs, a)
		case *dns.AAAA:
			a, _ := netip.AddrFromSlice(rr.AAAA)
			addrs = append(addrs, a)
		}
	}
	return addrs
}

// askAll asks one server after the other.
func (w *Walker) askAll(ctx context.Context, servers []netip.Addr, zone, name string, qtype uint16) (*dns.Msg, error) {
	refused := true
	for range triesPerTry {
		for _, addr := range servers {
			if w.steps++; w.steps > maxSteps {
				return nil, errSteps
			}
			m, err := w.ask(ctx, netip.AddrPortFrom(addr, dnsPort), name, qtype)
			if err == nil && useful(m, zone, name) {
				return m, nil
			}
			refused = refused && err == nil && m.Rcode == dns.RcodeRefused
		}
	}
	if refused {
		return nil, errRefused
	}
	return nil, errNoAnswer
}

// ask puts a question to a server: with EDNS, without, over TCP, as it wants.
func (w *Walker) ask(ctx context.Context, to netip.AddrPort, name string, qtype uint16) (*dns.Msg, error) {
	q := new(dns.Msg)
	q.SetQuestion(name, qtype)
	q.RecursionDesired = false
	q.SetEdns0(1232, false)
	m, err := w.exchange(ctx, to, q, false)
	if err == nil && m.Rcode == dns.RcodeFormatError {
		q.Extra = nil
		m, err = w.exchange(ctx, to, q, false)
	}
	if err == nil && m.Truncated {
		m, err = w.exchange(ctx, to, q, true)
	}
	return m, err
}

func (w *Walker) exchange(ctx context.Context, to netip.AddrPort, q *dns.Msg, tcp bool) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	dial := w.Network.DialUDP
	if tcp {
		dial = w.Network.DialTCP
	}
	conn, err := dial(ctx, to)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	packed, err := q.Pack()
	if err != nil {
		return nil, err
	}
	if tcp {
		packed = append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...)
	}
	if _, err := conn.Write(packed); err != nil {
		return nil, err
	}
	m := new(dns.Msg)
	for {
		reply, err := readMessage(conn, tcp)
		if err != nil {
			return nil, err
		}
		if m.Unpack(reply) == nil && m.Id == q.Id {
			return m, nil
		}
	}
}

func readMessage(conn net.Conn, tcp bool) ([]byte, error) {
	buf := make([]byte, dns.MaxMsgSize)
	if !tcp {
		n, err := conn.Read(buf)
		return buf[:n], err
	}
	if _, err := io.ReadFull(conn, buf[:2]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(buf))
	_, err := io.ReadFull(conn, buf[:n])
	return buf[:n], err
}
