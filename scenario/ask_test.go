package scenario

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"lastgood/internal/simnet"
)

const (
	askOptions     = "tcp norec do cd ad noedns size= version= class= opcode= id= from= conn= nsid keepalive cookie timeout="
	defaultTimeout = 30 * time.Second
	clientCookie   = "0102030405060708"
)

// question is what a client asks.
type question struct {
	msg     []byte
	parsed  *dns.Msg // nil for raw octets
	from    netip.Addr
	tcp     bool
	conn    string // an open connection
	timeout time.Duration

	host *simnet.Host // set by ready: the client's
	on   *conn        // and the connection
}

// ready finds host and connection, for goroutines that must not look.
func (w *world) ready(q *question) error {
	q.host = w.client(q.from)
	if q.conn == "" {
		return nil
	}
	var err error
	q.on, err = w.connection(q.conn)
	return err
}

// reply is what came back.
type reply struct {
	q    *question
	msg  *dns.Msg // nil without one
	size int
	took time.Duration
	err  error // why there is none
}

// newQuestion reads NAME TYPE option….
func (w *world) newQuestion(words []string) (*question, error) {
	if len(words) < 2 {
		return nil, errors.New("NAME TYPE [option…]")
	}
	o, err := optionsOf(words[2:], askOptions)
	if err != nil {
		return nil, err
	}
	q, err := questionWith(o)
	if err != nil {
		return nil, err
	}
	typ, ok := typeOf(words[1])
	if !ok {
		return nil, fmt.Errorf("unknown type %q", words[1])
	}
	m := new(dns.Msg)
	m.SetQuestion(words[0], typ) // which takes names that are not absolute for mistakes
	if !dns.IsFqdn(words[0]) {
		return nil, fmt.Errorf("%s does not end with a dot", words[0])
	}
	w.nextID++
	m.Id, m.RecursionDesired = w.nextID, !o.has("norec")
	m.CheckingDisabled, m.AuthenticatedData = o.has("cd"), o.has("ad")
	if err := decorate(m, o); err != nil {
		return nil, err
	}
	q.parsed = m
	q.msg, err = m.Pack()
	return q, err
}

func typeOf(word string) (uint16, bool) {
	if t, ok := dns.StringToType[strings.ToUpper(word)]; ok {
		return t, true
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(strings.ToUpper(word), "TYPE"), 10, 16)
	return uint16(n), err == nil
}

// questionWith takes the options of the way, not of the message.
func questionWith(o *options) (*question, error) {
	q := &question{from: client4, tcp: o.has("tcp"), conn: o.vals["conn"], timeout: defaultTimeout}
	var err error
	if text, ok := o.vals["from"]; ok {
		if q.from, err = netip.ParseAddr(text); err != nil {
			return nil, err
		}
	}
	if text, ok := o.vals["timeout"]; ok {
		if q.timeout, err = time.ParseDuration(text); err != nil {
			return nil, err
		}
	}
	return q, nil
}

// decorate sets what the options say of the message.
func decorate(m *dns.Msg, o *options) error {
	number := func(key string, bits int, def uint64) uint64 {
		n, err := strconv.ParseUint(o.vals[key], 0, bits)
		if err != nil {
			return def
		}
		return n
	}
	m.Id = uint16(number("id", 16, uint64(m.Id)))
	if text, ok := o.vals["class"]; ok {
		class, ok := dns.StringToClass[text]
		if !ok {
			return fmt.Errorf("unknown class %q", text)
		}
		m.Question[0].Qclass = class
	}
	if text, ok := o.vals["opcode"]; ok {
		code, ok := dns.StringToOpcode[text]
		if !ok {
			return fmt.Errorf("unknown opcode %q", text)
		}
		m.Opcode = code
	}
	if o.has("noedns") {
		return nil
	}
	m.SetEdns0(uint16(number("size", 16, 1232)), o.has("do"))
	opt := m.IsEdns0()
	opt.SetVersion(uint8(number("version", 8, 0)))
	if o.has("nsid") {
		opt.Option = append(opt.Option, &dns.EDNS0_NSID{Code: dns.EDNS0NSID})
	}
	if o.has("keepalive") {
		opt.Option = append(opt.Option, &dns.EDNS0_TCP_KEEPALIVE{Code: dns.EDNS0TCPKEEPALIVE})
	}
	if text, ok := o.vals["cookie"]; ok {
		if text == "" {
			text = clientCookie
		}
		opt.Option = append(opt.Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: text})
	}
	return nil
}

