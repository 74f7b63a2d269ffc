package anchor

import (
	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
)

// Anchor is what is known of a zone's keys beforehand: the keys, digests of them,
// or both. It is immutable.
type Anchor struct {
	Zone dnsname.Name
	DS   []dnssec.DS
	Keys []*dnssec.Key
}

// Trusts tells whether a key is one of the anchor's.
func (a *Anchor) Trusts(k *dnssec.Key) bool {
	for i := range a.DS {
		if a.DS[i].Matches(a.Zone, k) {
			return true
		}
	}
	for _, own := range a.Keys {
		if string(own.Data()) == string(k.Data()) {
			return true
		}
	}
	return false
}
