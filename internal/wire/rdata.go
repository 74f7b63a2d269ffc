package wire

import "encoding/binary"

// Field is one part of a record's data. A shape, the string of a type's
// fields, is what decompression, compression, canonical form and presentation
// are driven by.
type Field byte

// The kinds of field. Shapes end in a field that takes the rest where one of
// FieldRest… is used.
const (
	FieldName      Field = 'n' // a name that may be compressed (RFC 3597 §4 list)
	FieldPlainName Field = 'N' // a name that senders must not compress
	FieldU8        Field = '1'
	FieldU16       Field = '2'
	FieldU32       Field = '4'
	FieldA         Field = 'a' // IPv4 address
	FieldAAAA      Field = '6' // IPv6 address
	FieldString    Field = 's' // character-string
	FieldStrings   Field = 'S' // one or more character-strings, to the end
	FieldText      Field = 't' // rest, shown quoted (URI, CAA value)
	FieldHex       Field = 'x' // rest, hexadecimal
	FieldBase64    Field = 'b' // rest, base64
	FieldBitmap    Field = 'm' // rest, type bitmap (RFC 4034 §4.1.2)
	FieldType      Field = 'T' // record type mnemonic, 16 bits
	FieldTime      Field = 'D' // 32-bit date as YYYYMMDDHHmmSS
	FieldSalt      Field = 'h' // octet count, then hexadecimal, "-" if empty
	FieldHash      Field = 'H' // octet count, then base32hex
	FieldSvcParams Field = 'p' // rest, RFC 9460 parameters
	FieldEUI48     Field = 'e'
	FieldEUI64     Field = 'E'
	FieldGeneric   Field = 'g' // rest, RFC 3597 §5
	FieldLOC       Field = 'l' // RFC 1876
	FieldAPL       Field = 'P' // rest, RFC 3123
	FieldIPSECKEY  Field = 'I' // gateway and key, RFC 4025 §2
	FieldHIP       Field = 'i' // RFC 8005 §5
	FieldDHCID     Field = 'd' // rest, base64 without spaces
)

// shapes of the types whose data lastgood understands. Only types of RFC 3597
// §4 have FieldName: senders compress no others, and decompressing others
// would be wrong.
var shapes = map[Type]string{
	TypeA: "a", TypeNS: "n", TypeMD: "n", TypeMF: "n", TypeCNAME: "n", TypeSOA: "nn44444",
	TypeMB: "n", TypeMG: "n", TypeMR: "n", TypePTR: "n", TypeHINFO: "ss", TypeMINFO: "nn", TypeMX: "2n",
	TypeTXT: "S", TypeSPF: "S", TypeRP: "nn", TypeAFSDB: "2n", TypeX25: "s", TypeISDN: "S", TypeRT: "2n",
	TypeSIG: "T1144DD2nb", TypeKEY: "211b", TypePX: "2nn", TypeAAAA: "6", TypeLOC: "l", TypeNXT: "nx",
	TypeSRV: "222n", TypeNAPTR: "22sssn", TypeKX: "2n", TypeCERT: "221b", TypeDNAME: "n", TypeAPL: "P",
	TypeDS: "211x", TypeCDS: "211x", TypeSSHFP: "11x", TypeIPSECKEY: "111I", TypeRRSIG: "T114DD2Nb",
	TypeNSEC: "Nm", TypeDNSKEY: "211b", TypeCDNSKEY: "211b", TypeDHCID: "d", TypeNSEC3: "112hHm",
	TypeNSEC3PARAM: "112h", TypeTLSA: "111x", TypeSMIMEA: "111x", TypeHIP: "i", TypeOPENPGPKEY: "b",
	TypeCSYNC: "42m", TypeZONEMD: "411x", TypeSVCB: "2Np", TypeHTTPS: "2Np", TypeEUI48: "e",
	TypeEUI64: "E", TypeURI: "22t", TypeCAA: "1st",
}

// Shape gives the fields of a type's data; unknown types are FieldGeneric.
func Shape(t Type) string {
	if s, ok := shapes[t]; ok {
		return s
	}
	return "g"
}

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

// AppendRdata appends the record's data with every name uncompressed, as it is
// stored and compared, and checks it against the type's shape.
func (r Record) AppendRdata(dst []byte) ([]byte, error) {
	base, off := len(dst), r.rdata
	for _, f := range []byte(Shape(r.Type)) {
		var err error
		if dst, off, err = r.appendField(dst, off, Field(f)); err != nil {
			return dst[:base], err
		}
	}
	if off != r.end {
		return dst[:base], ErrRdata
	}
	return dst, nil
}

func (r Record) appendField(dst []byte, off int, f Field) ([]byte, int, error) {
	switch f {
	case FieldName, FieldPlainName:
		dst, next, err := AppendName(dst, r.msg[:r.end], off)
		return dst, next, err
	}
	n, err := fieldLen(r.msg[off:r.end], f)
	if err != nil {
		return dst, 0, err
	}
	return append(dst, r.msg[off:off+n]...), off + n, nil
}

// fieldLen is the size of the field at the start of b.
func fieldLen(b []byte, f Field) (int, error) {
	n := fixedLen(f)
	switch f {
	case FieldString, FieldSalt, FieldHash:
		if len(b) == 0 {
			return 0, ErrRdata
		}
		n = 1 + int(b[0])
	case FieldStrings:
		return len(b), validStrings(b)
	case FieldBitmap:
		return len(b), validBitmap(b)
	case FieldLOC:
		n = 16
	default:
		if n == 0 {
			n = len(b)
		}
	}
	if n > len(b) {
		return 0, ErrRdata
	}
	return n, nil
}

func validStrings(b []byte) error {
	if len(b) == 0 {
		return ErrRdata
	}
	for len(b) > 0 {
		n := 1 + int(b[0])
		if n > len(b) {
			return ErrRdata
		}
		b = b[n:]
	}
	return nil
}

// validBitmap checks RFC 4034 §4.1.2: windows ascend, 1 to 32 octets each.
func validBitmap(b []byte) error {
	last := -1
	for len(b) > 0 {
		if len(b) < 2 || int(b[0]) <= last || b[1] == 0 || b[1] > 32 || 2+int(b[1]) > len(b) {
			return ErrRdata
		}
		last = int(b[0])
		b = b[2+int(b[1]):]
	}
	return nil
}

// NameIn gives the offset of the first name field in a type's uncompressed
// data, -1 without one: the target of CNAME, DNAME, NS, PTR, MX, SRV…
func NameIn(t Type) int {
	off := 0
	for _, f := range []byte(Shape(t)) {
		if Field(f) == FieldName || Field(f) == FieldPlainName {
			return off
		}
		n := fixedLen(Field(f))
		if n == 0 {
			return -1
		}
		off += n
	}
	return -1
}

// compressible tells whether a sender may compress names in the type's data:
// the types of RFC 1035 only (RFC 3597 §4).
func compressible(t Type) bool {
	switch t {
	case TypeNS, TypeMD, TypeMF, TypeCNAME, TypeSOA, TypeMB, TypeMG, TypeMR, TypePTR, TypeMINFO, TypeMX:
		return true
	}
	return false
}

func putU16(b []byte, off int, v uint16) { binary.BigEndian.PutUint16(b[off:], v) }
