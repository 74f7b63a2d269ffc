// Package filling fills a resolver's cache with as many names as one wants: an
// authority that knows them all, and a client that asks for each.
package filling

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

const (
	window   = 256             // questions under way
	patience = 2 * time.Second // then a question is asked again
	tries    = 20
)

// Zone is where the names lie.
const Zone = "bench."

// Serve answers every A question in the zone with one address for a day, until the
// connection is closed.
func Serve(addr string) (net.PacketConn, error) {
	pc, err := net.ListenPacket("udp4", addr)
	if err != nil {
		return nil, err
	}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			if reply := answer(buf[:n]); reply != nil {
				pc.WriteTo(reply, from)
			}
		}
	}()
	return pc, nil
}

// answer replies to a question: A records exist, all else is NODATA.
func answer(q []byte) []byte {
	end := 12
	for end < len(q) && q[end] != 0 {
		end += int(q[end]) + 1
	}
	if end += 5; end > len(q) {
		return nil
	}
	r := append([]byte(nil), q[:end]...)
	r[2], r[3] = r[2]&1|0x84, 0 // QR, AA, RD as it came
	copy(r[4:12], []byte{0, 1, 0, 0, 0, 0, 0, 0})
	if binary.BigEndian.Uint16(q[end-4:]) == 1 {
		r[7] = 1
		return append(r, 0xc0, 12, 0, 1, 0, 1, 0, 1, 0x51, 0x80, 0, 4, 192, 0, 2, 1)
	}
	r[9] = 1 // SOA: . . 1 … with 300 s
	r = append(r, 5, 'b', 'e', 'n', 'c', 'h', 0, 0, 6, 0, 1, 0, 0, 1, 44, 0, 22, 0, 0)
	return append(r, make([]byte, 18)...)
}

// Fill asks the resolver at an address for so many names, the prefix with a number from
// 0 on, until each was answered.
func Fill(ctx context.Context, addr, prefix string, names int) error {
	conn, err := net.Dial("udp4", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	asked := map[uint16]int{} // id -> name
	next, buf := 0, make([]byte, 4096)
	for attempt := 0; next < names || len(asked) > 0; {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		for len(asked) < window && next < names {
			if _, busy := asked[uint16(next)]; busy {
				break // 65,536 later: it has to be answered first
			}
			asked[uint16(next)] = next
			conn.Write(Question(nil, uint16(next), fmt.Sprintf("%s%d", prefix, next)))
			next++
		}
		conn.SetReadDeadline(time.Now().Add(patience))
		n, err := conn.Read(buf)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			if attempt++; attempt > tries {
				return fmt.Errorf("%d questions stay without an answer", len(asked))
			}
			for id, i := range asked {
				conn.Write(Question(nil, id, fmt.Sprintf("%s%d", prefix, i)))
			}
		case err != nil:
			return err
		case n >= 12 && buf[3]&15 == 0:
			delete(asked, binary.BigEndian.Uint16(buf))
			attempt = 0
		}
	}
	return nil
}

// Question appends a question for the address of a label in the zone.
func Question(b []byte, id uint16, label string) []byte {
	b = append(binary.BigEndian.AppendUint16(b, id), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, byte(len(label)))
	return append(append(b, label...), 5, 'b', 'e', 'n', 'c', 'h', 0, 0, 1, 0, 1)
}
