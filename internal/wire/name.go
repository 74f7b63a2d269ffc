package wire

import "lastgood/internal/dnsname"

// maxPointers bounds the compression pointers of one name. A name has at most
// 127 labels, and a sender gains nothing by more than one pointer before each;
// without the bound a message could make each of its thousands of names walk
// a chain of thousands of pointers.
const maxPointers = 127

// skipName finds where the name at off ends in the message. It checks labels
// and that a pointer leads back; what stands at its target is checked by
// AppendName.
func skipName(msg []byte, off int) (int, error) {
	for start := off; off < len(msg); {
		c := int(msg[off])
		switch {
		case c == 0:
			return off + 1, nil
		case c <= dnsname.MaxLabel:
			off += 1 + c
		case c >= 0xc0:
			if off+1 >= len(msg) {
				return 0, ErrShort
			}
			if target := pointer(msg, off); target >= start || target < HeaderLen {
				return 0, ErrPointer
			}
			return off + 2, nil
		default:
			return 0, errBadLabelLen
		}
		if off-start >= dnsname.MaxLen { // no room for the root
			return 0, ErrName
		}
	}
	return 0, ErrShort
}

// AppendName appends the name at off of msg, uncompressed and in the message's
// case, and gives the offset behind it. Each pointer must lead before the part
// it stands in, and there are at most [maxPointers].
func AppendName(dst, msg []byte, off int) ([]byte, int, error) {
	base, part, end := len(dst), off, 0
	for pointers := 0; off < len(msg); {
		c := int(msg[off])
		switch {
		case c == 0:
			if end == 0 {
				end = off + 1
			}
			return append(dst, 0), end, nil
		case c <= dnsname.MaxLabel:
			if off+1+c > len(msg) {
				return dst[:base], 0, ErrShort
			}
			if len(dst)-base+1+c+1 > dnsname.MaxLen {
				return dst[:base], 0, ErrName
			}
			dst = append(dst, msg[off:off+1+c]...)
			off += 1 + c
		case c >= 0xc0 && off+1 < len(msg):
			if end == 0 {
				end = off + 2
			}
			off = pointer(msg, off)
			if pointers++; off >= part || off < HeaderLen || pointers > maxPointers {
				return dst[:base], 0, ErrPointer
			}
			part = off
		case c >= 0xc0:
			return dst[:base], 0, ErrShort
		default:
			return dst[:base], 0, errBadLabelLen
		}
	}
	return dst[:base], 0, ErrShort
}

// pointer is the target of the compression pointer at off.
func pointer(msg []byte, off int) int {
	return int(msg[off]&0x3f)<<8 | int(msg[off+1])
}
