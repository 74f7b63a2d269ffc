package validator

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"lastgood/internal/anchor"
	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
	"lastgood/internal/ede"
	"lastgood/internal/rrset"
)

// keys judges a zone's DNSKEY set: a key that the parent's DS records or the
// anchor mean has to have signed it (RFC 4035 §5.2, §5.3).
func (j *judge) keys(e *cache.Entry, g anchor.Ground) *ede.Error {
	all := j.v.keys.read(&e.Set, j.budget)
	var entry []*dnssec.Key
	var valid time.Time
	var meant pointers
	if g.Zone == e.Name {
		meant = pointers{of: "its trust anchor", tags: g.Anchor.Tags()}
		for _, k := range all {
			if g.Anchor.Trusts(k) {
				entry = append(entry, k)
			}
		}
	} else {
		ds, t := j.delegated(e.Name)
		switch {
		case t.security == rrset.Secure:
		case t.security == rrset.Insecure:
			j.insecure(e, e.Name, t.valid)
			return nil
		case t.noCut: // keys of no zone are data like any other (RFC 4034 §2)
			return j.bySigner(e, g.Zone)
		default:
			return j.fail(e.Name, t.err, t.security == rrset.Bogus)
		}
		meant, valid = pointers{of: "its DS records", list: dnssec.ReadAllDS(&ds.Set, &j.v.policy)}, ds.Valid
		for _, k := range all {
			if k.MeantBy(e.Name, meant.list) {
				entry = append(entry, k)
			}
		}
	}
	if len(entry) == 0 {
		return j.fail(e.Name, meant.nobody(e.Name, &e.Set), true)
	}
	verifier := dnssec.Verifier{Zone: e.Name, Keys: entry, Now: j.now, Policy: &j.v.policy, Budget: j.budget}
	good, err := verifier.Verify(&e.Set)
	if err != nil {
		return j.fail(e.Name, err, true)
	}
	e.Security, e.TTL, e.Valid = rrset.Secure, min(e.TTL, good.TTL), earlier(valid, good.Expires)
	e.Most = until(j.now, e.Valid)
	return nil
}

// pointers are what is meant to lead to a zone's keys.
type pointers struct {
	of   string
	list []dnssec.DS
	tags []uint16
}

// nobody is the failure when they lead to none: which keys there are, and why the
// one that is meant does not do.
func (p *pointers) nobody(zone dnsname.Name, set *rrset.Set) *ede.Error {
	list := p.list[:min(len(p.list), mostTold)] // to tell of more is not worth the digests
	for i := range list {
		p.tags = append(p.tags, list[i].Tag)
	}
	slices.Sort(p.tags)
	err := &ede.Error{Code: ede.DNSKEYMissing, ID: "NDSK"}
	var have []uint16
	for rdata := range set.Data.All() {
		k, bad := dnssec.ReadKey(rdata)
		if bad != nil || len(rdata) > longestTold || len(have) == mostTold {
			continue
		}
		have = append(have, k.Tag)
		for i := range list {
			switch {
			case !list[i].Matches(zone, k):
			case !k.IsZone():
				return &ede.Error{Code: ede.NoZoneKeyBit, ID: "NZKB", Text: fmt.Sprintf("key %d of %s, which its DS record means, is no zone key", k.Tag, zone)}
			case k.IsRevoked():
				err.Text = fmt.Sprintf("key %d of %s, which its DS record means, is revoked", k.Tag, zone)
				return err
			}
		}
	}
	err.Text = fmt.Sprintf("no key of %s (%s) is one that %s mean (%s)", zone, numbers(have), p.of, numbers(slices.Compact(p.tags)))
	return err
}

// Bounds of what is told in one text: keys and DS records, and the octets of a key that
// a digest is made of for it.
const (
	mostTold    = 8
	longestTold = 1024
)

func numbers(tags []uint16) string {
	if len(tags) == 0 {
		return "none"
	}
	text := strings.Trim(fmt.Sprint(tags[:min(len(tags), mostTold)]), "[]")
	return strings.ReplaceAll(text, " ", ", ")
}
