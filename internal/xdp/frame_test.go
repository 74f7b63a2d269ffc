package xdp

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
)

// reference is the Internet checksum as RFC 1071 §4.1 has it: two octets at a time,
// the highest first.
func reference(parts ...[]byte) uint16 {
	var all []byte
	for _, p := range parts {
		all = append(all, p...)
	}
	if len(all)%2 == 1 {
		all = append(all, 0)
	}
	var acc uint32
	for i := 0; i < len(all); i += 2 {
		acc += uint32(all[i])<<8 | uint32(all[i+1])
		acc = acc>>16 + acc&0xffff
	}
	return ^uint16(acc)
}

// referenceUDP is the checksum of a UDP datagram whose own field counts as nought.
func referenceUDP(from, to netip.Addr, udp []byte) uint16 {
	udp = bytes.Clone(udp)
	udp[6], udp[7] = 0, 0
	tail := []byte{0, 0, byte(len(udp) >> 8), byte(len(udp)), 0, 0, 0, protocolUDP}
	if c := reference(from.AsSlice(), to.AsSlice(), tail, udp); c != 0 {
		return c
	}
	return 0xffff
}

// Two hosts, and a port of each.
var (
	client4 = netip.MustParseAddrPort("192.0.2.7:40000")
	server4 = netip.MustParseAddrPort("192.0.2.1:53")
	client6 = netip.MustParseAddrPort("[2001:db8::7]:40000")
	server6 = netip.MustParseAddrPort("[2001:db8::1]:53")

	clientMAC = [6]byte{2, 0, 0, 0, 0, 7}
	serverMAC = [6]byte{2, 0, 0, 0, 0, 1}
)

// packet makes a frame that is right in every respect.
func packet(from, to netip.AddrPort, payload []byte) []byte {
	b := append(append([]byte{}, serverMAC[:]...), clientMAC[:]...)
	udp := binary.BigEndian.AppendUint16(nil, from.Port())
	udp = binary.BigEndian.AppendUint16(udp, to.Port())
	udp = binary.BigEndian.AppendUint16(udp, uint16(udpLen+len(payload)))
	udp = append(append(udp, 0, 0), payload...)
	binary.BigEndian.PutUint16(udp[6:], referenceUDP(from.Addr(), to.Addr(), udp))
	if from.Addr().Is4() {
		ip := []byte{0x45, 0, 0, 0, 0x12, 0x34, 0x40, 0, 60, protocolUDP, 0, 0}
		binary.BigEndian.PutUint16(ip[2:], uint16(ipv4Len+len(udp)))
		ip = append(append(ip, from.Addr().AsSlice()...), to.Addr().AsSlice()...)
		binary.BigEndian.PutUint16(ip[10:], reference(ip))
		return append(append(append(b, 0x08, 0x00), ip...), udp...)
	}
	ip := []byte{0x60, 1, 2, 3, byte(len(udp) >> 8), byte(len(udp)), protocolUDP, 60}
	ip = append(append(ip, from.Addr().AsSlice()...), to.Addr().AsSlice()...)
	return append(append(append(b, 0x86, 0xdd), ip...), udp...)
}

// changed is a frame in which octets were replaced, with the IPv4 header's checksum
// mended.
func changed(frame []byte, at int, octets ...byte) []byte {
	frame = bytes.Clone(frame)
	copy(frame[at:], octets)
	if frame[typeAt] == 0x08 {
		frame[sumV4], frame[sumV4+1] = 0, 0
		binary.BigEndian.PutUint16(frame[sumV4:], reference(frame[ipAt:udpV4]))
	}
	return frame
}

// summed has the right UDP checksum again.
func summed(frame []byte) []byte {
	udp, from, to := udpV4, fromV4, fromV4+4
	frame = bytes.Clone(frame)
	if frame[typeAt] == 0x86 {
		udp, from, to = udpV6, fromV6, fromV6+16
	}
	a, _ := netip.AddrFromSlice(frame[from:to])
	b, _ := netip.AddrFromSlice(frame[to:udp])
	binary.BigEndian.PutUint16(frame[udp+6:], referenceUDP(a, b, frame[udp:]))
	return frame
}