// rawQuestion reads hexadecimal octets and options.
func rawQuestion(words []string) (*question, error) {
	var digits string
	for len(words) > 0 && strings.Trim(words[0], "0123456789abcdefABCDEF") == "" {
		digits, words = digits+words[0], words[1:]
	}
	msg, err := hex.DecodeString(digits)
	if err != nil {
		return nil, err
	}
	o, err := optionsOf(words, "tcp conn= from= timeout=")
	if err != nil {
		return nil, err
	}
	q, err := questionWith(o)
	if err == nil {
		q.msg = msg
	}
	return q, err
}

// put asks, and waits for the reply.
func put(q *question) *reply {
	began := time.Now()
	r := &reply{q: q}
	msg, err := exchange(q)
	r.took, r.err, r.size = time.Since(began), err, len(msg)
	if err != nil {
		return r
	}
	r.msg = new(dns.Msg)
	if err := r.msg.Unpack(msg); err != nil {
		r.msg, r.err = nil, fmt.Errorf("reply of %d octets: %w", len(msg), err)
	}
	return r
}

// at is where the resolver listens for a client.
func at(client netip.Addr) netip.AddrPort {
	if client.Is6() {
		return netip.AddrPortFrom(resolver6, 53)
	}
	return netip.AddrPortFrom(resolver4, 53)
}

func exchange(q *question) ([]byte, error) {
	switch {
	case q.on != nil:
		return q.on.exchange(q)
	case q.tcp:
		c, err := dial(q.host, at(q.from))
		if err != nil {
			return nil, err
		}
		defer c.close()
		return c.exchange(q)
	}
	s, err := q.host.DialUDP(noDeadline(), at(q.from))
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return overUDP(s, q)
}

// overUDP sends a datagram and reads one.
func overUDP(s net.Conn, q *question) ([]byte, error) {
	if _, err := s.Write(q.msg); err != nil {
		return nil, err
	}
	if err := s.SetReadDeadline(time.Now().Add(q.timeout)); err != nil {
		return nil, err
	}
	buf := make([]byte, 65535)
	n, err := s.Read(buf)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errNoReply
	}
	return buf[:n], err
}

var errNoReply = errors.New("no reply")

// valid holds against every reply what must hold for all of them.
func (r *reply) valid() error {
	q, m := r.q.parsed, r.msg
	if q == nil || m == nil {
		return nil
	}
	switch {
	case !m.Response:
		return errors.New("the reply is no response")
	case m.Id != q.Id:
		return fmt.Errorf("the reply has the id %d, not %d", m.Id, q.Id)
	case m.Opcode != q.Opcode:
		return fmt.Errorf("the reply has the opcode %d, not %d", m.Opcode, q.Opcode)
	case q.Opcode == dns.OpcodeQuery && (len(m.Question) != 1 || m.Question[0] != q.Question[0]):
		return fmt.Errorf("the reply is to the question %v", m.Question)
	case q.IsEdns0() == nil && m.IsEdns0() != nil:
		return errors.New("the reply has an OPT record, the question had none")
	case m.MsgHdr.Zero:
		return errors.New("the reserved bit is set")
	}
	limit := 512
	if opt := q.IsEdns0(); opt != nil {
		limit = max(limit, int(opt.UDPSize()))
	}
	if !r.q.tcp && r.q.conn == "" && r.size > limit {
		return fmt.Errorf("the reply has %d octets, the client takes %d", r.size, limit)
	}
	return chained(m)
}

// chained checks that aliases come first and in order.
func chained(m *dns.Msg) error {
	if len(m.Question) != 1 || len(m.Answer) == 0 {
		return nil
	}
	at := m.Question[0].Name
	for i, rr := range m.Answer {
		switch rr := rr.(type) {
		case *dns.DNAME:
			if !dns.IsSubDomain(rr.Hdr.Name, at) {
				return fmt.Errorf("record %d, a DNAME at %s, does not lead on from %s", i+1, rr.Hdr.Name, at)
			}
			continue
		case *dns.RRSIG:
			continue
		case *dns.CNAME:
			if m.Question[0].Qtype != dns.TypeCNAME && strings.EqualFold(rr.Hdr.Name, at) {
				at = rr.Target
				continue
			}
		}
		if !strings.EqualFold(rr.Header().Name, at) {
			return fmt.Errorf("record %d of the answer is at %s, the chain at %s", i+1, rr.Header().Name, at)
		}
	}
	return nil
}
