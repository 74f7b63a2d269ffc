package main

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
)

// serve answers for the trap and for a zone that is not signed, over UDP and TCP.
func (t *trap) serve(udp net.PacketConn, tcp net.Listener) {
	go func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := udp.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = udp.WriteTo(t.answer(buf[:n], 1232), from)
		}
	}()
	for {
		c, err := tcp.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			for {
				var length [2]byte
				if _, err := io.ReadFull(c, length[:]); err != nil {
					return
				}
				q := make([]byte, binary.BigEndian.Uint16(length[:]))
				if _, err := io.ReadFull(c, q); err != nil {
					return
				}
				m := t.answer(q, 65535)
				_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...))
			}
		}()
	}
}

// answer makes a reply of so many octets at most.
func (t *trap) answer(q []byte, most int) []byte {
	if len(q) < 17 {
		return nil
	}
	name, end := "", 12
	for end < len(q) && q[end] != 0 {
		next := end + 1 + int(q[end])
		if next >= len(q) {
			return nil
		}
		name, end = name+strings.ToLower(string(q[end+1:next]))+".", next
	}
	end += 5
	if end > len(q) {
		return nil
	}
	typ := binary.BigEndian.Uint16(q[end-4:])
	var answer, authority [][]byte
	rcode := byte(0)
	switch {
	case name == "trap." && typ == typeDNSKEY:
		answer = t.signed("trap.", typeDNSKEY, append([][]byte(nil), t.keys...)...)
	case strings.HasSuffix(name, ".good.") && typ == typeA:
		answer = [][]byte{record(name, typeA, []byte{192, 0, 2, 2})}
	case strings.HasSuffix(name, ".sig.trap.") && typ == typeA:
		answer = t.address(name)
	case strings.HasSuffix(name, "hash.trap."):
		authority, rcode = t.denial(), 3
	default:
		authority = t.signed("trap.", typeSOA, append(append(wireName("ns.trap."), wireName("mail.trap.")...), make([]byte, 20)...))
	}
	m := append([]byte(nil), q[:end]...)
	m[2], m[3] = 0x84, rcode
	binary.BigEndian.PutUint16(m[4:], 1)
	binary.BigEndian.PutUint16(m[6:], uint16(len(answer)))
	binary.BigEndian.PutUint16(m[8:], uint16(len(authority)))
	binary.BigEndian.PutUint16(m[10:], 1)
	head := len(m)
	for _, r := range append(answer, authority...) {
		m = append(m, r...)
	}
	if len(m)+11 > most {
		m = m[:head]
		m[2] |= 2
		binary.BigEndian.PutUint32(m[6:], 0)
	}
	return append(m, 0, 0, 41, 0x10, 0, 0, 0, 0x80, 0, 0, 0)
}
