package wire

import (
	"encoding/binary"

	"lastgood/internal/dnsname"
)

// fixedLen is the size of a field that has one, else 0.
func fixedLen(f Field) int {
	switch f {
	case FieldU8:
		return 1
	case FieldU16, FieldType:
		return 2
	case FieldU32, FieldA, FieldTime:
		return 4
	case FieldEUI48:
		return 6
	case FieldEUI64:
		return 8
	case FieldAAAA:
		return 16
	}
	return 0
}

// FieldLen is the size of the field of kind f at the start of b, which is data
// in uncompressed form to its end. ErrRdata when it does not lie inside b or
// lacks the inner structure that its type's RFC demands.
func FieldLen(b []byte, f Field) (int, error) {
	n, ok := fixedLen(f), true
	switch {
	case n != 0:
	case f == FieldName || f == FieldPlainName:
		n = dnsname.WireLen(b)
		ok = n != 0
	case f == FieldString || f == FieldTag || f == FieldSalt || f == FieldHash:
		n = counted(b)
		ok = n != 0
	default:
		n, ok = len(b), validRest(b, f)
	}
	if !ok || n > len(b) {
		return 0, ErrRdata
	}
	return n, nil
}

// validRest checks a field that takes the rest of the data.
func validRest(b []byte, f Field) bool {
	switch f {
	case FieldStrings:
		return validStrings(b)
	case FieldBitmap:
		return validBitmap(b)
	case FieldSvcParams:
		return validSvcParams(b)
	case FieldLOC: // RFC 1876 §2: other versions are unknown
		return len(b) == 16 || len(b) > 0 && b[0] != 0
	case FieldAPL:
		return validAPL(b)
	case FieldIPSECKEY:
		return validIPSECKEY(b)
	case FieldHIP:
		return validHIP(b)
	}
	return true
}

// counted is the size of what stands behind its own length octet, with that
// octet; 0 when b is empty.
func counted(b []byte) int {
	if len(b) == 0 {
		return 0
	}
	return 1 + int(b[0])
}

func validStrings(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	for len(b) > 0 {
		n := counted(b)
		if n > len(b) {
			return false
		}
		b = b[n:]
	}
	return true
}

// validBitmap checks RFC 4034 §4.1.2: windows ascend, 1 to 32 octets each.
func validBitmap(b []byte) bool {
	for last := -1; len(b) > 0; {
		if len(b) < 2 || int(b[0]) <= last || b[1] == 0 || b[1] > 32 || 2+int(b[1]) > len(b) {
			return false
		}
		last = int(b[0])
		b = b[2+int(b[1]):]
	}
	return true
}

// validSvcParams checks RFC 9460 §2.2: keys ascend and values lie inside. What
// the values say is the client's business.
func validSvcParams(b []byte) bool {
	for last := -1; len(b) > 0; {
		if len(b) < 4 || int(binary.BigEndian.Uint16(b)) <= last {
			return false
		}
		last = int(binary.BigEndian.Uint16(b))
		n := 4 + int(binary.BigEndian.Uint16(b[2:]))
		if n > len(b) {
			return false
		}
		b = b[n:]
	}
	return true
}

// validAPL checks RFC 3123 §4: items of family, prefix length and address.
func validAPL(b []byte) bool {
	for len(b) > 0 {
		if len(b) < 4 {
			return false
		}
		n := 4 + int(b[3]&0x7f)
		if n > len(b) {
			return false
		}
		b = b[n:]
	}
	return true
}

// validIPSECKEY checks RFC 4025 §2: the gateway is what its type says. The key
// may be missing; gateways of later types are opaque.
func validIPSECKEY(b []byte) bool {
	if len(b) < 3 {
		return false
	}
	switch gateway := b[3:]; b[1] {
	case 1:
		return len(gateway) >= 4
	case 2:
		return len(gateway) >= 16
	case 3:
		return dnsname.WireLen(gateway) != 0
	}
	return true
}

// validHIP checks RFC 8005 §5: tag, key and then only names.
func validHIP(b []byte) bool {
	if len(b) < 4 {
		return false
	}
	fixed := 4 + int(b[0]) + int(binary.BigEndian.Uint16(b[2:]))
	if b[0] == 0 || fixed > len(b) {
		return false
	}
	for b = b[fixed:]; len(b) > 0; {
		n := dnsname.WireLen(b)
		if n == 0 {
			return false
		}
		b = b[n:]
	}
	return true
}

func putU16(b []byte, off int, v uint16) { binary.BigEndian.PutUint16(b[off:], v) }
