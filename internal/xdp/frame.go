package xdp

import (
	"encoding/binary"
	"net/netip"
)

// Lengths and places in a frame, octets.
const (
	ethernetLen = 14
	ipv4Len     = 20 // without options: those go up to the kernel
	ipv6Len     = 40 // without extension headers: likewise
	udpLen      = 8

	// PathLen is the most that the headers of a frame take, see [Queue.Path].
	PathLen = ethernetLen + ipv6Len + udpLen

	typeAt  = 12 // of the Ethernet type
	ipAt    = ethernetLen
	hopsV4  = ipAt + 8 // time to live
	protoV4 = ipAt + 9
	sumV4   = ipAt + 10
	fromV4  = ipAt + 12 // source and destination behind each other
	udpV4   = ipAt + ipv4Len
	protoV6 = ipAt + 6
	fromV6  = ipAt + 8
	udpV6   = ipAt + ipv6Len

	typeIPv4    = 0x0800
	typeIPv6    = 0x86dd
	protocolUDP = 17
	noFragment  = 0x4000 // DF
	hopLimit    = 64
)

const (
	frameLen = 2048                // octets of memory for a frame
	headroom = 256                 // that the kernel keeps before what it receives
	maxFrame = frameLen - headroom // octets of a received frame; longer ones go up to the kernel
)

// fault is why a frame that the program gave us is not answered.
type fault uint8

const (
	fine        fault = iota
	malformed         // not what the program lets through, or lengths that contradict each other
	badChecksum       // of IP or UDP
	noSource          // from an address, port or MAC that nobody can be answered at
)

// datagram is what was read of a frame. Its slices alias the frame.
type datagram struct {
	headers []byte // Ethernet, IP and UDP
	payload []byte
	from    netip.Addr // unmapped, without zone
}

// parse reads a frame that the program let through, and looks at it as the kernel
// would have: what is on the wire is whatever somebody sent.
func parse(frame []byte) (d datagram, why fault) {
	if len(frame) < udpV4+udpLen {
		return d, malformed
	}
	if frame[6]&1 != 0 { // a group's MAC is nobody's
		return d, noSource
	}
	switch binary.BigEndian.Uint16(frame[typeAt:]) {
	case typeIPv4:
		return parseV4(frame)
	case typeIPv6:
		return parseV6(frame)
	}
	return d, malformed
}

func parseV4(frame []byte) (d datagram, why fault) {
	total := int(binary.BigEndian.Uint16(frame[ipAt+2:])) // behind it may be padding
	if frame[ipAt] != 0x45 || frame[protoV4] != protocolUDP || binary.BigEndian.Uint16(frame[ipAt+6:])&^noFragment != 0 ||
		total < ipv4Len+udpLen || total > len(frame)-ipAt {
		return d, malformed
	}
	if fold(sum(0, frame[ipAt:udpV4])) != 0xffff {
		return d, badChecksum
	}
	// The kernel does not take these from the wire, or could not reply to them.
	from := [4]byte(frame[fromV4:])
	if from[0] == 0 || from[0] == 127 || from[0]>>4 == 0xe || from == [4]byte{255, 255, 255, 255} || [4]byte(frame[fromV4+4:]) == from {
		return d, noSource
	}
	d.from = netip.AddrFrom4(from)
	return d, d.take(frame[:ipAt+total], udpV4, frame[fromV4:udpV4])
}

func parseV6(frame []byte) (d datagram, why fault) {
	if len(frame) < udpV6+udpLen {
		return d, malformed
	}
	length := int(binary.BigEndian.Uint16(frame[ipAt+4:])) // behind it may be padding
	if frame[ipAt]>>4 != 6 || frame[protoV6] != protocolUDP || length < udpLen || length > len(frame)-udpV6 {
		return d, malformed
	}
	from := [16]byte(frame[fromV6:])
	d.from = netip.AddrFrom16(from)
	if from[0] == 0xff || d.from.Is4In6() || d.from.IsUnspecified() || d.from.IsLoopback() || [16]byte(frame[fromV6+16:]) == from {
		return d, noSource
	}
	return d, d.take(frame[:udpV6+length], udpV6, frame[fromV6:udpV6])
}

