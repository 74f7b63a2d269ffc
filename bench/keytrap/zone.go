package main

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"sort"
	"strings"
	"time"
)

const (
	typeA, typeNS, typeSOA          = 1, 2, 6
	typeRRSIG, typeDNSKEY           = 46, 48
	typeNSEC3                       = 50
	algorithmP384, algorithmEd25519 = 14, 15
	ttl                             = 86400
)

// trap is a zone that is as costly to validate as one can be: its keys share a tag,
// its addresses have signatures that none of them made, and its denials are hashed
// with as many iterations as a resolver computes.
type trap struct {
	signer  ed25519.PrivateKey
	keys    [][]byte // data of the DNSKEY records, the signer's first
	tag     uint16   // of the others
	expires uint32
}

const twins = 4

func newTrap() (*trap, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	t := &trap{signer: private, expires: uint32(time.Now().Add(24 * time.Hour).Unix())}
	t.keys = append(t.keys, append([]byte{1, 1, 3, algorithmEd25519}, public...))
	for len(t.keys) < 1+twins {
		k, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
		if err != nil {
			return nil, err
		}
		point, err := k.PublicKey.Bytes()
		if err != nil {
			return nil, err
		}
		data := append([]byte{1, 0, 3, algorithmP384}, point[1:]...)
		switch {
		case len(t.keys) == 1:
			t.tag = tag(data)
		case !t.twin(data):
			continue
		}
		t.keys = append(t.keys, data)
	}
	return t, nil
}

// twin gives a key the tag of the others by flags that mean nothing; false when
// there are none that do.
func (t *trap) twin(data []byte) bool {
	for flags := range uint16(1 << 15) {
		if flags&0x0181 != 0 {
			continue
		}
		binary.BigEndian.PutUint16(data, flags|0x0100)
		if tag(data) == t.tag {
			return true
		}
	}
	return false
}

// anchor is the zone's trust anchor as the configuration has it.
func (t *trap) anchor() string {
	return "trap. IN DNSKEY 257 3 15 " + base64.StdEncoding.EncodeToString(t.keys[0][4:])
}

func tag(data []byte) uint16 {
	var sum uint32
	for i, c := range data {
		sum += uint32(c) << (8 * (1 - i%2))
	}
	return uint16(sum + sum>>16)
}

func wireName(name string) []byte {
	var out []byte
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if label != "" {
			out = append(append(out, byte(len(label))), label...)
		}
	}
	return append(out, 0)
}

// record is one record in wire form.
func record(owner string, typ uint16, data []byte) []byte {
	out := wireName(owner)
	out = binary.BigEndian.AppendUint16(out, typ)
	out = binary.BigEndian.AppendUint16(out, 1)
	out = binary.BigEndian.AppendUint32(out, ttl)
	out = binary.BigEndian.AppendUint16(out, uint16(len(data)))
	return append(out, data...)
}

// signed gives the records of a set with a good signature.
func (t *trap) signed(owner string, typ uint16, set ...[]byte) (out [][]byte) {
	head := t.head(owner, typ, algorithmEd25519, tag(t.keys[0]))
	sort.Slice(set, func(i, j int) bool { return string(set[i]) < string(set[j]) })
	message := append([]byte(nil), head...)
	for _, data := range set {
		r := record(owner, typ, data)
		message, out = append(message, r...), append(out, r)
	}
	return append(out, record(owner, typeRRSIG, append(head, ed25519.Sign(t.signer, message)...)))
}

func (t *trap) head(owner string, typ uint16, algorithm byte, tag uint16) []byte {
	head := binary.BigEndian.AppendUint16(nil, typ)
	head = append(head, algorithm, byte(strings.Count(owner, ".")))
	head = binary.BigEndian.AppendUint32(head, ttl)
	head = binary.BigEndian.AppendUint32(head, t.expires)
	head = binary.BigEndian.AppendUint32(head, t.expires-48*3600)
	head = binary.BigEndian.AppendUint16(head, tag)
	return append(head, wireName("trap.")...)
}

// address is a name's address with signatures of which none is good: each is tried
// with each key of the tag.
func (t *trap) address(owner string) (out [][]byte) {
	out = append(out, record(owner, typeA, []byte{192, 0, 2, 1}))
	for range 6 {
		value := make([]byte, 96)
		_, _ = rand.Read(value)
		value[0], value[48] = 0, 0 // below the curve's order
		out = append(out, record(owner, typeRRSIG, append(t.head(owner, typeA, algorithmP384, t.tag), value...)))
	}
	return out
}

// denial is of a name that has many labels, all of which are hashed in search of one
// that exists; none does.
func (t *trap) denial() (out [][]byte) {
	soa := append(append(wireName("ns.trap."), wireName("mail.trap.")...), make([]byte, 20)...)
	out = t.signed("trap.", typeSOA, soa)
	data := append([]byte{1, 0, 0, 50, 255}, make([]byte, 255)...)
	data = append(append(data, 20), make([]byte, 20)...)
	return append(out, t.signed(strings.Repeat("0", 31)+"1.trap.", typeNSEC3, append(data, 0, 1, 0x40))...)
}

func deep(i int) string { return strings.Repeat("a.", 110) + fmt.Sprintf("x%d.hash.trap.", i) }
