package scenario

import (
	"bytes"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"lastgood/internal/event"
	"lastgood/internal/simauth"
	"lastgood/internal/simnet"
)

const (
	maxTrace   = 120     // lines that a failure shows
	maxQueries = 1 << 20 // and events that are kept
)

// query is one question that the resolver sent to an authority. Over TCP it
// counts when it arrives, over UDP when it is sent, lost or not.
type query struct {
	at     time.Duration
	server string // its name, or the address of nobody
	name   string // lower case
	typ    string
	tcp    bool
}

func (q query) String() string {
	s := q.server + " " + q.name + " " + q.typ
	if q.tcp {
		s += " tcp"
	}
	return s
}

// trace is everything that was sent and told.
type trace struct {
	w   *world
	log safeBuffer

	mu      sync.Mutex
	names   map[netip.Addr]string
	lines   []string // the last ones
	queries []query
	events  []event.Event
}

func newTrace(w *world) *trace {
	t := &trace{w: w, names: map[netip.Addr]string{}}
	t.name("resolver", resolver4, resolver6)
	return t
}

// who gives an address its owner's name. The lock is held.
func (t *trace) who(a netip.AddrPort) string {
	if name, ok := t.names[a.Addr()]; ok {
		return name
	}
	return a.Addr().String()
}

// name gives addresses their owner's name.
func (t *trace) name(name string, addrs ...netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, a := range addrs {
		t.names[a] = name
	}
}

// packet is a tap on the network.
func (t *trace) packet(p simnet.Packet) {
	t.mu.Lock()
	defer t.mu.Unlock()
	from, to := t.who(p.From), t.who(p.To)
	t.say(p.At, "%s > %s  %s  %s", from, to, fateOf(p.Fate), brief(p.Payload))
	if from == "resolver" && len(p.Payload) > 2 && p.Payload[2]&0x80 == 0 {
		if name, typ, ok := questionOf(p.Payload); ok {
			t.sent(query{p.At, to, name, typ, false})
		}
	}
}

func fateOf(f simnet.Fate) string {
	if f == simnet.Passed {
		return "udp"
	}
	return "udp " + strings.ToUpper(f.String())
}

func (t *trace) tcpQuery(s *server, x simauth.Exchange) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.say(t.w.now(), "resolver > %s  tcp  %s %s?", s.name, x.Asked, x.Type)
	t.sent(query{t.w.now(), s.name, x.Name.String(), x.Type.String(), true})
}

// sent counts a query. The lock is held.
func (t *trace) sent(q query) {
	if len(t.queries) < maxQueries {
		t.queries = append(t.queries, q)
	}
}

// event is the app's sink.
func (t *trace) event(e event.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.events) < maxQueries {
		t.events = append(t.events, e)
	}
	switch e.(type) {
	case event.FlightStarted, event.FlightEnded: // the packets tell as much
	default:
		t.say(t.w.now(), "    %s %s", eventName(e), fieldsOf(reflect.ValueOf(e)))
	}
}

// told notes what a client got, after how long, and how much was asked for it.
func (t *trace) told(o *outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := o.reply
	if r.q.parsed == nil || r.msg == nil {
		t.say(t.w.now(), "    client: no reply, or to no question: %v", r.err)
		return
	}
	q := r.q.parsed.Question[0]
	t.say(t.w.now(), "    client: %s %s %s, %d records, %d octets, ede %s, took %v, upstream %d", q.Name, dns.Type(q.Qtype),
		dns.RcodeToString[r.msg.Rcode], len(r.msg.Answer), r.size, extended(r.msg), r.took, len(o.queries))
}

// extended lists the extended errors of a reply.
func extended(m *dns.Msg) string {
	var list []string
	if opt := m.IsEdns0(); opt != nil {
		for _, option := range opt.Option {
			if e, ok := option.(*dns.EDNS0_EDE); ok {
				list = append(list, fmt.Sprintf("%d (%s)", e.InfoCode, e.ExtraText))
			}
		}
	}
	return strings.Join(append(list, "none")[:max(1, len(list))], ", ")
}

// say adds a line. The lock is held.
func (t *trace) say(at time.Duration, format string, args ...any) {
	if len(t.lines) >= 2*maxTrace {
		t.lines = append([]string{"…"}, t.lines[maxTrace:]...)
	}
	t.lines = append(t.lines, fmt.Sprintf("%12v  ", at)+fmt.Sprintf(format, args...))
}

// String is what a failure shows.
func (t *trace) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := t.lines
	if len(lines) > maxTrace {
		lines = lines[len(lines)-maxTrace:]
	}
	return strings.Join(lines, "\n") + "\nlog:\n" + t.log.String()
}

// questionOf reads the question of a message.
func questionOf(msg []byte) (name, typ string, ok bool) {
	m := new(dns.Msg)
	if err := m.Unpack(msg); err != nil && len(m.Question) == 0 || len(m.Question) == 0 {
		return "", "", false
	}
	q := m.Question[0]
	return strings.ToLower(q.Name), dns.Type(q.Qtype).String(), true
}

// brief is a message in one line.
func brief(msg []byte) string {
	m := new(dns.Msg)
	if err := m.Unpack(msg); err != nil {
		return fmt.Sprintf("%d octets that are no message: %v", len(msg), err)
	}
	var b strings.Builder
	for _, q := range m.Question {
		fmt.Fprintf(&b, "%s %s", q.Name, dns.Type(q.Qtype))
	}
	if !m.Response {
		return b.String() + "?"
	}
	fmt.Fprintf(&b, " %s", dns.RcodeToString[m.Rcode])
	if m.Authoritative {
		b.WriteString(" aa")
	}
	if m.Truncated {
		b.WriteString(" tc")
	}
	for i, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for k, rr := range section {
			if k == 4 {
				fmt.Fprintf(&b, "; … %d more", len(section)-k)
				break
			}
			if rr.Header().Rrtype != dns.TypeOPT {
				fmt.Fprintf(&b, "; %s %s", [...]string{"an", "ns", "ar"}[i], plain(rr))
			}
		}
	}
	return b.String()
}

// plain is a record as scenarios write it, without a class.
func plain(rr dns.RR) string {
	return strings.Join(strings.Fields(strings.Replace(rr.String(), "\tIN\t", "\t", 1)), " ")
}

// eventName is the name of an event's type in the script's spelling.
func eventName(e event.Event) string {
	var b strings.Builder
	for i, r := range reflect.TypeOf(e).Name() {
		if i > 0 && 'A' <= r && r <= 'Z' {
			b.WriteByte('-')
		}
		b.WriteRune(r)
	}
	return strings.ToLower(b.String())
}

// fieldsOf lists the fields of an event that are not zero.
func fieldsOf(v reflect.Value) string {
	var b strings.Builder
	for i := range v.NumField() {
		if name := v.Type().Field(i).Name; !v.Field(i).IsZero() && name != "At" {
			fmt.Fprintf(&b, "%s=%v ", strings.ToLower(name), v.Field(i).Interface())
		}
	}
	return strings.TrimSpace(b.String())
}

// safeBuffer is a buffer for many writers.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.buf.Len() > 1<<20 {
		return len(p), nil
	}
	return b.buf.Write(p)
}

// contains tells whether a text was written.
func (b *safeBuffer) contains(text string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Contains(b.buf.Bytes(), []byte(text))
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
