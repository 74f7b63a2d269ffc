package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is how often the generation rises that the addresses tell.
const tick = 100 * time.Millisecond

// mostNames is how many names there can be: one octet of the address.
const mostNames = 250

// generation is the count of ticks, which starts again after 109 minutes.
func generation(at time.Time) uint16 { return uint16(at.UnixNano() / int64(tick)) }

// address is that of a name in a generation.
func address(name int, generation uint16) [4]byte {
	return [4]byte{10, byte(name), byte(generation >> 8), byte(generation)}
}

// made is when the tick began in which an address was given out that came at a
// moment, both in nanoseconds of the wall clock.
func made(address [4]byte, came int64) int64 {
	now := came / int64(tick)
	age := uint16(now) - binary.BigEndian.Uint16(address[2:])
	return (now - int64(age)) * int64(tick)
}

// zone is what the benchmark's own authority serves.
type zone struct {
	names int
	ttl   uint32 // seconds
}

// answer is the reply to a query; nil when it is none.
func (z *zone) answer(query []byte, now time.Time) []byte {
	q, err := parseQuestion(query)
	if err != nil {
		return nil
	}
	if q.name != zoneName && !strings.HasSuffix(q.name, "."+zoneName) {
		return errorReply(query, rcodeRefused)
	}
	msg := appendReply(nil, query, q, flagAuthority, 0)
	number := nameNumber(query[headerSize:])
	known := number >= 0 && number < z.names
	switch {
	case known && q.qtype == typeA:
		a := address(number, generation(now))
		msg = z.add(msg, 7, typeA, a[:])
	case q.name == "ns."+zoneName && q.qtype == typeA:
		msg = z.add(msg, 7, typeA, []byte{127, 0, 0, 1})
	case q.name == zoneName && q.qtype == typeNS:
		msg = z.add(msg, 7, typeNS, appendName(nil, "ns."+zoneName))
	case q.name == zoneName && q.qtype == typeSOA:
		msg = z.add(msg, 7, typeSOA, z.soa())
	default:
		if !known && q.name != zoneName && q.name != "ns."+zoneName {
			msg[3] |= rcodeNXDomain
		}
		msg = z.denial(msg)
	}
	return finish(msg, q)
}

// add appends a record of the name asked for; count is the place of the
// header's low octet that counts the section.
func (z *zone) add(msg []byte, count int, kind byte, data []byte) []byte {
	msg[count]++
	return appendRecord(append(msg, 0xc0, headerSize), kind, z.ttl, data)
}

func (z *zone) denial(msg []byte) []byte {
	msg[9]++
	return appendRecord(appendName(msg, zoneName), typeSOA, z.ttl, z.soa())
}

func (z *zone) soa() []byte {
	data := appendName(appendName(nil, "ns."+zoneName), "hostmaster."+zoneName)
	for _, v := range []uint32{1, 3600, 600, 604800, z.ttl} {
		data = binary.BigEndian.AppendUint32(data, v)
	}
	return data
}

// appendRecord appends what follows a record's name.
func appendRecord(msg []byte, kind byte, ttl uint32, data []byte) []byte {
	msg = append(msg, 0, kind, 0, classIN)
	msg = binary.BigEndian.AppendUint32(msg, ttl)
	msg = binary.BigEndian.AppendUint16(msg, uint16(len(data)))
	return append(msg, data...)
}

// authorityPart is the process of the authority: port, names, TTL in seconds.
// It ends when its standard input does.
func authorityPart(args []string) error {
	numbers, err := integers(args, 3)
	if err != nil {
		return err
	}
	z := &zone{numbers[1], uint32(numbers[2])}
	udp, tcp, err := listen(numbers[0])
	if err != nil {
		return err
	}
	answer := func(query []byte) []byte { return z.answer(query, time.Now()) }
	go serveUDP(udp, answer)
	go serveTCP(tcp, func(net.Conn) func([]byte) []byte { return answer })
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// echoPart is the process of the floor: it sends each query back as a reply.
func echoPart(args []string) error {
	numbers, err := integers(args, 1)
	if err != nil {
		return err
	}
	udp, _, err := listen(numbers[0])
	if err != nil {
		return err
	}
	go serveUDP(udp, func(query []byte) []byte { query[2] |= flagResponse; return query })
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func integers(args []string, want int) (list []int, err error) {
	if len(args) != want {
		return nil, fmt.Errorf("%d arguments, want %d", len(args), want)
	}
	for _, a := range args {
		n, err := strconv.Atoi(a)
		if err != nil {
			return nil, err
		}
		list = append(list, n)
	}
	return list, nil
}

func listen(port int) (*net.UDPConn, net.Listener, error) {
	udp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		return nil, nil, err
	}
	tcp, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
	return udp, tcp, err
}

func serveUDP(conn *net.UDPConn, answer func([]byte) []byte) {
	buf := make([]byte, 4096)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		if n < headerSize {
			continue
		}
		if msg := answer(buf[:n]); msg != nil {
			conn.WriteToUDPAddrPort(msg, from) // lost like any datagram
		}
	}
}

// Bounds of TCP: connections at once, and how long one may be idle.
const (
	mostConns = 64
	idleTime  = 15 * time.Second
)

// serveTCP answers queries over TCP; what handle gives answers those of one
// connection, nil for one that gets no answer from it.
func serveTCP(l net.Listener, handle func(net.Conn) func([]byte) []byte) {
	room := make(chan struct{}, mostConns)
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		room <- struct{}{}
		go func() {
			defer func() { conn.Close(); <-room }()
			answer, r := handle(conn), bufio.NewReader(conn)
			for {
				conn.SetReadDeadline(time.Now().Add(idleTime))
				query, err := readFrame(r)
				if err != nil {
					return
				}
				if msg := answer(query); msg != nil {
					if _, err := conn.Write(frame(msg)); err != nil {
						return
					}
				}
			}
		}()
	}
}

// readFrame reads a message with its length before it.
func readFrame(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	msg := make([]byte, binary.BigEndian.Uint16(size[:]))
	if len(msg) < headerSize {
		return nil, errMessage
	}
	_, err := io.ReadFull(r, msg)
	return msg, err
}

func frame(msg []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)
}
