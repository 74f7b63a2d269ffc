package wire

// Field is one part of a record's data. A shape, the string of a type's
// fields, is what checks, decompression, compression, canonical form and
// presentation are driven by.
type Field byte

// The kinds of field. "Rest" means to the end of the data.
const (
	FieldName      Field = 'n' // a name, lower case in canonical form (RFC 4034 §6.2, RFC 6840 §5.1)
	FieldPlainName Field = 'N' // a name of a later type: its case stands
	FieldU8        Field = '1'
	FieldU16       Field = '2'
	FieldU32       Field = '4'
	FieldA         Field = 'a' // IPv4 address
	FieldAAAA      Field = '6' // IPv6 address
	FieldString    Field = 's' // character-string, shown quoted
	FieldTag       Field = 'c' // character-string, shown bare (X25 address, CAA tag)
	FieldStrings   Field = 'S' // rest, one or more character-strings
	FieldText      Field = 't' // rest, shown quoted (URI, CAA value)
	FieldHex       Field = 'x' // rest, hexadecimal
	FieldBase64    Field = 'b' // rest, base64
	FieldBitmap    Field = 'm' // rest, type bitmap (RFC 4034 §4.1.2)
	FieldType      Field = 'T' // record type mnemonic, 16 bits
	FieldTime      Field = 'D' // 32-bit date as YYYYMMDDHHmmSS
	FieldSalt      Field = 'h' // octet count, then hexadecimal, "-" if empty
	FieldHash      Field = 'H' // octet count, then base32hex
	FieldSvcParams Field = 'p' // rest, RFC 9460 §2.2 parameters
	FieldEUI48     Field = 'e' // RFC 7043
	FieldEUI64     Field = 'E'
	FieldLOC       Field = 'l' // rest, RFC 1876
	FieldAPL       Field = 'P' // rest, RFC 3123
	FieldIPSECKEY  Field = 'I' // rest, RFC 4025 §2
	FieldHIP       Field = 'i' // rest, RFC 8005 §5
	FieldGeneric   Field = 'g' // rest, RFC 3597 §5
)

// shapes of the types whose data lastgood understands, indexed by type. Data of
// others is opaque: it may hold no compressed names (RFC 3597 §4).
var shapes = [...]string{
	TypeA: "a", TypeNS: "n", TypeMD: "n", TypeMF: "n", TypeCNAME: "n", TypeSOA: "nn44444",
	TypeMB: "n", TypeMG: "n", TypeMR: "n", TypePTR: "n", TypeHINFO: "ss", TypeMINFO: "nn", TypeMX: "2n",
	TypeTXT: "S", TypeSPF: "S", TypeRP: "nn", TypeAFSDB: "2n", TypeX25: "c", TypeISDN: "S", TypeRT: "2n",
	TypeSIG: "T114DD2nb", TypeKEY: "211b", TypePX: "2nn", TypeAAAA: "6", TypeLOC: "l", TypeNXT: "ng",
	TypeSRV: "222n", TypeNAPTR: "22sssn", TypeKX: "2n", TypeCERT: "221b", TypeDNAME: "n", TypeAPL: "P",
	TypeDS: "211x", TypeCDS: "211x", TypeSSHFP: "11x", TypeIPSECKEY: "I", TypeRRSIG: "T114DD2nb",
	TypeNSEC: "Nm", TypeDNSKEY: "211b", TypeCDNSKEY: "211b", TypeDHCID: "b", TypeNSEC3: "112hHm",
	TypeNSEC3PARAM: "112h", TypeTLSA: "111x", TypeSMIMEA: "111x", TypeHIP: "i", TypeOPENPGPKEY: "b",
	TypeCSYNC: "42m", TypeZONEMD: "411x", TypeSVCB: "2Np", TypeHTTPS: "2Np", TypeEUI48: "e",
	TypeEUI64: "E", TypeURI: "22t", TypeCAA: "1ct",
}

// Shape gives the fields of a type's data in class IN; unknown types are
// FieldGeneric.
func Shape(t Type) string {
	if int(t) < len(shapes) && shapes[t] != "" {
		return shapes[t]
	}
	return "g"
}

// AppendRdata appends the record's data with every name uncompressed, as it is
// stored and compared, and checks it against the type's shape. A name that was
// compressed against the rules (RFC 4034 §3.1.7, RFC 9460 §2.2) is expanded
// too: no reader can take it for anything else.
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
	if f == FieldName || f == FieldPlainName {
		return AppendName(dst, r.msg[:r.end], off)
	}
	n, err := FieldLen(r.msg[off:r.end], f)
	if err != nil {
		return dst, 0, err
	}
	return append(dst, r.msg[off:off+n]...), off + n, nil
}

// CheckRdata tells whether data in uncompressed form has its type's shape.
func CheckRdata(t Type, rdata []byte) error {
	for _, f := range []byte(Shape(t)) {
		n, err := FieldLen(rdata, Field(f))
		if err != nil {
			return err
		}
		rdata = rdata[n:]
	}
	if len(rdata) != 0 {
		return ErrRdata
	}
	return nil
}

// NameIn gives the offset of the first name field in a type's uncompressed
// data, -1 without one or behind fields of varying size: the target of CNAME,
// DNAME, NS, PTR, MX, SRV…
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
