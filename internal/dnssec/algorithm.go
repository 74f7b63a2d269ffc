package dnssec

import (
	"crypto"
	_ "crypto/sha1" // the hashes that algorithms name
	_ "crypto/sha256"
	_ "crypto/sha512"
	"strconv"
)

// Algorithm is a number of the IANA registry "DNS Security Algorithm Numbers".
type Algorithm uint8

// The algorithms that signatures can be verified of (RFC 8624 §3.1). Others,
// GOST and DSA among them, are as if a zone had no keys of them.
const (
	RSASHA1      Algorithm = 5  // RFC 3110
	RSASHA1NSEC3 Algorithm = 7  // RFC 5155 §2: the same
	RSASHA256    Algorithm = 8  // RFC 5702
	RSASHA512    Algorithm = 10 // RFC 5702
	ECDSAP256    Algorithm = 13 // RFC 6605
	ECDSAP384    Algorithm = 14 // RFC 6605
	Ed25519      Algorithm = 15 // RFC 8080
)

var algorithms = map[Algorithm]struct {
	name string
	hash crypto.Hash // 0: the algorithm's own
}{
	RSASHA1: {"RSASHA1", crypto.SHA1}, RSASHA1NSEC3: {"RSASHA1-NSEC3-SHA1", crypto.SHA1},
	RSASHA256: {"RSASHA256", crypto.SHA256}, RSASHA512: {"RSASHA512", crypto.SHA512},
	ECDSAP256: {"ECDSAP256SHA256", crypto.SHA256}, ECDSAP384: {"ECDSAP384SHA384", crypto.SHA384},
	Ed25519: {"ED25519", 0},
}

// String is the mnemonic, or the number of one that is not known here.
func (a Algorithm) String() string {
	if known, ok := algorithms[a]; ok {
		return known.name
	}
	return strconv.Itoa(int(a))
}

// DigestType is a number of the IANA registry "DS RR Type Digest Algorithms".
type DigestType uint8

// The digests that are known (RFC 8624 §3.3).
const (
	SHA1   DigestType = 1
	SHA256 DigestType = 2 // RFC 4509
	SHA384 DigestType = 4 // RFC 6605 §2
)

func (d DigestType) hash() crypto.Hash {
	switch d {
	case SHA1:
		return crypto.SHA1
	case SHA256:
		return crypto.SHA256
	case SHA384:
		return crypto.SHA384
	}
	return 0
}

// Policy says what is good enough. What is not counts as unknown, so that a zone
// that has nothing better is insecure (RFC 4035 §5.2).
type Policy struct {
	SHA1 bool // signatures and digests made with SHA-1 (RFC 9905)
	// NSEC3 records with more iterations prove nothing: what they deny is insecure
	// (RFC 9276 §3.2), and beyond Refused it is bogus.
	Iterations, Refused uint16
}

// Algorithm tells whether signatures of an algorithm count.
func (p *Policy) Algorithm(a Algorithm) bool {
	known, ok := algorithms[a]
	return ok && (p.SHA1 || known.hash != crypto.SHA1)
}

// Digest tells whether digests of a type count.
func (p *Policy) Digest(d DigestType) bool { return d.hash() != 0 && (p.SHA1 || d != SHA1) }
