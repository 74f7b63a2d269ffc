// Package dnsname holds domain names: comparable values in wire form.
//
// A [Name] is a string of length-prefixed labels that ends in the root label,
// with ASCII letters in lower case, so that names are equal when the strings
// are, serve as map keys, and a parent is a slice of its child. It knows
// nothing of messages; compression is undone by package wire.
package dnsname

import (
	"encoding/binary"
	"errors"
	"strings"
	"unsafe"
)

// Bounds of RFC 1035 §2.3.4, in octets of wire form.
const (
	MaxLen   = 255
	MaxLabel = 63
)

// Name is a domain name in uncompressed wire form, lower case. The empty
// string is no name. 16 bytes, comparable.
type Name string

// Root is the name of the root zone.
const Root Name = "\x00"

// Errors of parsing.
var (
	ErrTooLong    = errors.New("name longer than 255 octets")
	ErrLabel      = errors.New("label longer than 63 octets")
	ErrEmptyLabel = errors.New("empty label")
	ErrEscape     = errors.New("bad escape in name")
	ErrWire       = errors.New("malformed name in wire form")
)

// FromWire makes a Name of a complete name in uncompressed wire form, any case.
func FromWire(b []byte) (Name, error) {
	if n := WireLen(b); n == 0 || n != len(b) {
		return "", ErrWire
	}
	for _, c := range b {
		if 'A' <= c && c <= 'Z' {
			low := make([]byte, len(b))
			Lower(low, b)
			return Name(low), nil
		}
	}
	return Name(b), nil
}

// WireLen gives the length of the uncompressed name at the start of b, 0 when
// there is none.
func WireLen(b []byte) int {
	for i := 0; i < len(b) && i < MaxLen; {
		c := int(b[i])
		if c == 0 {
			return i + 1
		}
		if c > MaxLabel {
			return 0
		}
		i += 1 + c
	}
	return 0
}

// Alias views b, a name in wire form of any case, as a Name without copying.
// The result is valid while b is neither changed nor freed by its owner; it
// equals another Name only if b is in lower case.
func Alias(b []byte) Name {
	return Name(unsafe.String(unsafe.SliceData(b), len(b)))
}

// Lower copies the name src to dst in lower case. dst must be as long. Length
// octets are at most 63 and thus never letters.
func Lower(dst, src []byte) {
	_ = dst[:len(src)]
	for len(src) >= 8 {
		binary.LittleEndian.PutUint64(dst, lower8(binary.LittleEndian.Uint64(src)))
		dst, src = dst[8:], src[8:]
	}
	for i, c := range src {
		dst[i] = lower(c)
	}
}

// lower8 makes lower case of eight octets at once: adding to the low seven bits
// of each carries into its eighth from 'A' on, and from 'Z'+1 on.
func lower8(v uint64) uint64 {
	const each = 0x0101010101010101
	low := v & (0x7f * each)
	letters := (low + (0x80-'A')*each) &^ (low + (0x80-'Z'-1)*each) &^ v & (0x80 * each)
	return v | letters>>2
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// IsRoot tells whether n is the root.
func (n Name) IsRoot() bool { return n == Root }

// Labels counts the labels of n without the root's: 0 for the root.
func (n Name) Labels() int {
	count := 0
	for len(n) > 1 {
		n = n[1+int(n[0]):]
		count++
	}
	return count
}

// Parent is n without its first label; the root's parent is the root.
func (n Name) Parent() Name {
	if len(n) <= 1 {
		return n
	}
	return n[1+int(n[0]):]
}

// Suffix is n's ancestor (or n) that has the given number of labels.
func (n Name) Suffix(labels int) Name {
	for drop := n.Labels() - labels; drop > 0; drop-- {
		n = n.Parent()
	}
	return n
}

// Under tells whether n is zone or lies below it.
func (n Name) Under(zone Name) bool {
	if zone == "" || !strings.HasSuffix(string(n), string(zone)) {
		return false
	}
	for len(n) > len(zone) { // the suffix must begin where a label does
		n = n.Parent()
	}
	return len(n) == len(zone)
}

// Below tells whether n lies below zone and is not zone itself.
func (n Name) Below(zone Name) bool { return n != zone && n.Under(zone) }

// FirstLabel is the content of the leftmost label, "" for the root.
func (n Name) FirstLabel() string {
	if len(n) <= 1 {
		return ""
	}
	return string(n[1 : 1+int(n[0])])
}

// Prepend puts a label (content, any octets) before n.
func (n Name) Prepend(label string) (Name, error) {
	switch {
	case label == "":
		return "", ErrEmptyLabel
	case len(label) > MaxLabel:
		return "", ErrLabel
	case len(n)+1+len(label) > MaxLen:
		return "", ErrTooLong
	}
	b := make([]byte, 0, 1+len(label)+len(n))
	b = append(b, byte(len(label)))
	for i := range len(label) {
		b = append(b, lower(label[i]))
	}
	return Name(append(b, n...)), nil
}

// Rebase replaces the suffix from of n by to, as a DNAME does (RFC 6672 §2.2).
// n must lie below from.
func (n Name) Rebase(from, to Name) (Name, error) {
	prefix := n[:len(n)-len(from)]
	if len(prefix)+len(to) > MaxLen {
		return "", ErrTooLong
	}
	return prefix + to, nil
}
