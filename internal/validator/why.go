package validator

import (
	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
)

// why notes the first reason for which something signed is insecure: for the entry at
// hand, and for the answer.
func (j *judge) why(err *ede.Error) {
	if j.reason == nil {
		j.reason = err
	}
	if j.verdict.Why == nil {
		j.verdict.Why = err
	}
}

// inherit notes the reason that was found when a link was judged.
func (j *judge) inherit(link *cache.Entry) {
	if link.Why != 0 {
		j.why(Remembered(link.Why, link.Name))
	}
}

// Remembered is what a client is told of an insecure entry for which the cache has a
// reason (see [cache.Entry]): the code, and in words as much as follows from it.
func Remembered(why ede.Code, name dnsname.Name) *ede.Error {
	switch why {
	case ede.UnsupportedDNSKEYAlg:
		return &ede.Error{Code: why, ID: "RALG", Text: "the chain of trust to " + name.String() + " ends at algorithms that are not validated here"}
	case ede.UnsupportedDSDigest:
		return &ede.Error{Code: why, ID: "RDIG", Text: "the chain of trust to " + name.String() + " ends at DS records with digests that are not known here"}
	}
	return &ede.Error{Code: why, ID: "RITE", Text: "a proof that " + name.String() + " needs is of NSEC3 records with more iterations than are computed here"}
}