// take reads the UDP header that begins at udp in an IP packet that ends where
// frame ends.
func (d *datagram) take(frame []byte, udp int, addresses []byte) fault {
	h := frame[udp:]
	length := int(binary.BigEndian.Uint16(h[4:]))
	if length < udpLen || length > len(h) {
		return malformed
	}
	if !checked(h[:length], addresses) {
		return badChecksum
	}
	if h[0]|h[1] == 0 { // port 0
		return noSource
	}
	d.headers, d.payload = frame[:udp+udpLen], h[udpLen:length]
	return fine
}

// checked tells whether a datagram has a checksum that may pass: the right one; over
// IPv4 none at all; or the sum of the pseudo header alone. That is what a frame has that never was on
// a wire, from a container or virtual machine of this host: its kernel leaves the rest to
// hardware, here to nobody. (A forger gains nothing: he can compute the right one.)
func checked(udp, addresses []byte) bool {
	has := binary.LittleEndian.Uint16(udp[6:])
	if has == 0 {
		return len(addresses) == 2*4 // RFC 8200 §8.1: not over IPv6
	}
	acc := pseudo(addresses, len(udp))
	return fold(acc) == has || fold(sum(acc, udp)) == 0xffff
}

// compose writes before a payload of n octets, which stands in frame behind the
// room for headers, those that take it back to where a frame with the given
// headers came from. It gives the frame's length.
func compose(frame, headers []byte, n int) int {
	end := len(headers) + n
	frame = frame[:end]
	copy(frame[0:6], headers[6:12])
	copy(frame[6:12], headers[0:6])
	copy(frame[typeAt:ipAt], headers[typeAt:ipAt])
	udp, addresses := udpV4, 2*4
	if len(headers) == udpV4+udpLen {
		composeV4(frame, headers)
	} else {
		udp, addresses = udpV6, 2*16
		composeV6(frame, headers)
	}
	h, from := frame[udp:], headers[udp:]
	copy(h[0:2], from[2:4])
	copy(h[2:4], from[0:2])
	binary.BigEndian.PutUint16(h[4:], uint16(len(h)))
	h[6], h[7] = 0, 0
	check := ^fold(sum(pseudo(frame[udp-addresses:udp], len(h)), h))
	if check == 0 {
		check = 0xffff // RFC 768: nought would say that there is none
	}
	binary.LittleEndian.PutUint16(h[6:], check)
	return end
}

// composeV4 writes the IP header. A reply is not to be fragmented on its way
// (RFC 9715 §3.1), and needs no identification then (RFC 6864 §4.1).
func composeV4(frame, headers []byte) {
	h := frame[ipAt:udpV4]
	clear(h)
	h[0] = 0x45
	binary.BigEndian.PutUint16(h[2:], uint16(len(frame)-ipAt))
	binary.BigEndian.PutUint16(h[6:], noFragment)
	h[hopsV4-ipAt] = hopLimit
	h[protoV4-ipAt] = protocolUDP
	copy(frame[fromV4:fromV4+4], headers[fromV4+4:fromV4+8])
	copy(frame[fromV4+4:fromV4+8], headers[fromV4:fromV4+4])
	binary.LittleEndian.PutUint16(frame[sumV4:], ^fold(sum(0, h)))
}

func composeV6(frame, headers []byte) {
	h := frame[ipAt:udpV6]
	binary.BigEndian.PutUint32(h, 6<<28)
	binary.BigEndian.PutUint16(h[4:], uint16(len(frame)-udpV6))
	h[6], h[7] = protocolUDP, hopLimit
	copy(frame[fromV6:fromV6+16], headers[fromV6+16:fromV6+32])
	copy(frame[fromV6+16:fromV6+32], headers[fromV6:fromV6+16])
}
