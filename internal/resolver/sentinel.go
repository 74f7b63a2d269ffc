package resolver

import (
	"fmt"
	"slices"
	"strings"

	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/wire"
)

// What the labels begin with by which clients ask whether a key of the root is
// trusted here (RFC 8509 §2.1). The key's tag follows, five digits.
const (
	sentinelIs  = "root-key-sentinel-is-ta-"
	sentinelNot = "root-key-sentinel-not-ta-"
	tagDigits   = 5
)

// sentinelOf reads such a name: the tag of the key, and whether the client asks if
// it is trusted, or if it is not.
func sentinelOf(name dnsname.Name) (tag uint16, not, ok bool) {
	if name.IsRoot() {
		return 0, false, false
	}
	switch name[0] { // the label's length: for nearly all names that is all there is to see
	case byte(len(sentinelIs) + tagDigits):
	case byte(len(sentinelNot) + tagDigits):
		not = true
	default:
		return 0, false, false
	}
	digits, ok := strings.CutPrefix(name.FirstLabel(), sentinelIs)
	if not {
		digits, ok = strings.CutPrefix(name.FirstLabel(), sentinelNot)
	}
	if !ok || len(digits) != tagDigits {
		return 0, false, false
	}
	n := 0
	for _, d := range []byte(digits) {
		if d < '0' || d > '9' {
			return 0, false, false
		}
		n = 10*n + int(d-'0')
	}
	return uint16(n), not, n <= 0xffff
}

// sentinel tells whether a question is one for the state of a key (RFC 8509 §2.2).
func (r *Resolver) sentinel(q *Query) bool {
	if r.rootTags == nil || q.CD || q.Type != wire.TypeA && q.Type != wire.TypeAAAA {
		return false
	}
	_, _, ok := sentinelOf(q.Name)
	return ok
}

// told says to who asks for the state of a key what the name means: an answer that
// is authentic fails when what the name says of the key is not so. To whom the
// answer is not authentic for another reason nothing can be told.
func (r *Resolver) told(q *Query, a *Answer) *Answer {
	if !r.sentinel(q) || !a.secure(r.clock.Now()) {
		return a
	}
	tag, not, _ := sentinelOf(q.Name)
	if slices.Contains(r.rootTags(), tag) != not {
		return a
	}
	what := "is no trust anchor here"
	if not {
		what = "is a trust anchor here"
	}
	return failed(false, &ede.Error{Code: ede.Other, ID: "SENT", Text: fmt.Sprintf("key %05d of the root %s (RFC 8509)", tag, what)})
}
