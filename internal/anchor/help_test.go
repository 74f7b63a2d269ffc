package anchor

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
)

const day = 24 * time.Hour

var (
	noon = time.Date(2026, 5, 5, 12, 0, 0, 0, time.UTC)
	zone = dnsname.MustParse("example.")
)

// newKey makes a key of a number, with which nothing is ever verified.
func newKey(t testing.TB, n byte, flags uint16) *dnssec.Key {
	t.Helper()
	rdata := append(binary.BigEndian.AppendUint16(nil, flags), 3, byte(dnssec.Ed25519))
	k, err := dnssec.ReadKey(append(rdata, bytes.Repeat([]byte{n}, 32)...))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// The flags of a key that signs keys, and of one that is revoked (RFC 5011 §7).
const (
	entryPoint = 0x0101
	givenUp    = 0x0181
)

// digestOf is the DS record of a key.
func digestOf(zone dnsname.Name, k *dnssec.Key) dnssec.DS {
	return dnssec.DS{Tag: k.Tag, Algorithm: k.Algorithm, Type: dnssec.SHA256, Digest: k.Digest(zone, dnssec.SHA256)}
}

// says fails unless an error says all of some things.
func says(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v, want one with %q", err, part)
		}
	}
}

// states are the keys of a tracker, as number:state.
func states(tr *Tracker) string {
	var list []string
	for _, k := range tr.Keys() {
		list = append(list, string('0'+k.Key.Data()[4])+":"+k.State)
	}
	return strings.Join(list, " ")
}
