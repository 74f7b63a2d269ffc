package dnssec

import (
	"encoding/binary"
	"errors"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

// Signature is an RRSIG record (RFC 4034 §3.1).
type Signature struct {
	Covered            wire.Type
	Algorithm          Algorithm
	Labels             int
	TTL                uint32 // the original one
	Expires, Inception uint32
	Tag                uint16
	Signer             dnsname.Name
	Value              []byte

	head []byte // the data before the signer's name
}

var errSignature = errors.New("malformed RRSIG record")

// headLen is the length of what comes before the signer's name.
const headLen = 18

// ReadSignature reads the data of an RRSIG record, which it aliases.
func ReadSignature(rdata []byte) (Signature, error) {
	if len(rdata) <= headLen {
		return Signature{}, errSignature
	}
	n := dnsname.WireLen(rdata[headLen:])
	if n == 0 || headLen+n >= len(rdata) {
		return Signature{}, errSignature
	}
	signer, err := dnsname.FromWire(rdata[headLen : headLen+n])
	if err != nil {
		return Signature{}, errSignature
	}
	return Signature{
		Covered: wire.Type(binary.BigEndian.Uint16(rdata)), Algorithm: Algorithm(rdata[2]), Labels: int(rdata[3]),
		TTL: binary.BigEndian.Uint32(rdata[4:]), Expires: binary.BigEndian.Uint32(rdata[8:]),
		Inception: binary.BigEndian.Uint32(rdata[12:]), Tag: binary.BigEndian.Uint16(rdata[16:]),
		Signer: signer, Value: rdata[headLen+n:], head: rdata[:headLen],
	}, nil
}

// after tells whether moment a is later than b in serial arithmetic (RFC 1982).
func after(a, b uint32) bool { return int32(a-b) > 0 }

// Times tells from when until when a signature is valid: of the moments, which
// repeat every 136 years, those that are closest to now (RFC 4034 §3.1.5).
func (s *Signature) Times(now time.Time) (from, until time.Time) {
	return near(s.Inception, now), near(s.Expires, now)
}

func near(t uint32, now time.Time) time.Time {
	return now.Truncate(time.Second).Add(time.Duration(int32(t-uint32(now.Unix()))) * time.Second).UTC()
}

// moment is a signature's time in words.
func moment(t uint32, now time.Time) string { return near(t, now).Format(time.RFC3339) }