func TestParse(t *testing.T) {
	payload := []byte("a question, so to speak")
	v4, v6 := packet(client4, server4, payload), packet(client6, server6, payload)
	partial := func(frame []byte, udp, addresses int) []byte { // what a kernel leaves to hardware
		n := len(frame) - udp
		c := ^reference(frame[udp-addresses:udp], []byte{0, 0, byte(n >> 8), byte(n), 0, 0, 0, protocolUDP})
		frame = bytes.Clone(frame)
		binary.BigEndian.PutUint16(frame[udp+6:], c)
		return frame
	}
	for _, c := range []struct {
		name  string
		frame []byte
		want  fault
	}{
		{"IPv4", v4, fine},
		{"IPv6", v6, fine},
		{"IPv4, padded", append(bytes.Clone(v4), 0, 0, 0, 0), fine},
		{"IPv6, padded", append(bytes.Clone(v6), 0, 0, 0, 0), fine},
		{"IPv4, no checksum", changed(v4, udpV4+6, 0, 0), fine},
		{"IPv6, no checksum", changed(v6, udpV6+6, 0, 0), badChecksum},
		{"IPv4, checksum left to hardware", partial(v4, udpV4, 8), fine},
		{"IPv6, checksum left to hardware", partial(v6, udpV6, 32), fine},
		{"IPv4, wrong checksum", changed(v4, len(v4)-1, 'X'), badChecksum},
		{"IPv6, wrong checksum", changed(v6, len(v6)-1, 'X'), badChecksum},
		{"IPv4, wrong checksum of the header", func() []byte { b := bytes.Clone(v4); b[sumV4]++; return b }(), badChecksum},
		{"IPv4, another hop limit", changed(v4, hopsV4, 1), fine},
		{"IPv4, options", changed(v4, ipAt, 0x46), malformed},
		{"IPv4, a fragment", changed(v4, ipAt+6, 0x20, 0), malformed},
		{"IPv4, a later fragment", changed(v4, ipAt+6, 0, 1), malformed},
		{"IPv4, TCP", changed(v4, protoV4, 6), malformed},
		{"IPv6, a fragment", changed(v6, protoV6, 44), malformed},
		{"IPv6, version 4", changed(v6, ipAt, 0x40), malformed},
		{"VLAN", changed(v4, typeAt, 0x81, 0), malformed},
		{"IPv4, longer than the frame", changed(v4, ipAt+2, 0xff, 0xff), malformed},
		{"IPv6, longer than the frame", changed(v6, ipAt+4, 0xff, 0xff), malformed},
		{"IPv4, shorter than its headers", changed(v4, ipAt+2, 0, 27), malformed},
		{"IPv6, shorter than its headers", changed(v6, ipAt+4, 0, 7), malformed},
		{"IPv4, UDP longer than IP", changed(v4, udpV4+4, 0xff, 0xff), malformed},
		{"IPv6, UDP longer than IP", changed(v6, udpV6+4, 0xff, 0xff), malformed},
		{"IPv4, UDP shorter than its header", changed(v4, udpV4+4, 0, 7), malformed},
		{"IPv4, from port 0", summed(changed(v4, udpV4, 0, 0)), noSource},
		{"IPv4, from loopback", summed(changed(v4, fromV4, 127, 0, 0, 1)), noSource},
		{"IPv4, from a group", summed(changed(v4, fromV4, 224, 0, 0, 1)), noSource},
		{"IPv4, from everybody", summed(changed(v4, fromV4, 255, 255, 255, 255)), noSource},
		{"IPv4, from nobody", summed(changed(v4, fromV4, 0, 0, 0, 0)), noSource},
		{"IPv4, from ourselves", summed(changed(v4, fromV4, 192, 0, 2, 1)), noSource},
		{"IPv6, from ourselves", summed(changed(v6, fromV6, v6[fromV6+16:fromV6+32]...)), noSource},
		{"IPv6, from a mapped address", summed(changed(v6, fromV6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 7)), noSource},
		{"IPv6, from a group", summed(changed(v6, fromV6, 0xff, 2)), noSource},
		{"from a group's MAC", changed(v4, 6, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), noSource},
		{"IPv6, cut", v6[:udpV6+7], malformed},
		{"IPv4, cut", v4[:udpV4+7], malformed},
		{"nothing", nil, malformed},
	} {
		d, why := parse(c.frame)
		if why != c.want {
			t.Errorf("%s: %d, want %d", c.name, why, c.want)
		}
		if why == fine && string(d.payload) != string(payload) {
			t.Errorf("%s: payload %q", c.name, d.payload)
		}
	}
	if d, _ := parse(v4); d.from != client4.Addr() {
		t.Errorf("from %s", d.from)
	}
	if d, _ := parse(v6); d.from != client6.Addr() {
		t.Errorf("from %s", d.from)
	}
}

