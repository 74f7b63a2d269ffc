package validator

import (
	"time"

	"lastgood/internal/anchor"
	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
	"lastgood/internal/ede"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// signed judges an entry with the keys of the zone that says that it signed it.
func (j *judge) signed(e *cache.Entry, t *trust) *ede.Error {
	verifier := dnssec.Verifier{Zone: t.zone, Keys: t.keys, Now: j.now, Policy: &j.v.policy, Budget: j.budget}
	encloser, left := -1, uint32(1<<31)
	valid := t.valid
	if e.Kind == cache.Data {
		good, err := verifier.Verify(&e.Set)
		if err != nil {
			return j.fail(t.zone, err, true)
		}
		encloser, left, valid = good.Encloser, good.TTL, earlier(valid, good.Expires)
	}
	var proofs []rrset.Set
	var worst *ede.Error
	for i := range e.Proof {
		good, err := verifier.Verify(&e.Proof[i])
		switch {
		case err != nil && worst == nil:
			worst = err
		case err == nil && (good.Encloser < 0 || e.Proof[i].Type == wire.TypeSOA):
			proofs = append(proofs, e.Proof[i])
			left, valid = min(left, good.TTL), earlier(valid, good.Expires)
		}
	}
	e.Security = rrset.Secure
	if e.Kind != cache.Data || encloser >= 0 {
		if err := j.denied(e, t.zone, dnssec.NewDenial(t.zone, proofs, &j.v.policy, j.budget), encloser); err != nil {
			if worst != nil {
				err = worst
			}
			return j.fail(t.zone, err, true)
		}
	}
	e.Proof, e.TTL, e.Valid = proofs, min(e.TTL, left), valid
	j.verdict.Signers = add(j.verdict.Signers, t.zone)
	return nil
}

// denied sees whether what an entry denies is proven.
func (j *judge) denied(e *cache.Entry, zone dnsname.Name, d *dnssec.Denial, encloser int) *ede.Error {
	var p dnssec.Proof
	var err *ede.Error
	switch {
	case e.Kind == cache.Data:
		p, err = d.Expanded(e.Name, encloser)
	case e.Kind == cache.NXDomain:
		p, err = d.NXDomain(e.Name)
	case e.Type == wire.TypeDS:
		var cut dnssec.Cut
		if cut, p, err = d.NoDS(e.Name); cut == dnssec.NoName || cut == dnssec.Unknown {
			p, err = d.NoData(e.Name, e.Type) // by a wildcard
		}
	default:
		p, err = d.NoData(e.Name, e.Type)
	}
	switch p {
	case dnssec.Proven:
		return nil
	case dnssec.OptOut, dnssec.Unwanted:
		e.Security = rrset.Insecure
		return nil
	}
	// Who serves parent and child may deny as the child, and prove as the parent
	// that the child is not signed.
	for labels := zone.Labels() + 1; labels <= e.Name.Labels(); labels++ {
		if cut, _, _ := d.NoDS(e.Name.Suffix(labels)); cut == dnssec.Delegated {
			e.Security = rrset.Insecure
			return nil
		}
	}
	return err
}

// keys judges a zone's DNSKEY set: a key that the parent's DS records or the
// anchor mean has to have signed it (RFC 4035 §5.2, §5.3).
func (j *judge) keys(e *cache.Entry) *ede.Error {
	g := j.v.stands(e.Name, j.now)
	if g.Kind != anchor.Anchored {
		e.Security = rrset.Insecure
		return nil
	}
	trusts, valid, what := g.Anchor.Trusts, time.Time{}, "the trust anchor"
	if g.Zone != e.Name {
		ds, t := j.delegated(e.Name)
		switch t.security {
		case rrset.Secure:
		case rrset.Insecure:
			e.Security = rrset.Insecure
			return nil
		default:
			return j.fail(e.Name, t.err, t.security == rrset.Bogus || t.noCut)
		}
		list := dnssec.ReadAllDS(&ds.Set, &j.v.policy)
		trusts, valid, what = func(k *dnssec.Key) bool { return matches(list, e.Name, k) }, ds.Valid, "a DS record"
	}
	var entry []*dnssec.Key
	for _, k := range j.v.keys.read(&e.Set, j.budget) {
		if trusts(k) {
			entry = append(entry, k)
		}
	}
	if len(entry) == 0 {
		return j.fail(e.Name, &ede.Error{Code: ede.DNSKEYMissing, ID: "NDSK", Text: "no key of " + e.Name.String() + " is one that " + what + " means"}, true)
	}
	verifier := dnssec.Verifier{Zone: e.Name, Keys: entry, Now: j.now, Policy: &j.v.policy, Budget: j.budget}
	good, err := verifier.Verify(&e.Set)
	if err != nil {
		return j.fail(e.Name, err, true)
	}
	e.Security, e.TTL, e.Valid = rrset.Secure, min(e.TTL, good.TTL), earlier(valid, good.Expires)
	j.link(e.Name, rrset.Secure, "its keys are signed by one that "+what+" means")
	return nil
}

func matches(list []dnssec.DS, zone dnsname.Name, k *dnssec.Key) bool {
	for i := range list {
		if list[i].Matches(zone, k) {
			return true
		}
	}
	return false
}

// unsigned judges an entry that nobody who may have says to have signed: it is
// insecure if a delegation above it is, and bogus otherwise (RFC 4035 §5.2, §5.5).
func (j *judge) unsigned(e *cache.Entry) *ede.Error {
	name, from := e.Name, e.Cut
	if e.Type == wire.TypeDS && !name.IsRoot() {
		name = name.Parent()
	}
	if g := j.v.stands(name, j.now); !name.Under(from) || !from.Under(g.Zone) {
		from = g.Zone
	}
	secure := from
	for labels := from.Labels(); labels <= name.Labels(); labels++ {
		zone := name.Suffix(labels)
		var t trust
		if zone == from {
			t = j.trust(zone)
		} else {
			_, t = j.delegated(zone)
		}
		switch {
		case t.security == rrset.Insecure:
			e.Security = rrset.Insecure
			return nil
		case t.security == rrset.Secure:
			secure = zone
		case t.noCut:
		default:
			return j.fail(zone, t.err, t.security == rrset.Bogus)
		}
	}
	what := "the answer for " + e.Name.String()
	return j.fail(secure, &ede.Error{Code: ede.RRSIGsMissing, ID: "UNSG", Text: what + " is not signed, and " + secure.String() + " is a signed zone"}, true)
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}
