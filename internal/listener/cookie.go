package listener

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"
)

// Lengths in octets of RFC 7873 §4 and of the server cookie of RFC 9018 §4.
const (
	clientCookieLen = 8
	serverCookieLen = 16
	minForeign      = 8  // a server cookie may be that short
	maxForeign      = 32 // or that long
)

// How old a server cookie may be, how far in the future, and from which age on
// a client gets a new one (RFC 9018 §4.3).
const (
	cookieLife   = time.Hour
	cookieFuture = 5 * time.Minute
	cookieRenew  = 30 * time.Minute
)

// cookie is the client's and the server's cookie of a reply, and whether the
// client had proven its address by a server cookie of ours.
type cookie struct {
	given   bool
	foreign bool // the client sent a server cookie
	valid   bool // which is ours
	value   [clientCookieLen + serverCookieLen]byte
}

// bakery makes and checks server cookies. Immutable.
type bakery struct {
	secrets [][16]byte // the first makes, all check: room for a rollover
}

func newBakery(secrets [][16]byte) *bakery {
	if len(secrets) == 0 {
		secrets = make([][16]byte, 1)
		rand.Read(secrets[0][:]) // never fails
	}
	return &bakery{slices.Clone(secrets)}
}

// read judges a COOKIE option and makes the reply's. False when its length is
// none that RFC 7873 §5.2.2 knows.
func (k *bakery) read(opt []byte, client netip.Addr, now time.Time) (cookie, bool) {
	server := len(opt) - clientCookieLen
	if server != 0 && (server < minForeign || server > maxForeign) {
		return cookie{}, false
	}
	c := cookie{given: true, foreign: server > 0}
	copy(c.value[:], opt)
	if server == serverCookieLen {
		c.valid = k.valid(c.value[:], client, now)
	}
	if !c.valid || cookieAge(c.value[:], now) >= cookieRenew {
		k.bake(&c, client, now)
	}
	return c, true
}

// valid checks version, age and hash of a client and server cookie.
func (k *bakery) valid(value []byte, client netip.Addr, now time.Time) bool {
	if value[8] != 1 {
		return false
	}
	if age := cookieAge(value, now); age > cookieLife || age < -cookieFuture {
		return false
	}
	for i := range k.secrets {
		var want [8]byte
		putHash(want[:], &k.secrets[i], value, client)
		if subtle.ConstantTimeCompare(want[:], value[16:]) == 1 {
			return true
		}
	}
	return false
}

// cookieAge is how long ago a server cookie was made, in serial arithmetic (RFC
// 1982): its timestamp wraps in 2106.
func cookieAge(value []byte, now time.Time) time.Duration {
	return time.Duration(int32(uint32(now.Unix())-binary.BigEndian.Uint32(value[12:]))) * time.Second
}

// bake puts a fresh server cookie behind the client's.
func (k *bakery) bake(c *cookie, client netip.Addr, now time.Time) {
	c.value[8] = 1 // version; the reserved octets follow
	c.value[9], c.value[10], c.value[11] = 0, 0, 0
	binary.BigEndian.PutUint32(c.value[12:], uint32(now.Unix()))
	putHash(c.value[16:], &k.secrets[0], c.value[:], client)
}

// putHash is the hash of RFC 9018 §4.4 over client cookie, version, reserved
// octets, timestamp and client address.
func putHash(dst []byte, secret *[16]byte, value []byte, client netip.Addr) {
	var input [32]byte
	n := copy(input[:], value[:16])
	if client.Is4() {
		a := client.As4()
		n += copy(input[n:], a[:])
	} else {
		a := client.As16()
		n += copy(input[n:], a[:])
	}
	binary.LittleEndian.PutUint64(dst, sipHash(secret, input[:n]))
}