// TestSum compares with the plain way, for all lengths and alignments of a while.
func TestSum(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	buf := make([]byte, 600)
	for range 20_000 {
		for i := range buf {
			buf[i] = byte(r.Uint32() | r.Uint32()>>8) // many ones: carries
		}
		b := buf[r.IntN(8):]
		b = b[:r.IntN(len(b))]
		var got [2]byte
		binary.LittleEndian.PutUint16(got[:], ^fold(sum(0, b)))
		if want := reference(b); binary.BigEndian.Uint16(got[:]) != want {
			t.Fatalf("%x: %x, want %x", b, got, want)
		}
	}
}

// TestCompose looks at every field of a reply.
func TestCompose(t *testing.T) {
	for _, c := range []struct{ from, to netip.AddrPort }{{client4, server4}, {client6, server6}} {
		d, why := parse(packet(c.from, c.to, []byte("question")))
		if why != fine {
			t.Fatal(why)
		}
		reply := []byte("the answer is longer!")
		frame := bytes.Repeat([]byte{0xa5}, frameLen)
		copy(frame[len(d.headers):], reply)
		n := compose(frame, d.headers, len(reply))
		// The same as one that was made by other means, but for MACs, which a reply has
		// the other way round, and what we say of the way.
		want := packet(c.to, c.from, reply)
		copy(want[0:6], clientMAC[:])
		copy(want[6:12], serverMAC[:])
		if c.from.Addr().Is4() {
			want = changed(changed(want, ipAt+4, 0, 0, 0x40, 0), hopsV4, hopLimit)
		} else {
			copy(want[ipAt:], []byte{0x60, 0, 0, 0})
			want[ipAt+7] = hopLimit
		}
		if !bytes.Equal(frame[:n], want) {
			t.Errorf("%s:\n%x, want\n%x", c.from, frame[:n], want)
		}
	}
}

// TestComposeNoughtIsAllOnes makes a reply whose checksum would be nought, which is
// to say none.
func TestComposeNoughtIsAllOnes(t *testing.T) {
	d, _ := parse(packet(client6, server6, []byte("question")))
	frame := make([]byte, frameLen)
	for v := range 1 << 16 {
		binary.BigEndian.PutUint16(frame[len(d.headers):], uint16(v))
		compose(frame, d.headers, 2)
		switch binary.BigEndian.Uint16(frame[udpV6+6:]) {
		case 0:
			t.Fatalf("payload %04x: no checksum", v)
		case 0xffff:
			return
		}
	}
	t.Fatal("no payload has the checksum of all ones")
}

// FuzzParse: nothing that comes leads outside the frame, and what is answered goes back to
// where it came from.
func FuzzParse(f *testing.F) {
	f.Add(packet(client4, server4, []byte("question")), []byte("answer"))
	f.Add(packet(client6, server6, []byte("question")), []byte("answer"))
	f.Add(packet(client4, server4, nil), []byte{})
	f.Fuzz(func(t *testing.T, frame, reply []byte) {
		before := bytes.Clone(frame)
		d, why := parse(frame)
		if !bytes.Equal(before, frame) {
			t.Fatal("the frame was changed")
		}
		if why != fine {
			return
		}
		if len(d.headers)+len(d.payload) > len(frame) || len(d.headers) > PathLen {
			t.Fatalf("%d octets of headers and %d of payload in %d", len(d.headers), len(d.payload), len(frame))
		}
		if d.from.Is4In6() || !d.from.IsValid() {
			t.Fatalf("from %s", d.from)
		}
		reply = reply[:min(len(reply), frameLen-len(d.headers))]
		out := make([]byte, frameLen)
		copy(out[len(d.headers):], reply)
		out = out[:compose(out, d.headers, len(reply))]
		if !bytes.Equal(out[0:6], frame[6:12]) || !bytes.Equal(out[6:12], frame[0:6]) {
			t.Fatal("MACs")
		}
		// As the client would read it: from us, unless our address is one that no frame
		// can be from.
		out[6] &^= 1
		back, why := parse(out)
		if why == noSource {
			return
		}
		if why != fine || !bytes.Equal(back.payload, reply) {
			t.Fatalf("the reply cannot be read: %d, %x", why, out)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	frame := packet(client4, server4, make([]byte, 40))
	for b.Loop() {
		if _, why := parse(frame); why != fine {
			b.Fatal(why)
		}
	}
}

func BenchmarkCompose(b *testing.B) {
	d, _ := parse(packet(client4, server4, make([]byte, 40)))
	frame := make([]byte, frameLen)
	for b.Loop() {
		compose(frame, d.headers, 100)
	}
}
