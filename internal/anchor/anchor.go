package anchor

import (
	"bytes"
	"slices"

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

// Trusts tells whether a key is one of the anchor's. One that was revoked never is
// (RFC 5011 §2.1).
func (a *Anchor) Trusts(k *dnssec.Key) bool {
	if k.IsRevoked() {
		return false
	}
	for i := range a.DS {
		if a.DS[i].Matches(a.Zone, k) {
			return true
		}
	}
	for _, own := range a.Keys {
		if bytes.Equal(own.Data(), k.Data()) {
			return true
		}
	}
	return false
}

// Empty tells whether there is nothing left of it: all its keys were revoked.
func (a *Anchor) Empty() bool { return len(a.DS) == 0 && len(a.Keys) == 0 }

// Usable tells whether a policy knows the algorithm, and the digest, of any key of
// it. A zone whose anchor is of unknown algorithms alone is insecure, as one whose
// DS records are (RFC 4035 §5.2).
func (a *Anchor) Usable(p *dnssec.Policy) bool {
	for i := range a.DS {
		if p.Algorithm(a.DS[i].Algorithm) && p.Digest(a.DS[i].Type) {
			return true
		}
	}
	for _, k := range a.Keys {
		if p.Algorithm(k.Algorithm) && k.Usable() {
			return true
		}
	}
	return false
}

// Tags are the tags of its keys, each once, in order: what a resolver tells of its
// trust anchors (RFC 8145 §4.1, RFC 8509 §2).
func (a *Anchor) Tags() []uint16 {
	var tags []uint16
	for i := range a.DS {
		tags = append(tags, a.DS[i].Tag)
	}
	for _, k := range a.Keys {
		tags = append(tags, k.Tag)
	}
	slices.Sort(tags)
	return slices.Compact(tags)
}

// Merge makes one anchor a zone of many, in the order in which the zones come first.
func Merge(anchors []*Anchor) []*Anchor {
	var out []*Anchor
	at := map[dnsname.Name]*Anchor{}
	for _, a := range anchors {
		whole := at[a.Zone]
		if whole == nil {
			whole = &Anchor{Zone: a.Zone}
			at[a.Zone] = whole
			out = append(out, whole)
		}
		for _, d := range a.DS {
			whole.addDS(d)
		}
		for _, k := range a.Keys {
			whole.addKey(k)
		}
	}
	return out
}

// addDS puts a DS record into an anchor that is being made, once.
func (a *Anchor) addDS(d dnssec.DS) {
	for i := range a.DS {
		o := &a.DS[i]
		if o.Tag == d.Tag && o.Algorithm == d.Algorithm && o.Type == d.Type && bytes.Equal(o.Digest, d.Digest) {
			return
		}
	}
	a.DS = append(a.DS, d)
}

// addKey puts a key into an anchor that is being made, once.
func (a *Anchor) addKey(k *dnssec.Key) {
	for _, o := range a.Keys {
		if bytes.Equal(o.Data(), k.Data()) {
			return
		}
	}
	a.Keys = append(a.Keys, k)
}
