package rrset

import (
	"bytes"
	"slices"
	"strings"

	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

// AppendCanonical appends a record's data in canonical form (RFC 4034 §6.2):
// names in lower case, of the types listed there without NSEC (RFC 6840 §5.1).
// Data without its type's shape is appended as it is.
func AppendCanonical(dst []byte, t wire.Type, rdata []byte) []byte {
	at := len(dst)
	dst = append(dst, rdata...)
	if !hasNames(t) {
		return dst
	}
	rest := dst[at:]
	for _, f := range []byte(wire.Shape(t)) {
		n, err := wire.FieldLen(rest, wire.Field(f))
		if err != nil {
			break
		}
		if wire.Field(f) == wire.FieldName {
			dnsname.Lower(rest[:n], rest[:n])
		}
		rest = rest[n:]
	}
	return dst
}

// Canonical gives the records in canonical form and order, each once (RFC 4034
// §6.3). It copies.
func Canonical(t wire.Type, p Packed) Packed {
	flat := make([]byte, 0, len(p))
	var records [][]byte
	for rd := range p.All() {
		at := len(flat)
		flat = AppendCanonical(flat, t, rd)
		records = append(records, flat[at:])
	}
	slices.SortFunc(records, bytes.Compare)
	out := make(Packed, 0, len(p))
	for _, rd := range slices.CompactFunc(records, bytes.Equal) {
		out = out.Append(rd)
	}
	return out
}

// SameData tells whether two records' data of a type are the same: names that
// canonical form makes lower case compare regardless of case, everything else
// by octet (RFC 3597 §6). So the names in NSEC, SVCB and HTTPS compare exactly.
func SameData(t wire.Type, a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	if !hasNames(t) {
		return bytes.Equal(a, b)
	}
	for _, f := range []byte(wire.Shape(t)) {
		n, err := wire.FieldLen(a, wire.Field(f))
		if err != nil {
			break
		}
		same := bytes.Equal(a[:n], b[:n])
		if !same && (wire.Field(f) != wire.FieldName || !dnsname.EqualFold(a[:n], b[:n])) {
			return false
		}
		a, b = a[n:], b[n:]
	}
	return bytes.Equal(a, b)
}

func hasNames(t wire.Type) bool {
	return strings.IndexByte(wire.Shape(t), byte(wire.FieldName)) >= 0
}
