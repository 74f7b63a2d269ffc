package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// What the front does with a query.
const (
	passOn int32 = iota
	failAll
	refuseAll
)

// front stands before the authority: it notes when each query came, while the
// authority is stopped too, and hands it on, or answers it with an error.
type front struct {
	down *net.UDPConn // where the resolver asks
	up   *net.UDPConn // to the authority
	to   string
	mode atomic.Int32

	mu     sync.Mutex
	log    []arrival
	routes [1 << 16]route // by the ID towards the authority
	next   uint16
}

// arrival is a query that came from the resolver.
type arrival struct {
	at  int64 // nanoseconds of the wall clock
	tcp bool
}

// route is where a reply belongs.
type route struct {
	client netip.AddrPort
	id     uint16
}

// mostArrivals bounds the log: more is not told apart from this many.
const mostArrivals = 1 << 20

// frontPart is the process: its port, the authority's. Commands come line by
// line on standard input, each has one line or, for "log", many as its answer.
func frontPart(args []string) error {
	ports, err := integers(args, 2)
	if err != nil {
		return err
	}
	down, tcp, err := listen(ports[0])
	if err != nil {
		return err
	}
	up, err := net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: ports[1]})
	if err != nil {
		return err
	}
	f := &front{down: down, up: up, to: fmt.Sprintf("127.0.0.1:%d", ports[1])}
	go serveUDPFrom(down, f.query)
	go f.replies()
	go serveTCP(tcp, f.connection)
	fmt.Println("ready")
	return f.obey()
}

// obey does what the benchmark says until it ends.
func (f *front) obey() error {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		switch lines.Text() {
		case "pass":
			f.mode.Store(passOn)
		case "servfail":
			f.mode.Store(failAll)
		case "refused":
			f.mode.Store(refuseAll)
		case "log":
			f.tell()
			continue
		default:
			fmt.Println("what?")
			continue
		}
		fmt.Println("ok")
	}
	return lines.Err()
}

// tell prints the log: how many, then each.
func (f *front) tell() {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	fmt.Fprintln(out, len(f.log))
	for _, a := range f.log {
		fmt.Fprintln(out, a)
	}
}

func (a arrival) String() string {
	return strconv.FormatInt(a.at, 10) + map[bool]string{false: " udp", true: " tcp"}[a.tcp]
}

func parseArrival(line string) (a arrival, err error) {
	at, by, _ := strings.Cut(strings.TrimSpace(line), " ")
	if by != "udp" && by != "tcp" {
		return a, fmt.Errorf("%q is not a time and how a query came", line)
	}
	a.tcp = by == "tcp"
	a.at, err = strconv.ParseInt(at, 10, 64)
	return a, err
}

func (f *front) note(tcp bool) {
	at := time.Now().UnixNano()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.log) < mostArrivals {
		f.log = append(f.log, arrival{at, tcp})
	}
}

// refusal is the error that is answered with now, if one is.
func (f *front) refusal(query []byte) (msg []byte, refused bool) {
	switch f.mode.Load() {
	case failAll:
		return errorReply(query, rcodeServFail), true
	case refuseAll:
		return errorReply(query, rcodeRefused), true
	}
	return nil, false
}

func serveUDPFrom(conn *net.UDPConn, handle func([]byte, netip.AddrPort)) {
	buf := make([]byte, 4096)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		if n >= headerSize {
			handle(buf[:n], from)
		}
	}
}

func (f *front) query(query []byte, from netip.AddrPort) {
	f.note(false)
	if msg, refused := f.refusal(query); refused {
		if msg != nil {
			f.down.WriteToUDPAddrPort(msg, from)
		}
		return
	}
	f.mu.Lock()
	id := f.next
	f.next++
	f.routes[id] = route{from, binary.BigEndian.Uint16(query)}
	f.mu.Unlock()
	binary.BigEndian.PutUint16(query, id)
	f.up.Write(query)
}

// replies carries what the authority says, however late, to who asked.
func (f *front) replies() {
	buf := make([]byte, 4096)
	for {
		n, err := f.up.Read(buf)
		if err != nil { // nobody listens there at the moment
			time.Sleep(time.Millisecond)
			continue
		}
		if n < headerSize {
			continue
		}
		f.mu.Lock()
		r := f.routes[binary.BigEndian.Uint16(buf)]
		f.mu.Unlock()
		binary.BigEndian.PutUint16(buf, r.id)
		if r.client.IsValid() {
			f.down.WriteToUDPAddrPort(buf[:n], r.client)
		}
	}
}

// connection hands a TCP connection's queries on over another one.
func (f *front) connection(conn net.Conn) func([]byte) []byte {
	var up net.Conn
	return func(query []byte) []byte {
		f.note(true)
		if msg, refused := f.refusal(query); refused {
			return msg
		}
		if up == nil {
			var err error
			if up, err = net.DialTimeout("tcp", f.to, time.Second); err != nil {
				up = nil
				return nil
			}
			go carry(conn, up)
		}
		up.Write(frame(query))
		return nil
	}
}

// carry brings replies back until either side ends.
func carry(down, up net.Conn) {
	defer up.Close()
	r := bufio.NewReader(up)
	for {
		up.SetReadDeadline(time.Now().Add(2 * idleTime))
		msg, err := readFrame(r)
		if err != nil {
			return
		}
		if _, err := down.Write(frame(msg)); err != nil {
			return
		}
	}
}
