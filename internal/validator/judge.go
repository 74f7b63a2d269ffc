package validator

import (
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
	"lastgood/internal/ede"
	"lastgood/internal/event"
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
		if e.Type == wire.TypeDNAME && encloser >= 0 {
			return j.fail(t.zone, wildDNAME(e.Name), true)
		}
	}
	var proofs []rrset.Set
	var worst *ede.Error
	for i := range e.Proof {
		if e.Kind == cache.Data && encloser < 0 {
			break // it says itself that it is there: what may stand beside it proves nothing more
		}
		s := &e.Proof[i]
		good, err := verifier.Verify(s)
		switch {
		case err != nil && s.Type == wire.TypeSOA && s.Name == t.zone:
			return j.fail(t.zone, err, true) // how long the denial lives is part of it
		case err != nil:
			worst = telling(worst, err)
		case good.Encloser < 0: // no name has a denial by a wildcard
			proofs = append(proofs, *s)
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
	e.Proof, e.TTL = proofs, min(e.TTL, left)
	if e.Security == rrset.Secure || e.Kind != cache.Data || e.Type == wire.TypeDS {
		e.Valid, e.Most = valid, until(j.now, valid) // what proves that a zone is not signed is a link that ends, too
	}
	j.verdict.Signers = add(j.verdict.Signers, t.zone)
	return nil
}

// wildDNAME is the failure of a DNAME record made of a wildcard: a wildcard stands for
// the name that is asked for alone, and never for one above it (RFC 1034 §4.3.2 step 3c,
// RFC 6672 §3.2), so no server makes aliases of one.
func wildDNAME(name dnsname.Name) *ede.Error {
	return &ede.Error{Code: ede.Bogus, ID: "WDNA", Text: "the DNAME record of " + name.String() + " is made of a wildcard, which is never in the way of names below"}
}

// telling is the error that tells more: that the budget ended it counts most, then
// what came first.
func telling(a, b *ede.Error) *ede.Error {
	if a == nil || b.ID == tooMuch {
		return b
	}
	return a
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
		if err != nil {
			j.why(err)
		}
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

// unsigned judges an entry that nobody who may have says to have signed: it is
// insecure if a delegation above it is, and bogus otherwise (RFC 4035 §5.2, §5.5).
func (j *judge) unsigned(e *cache.Entry) *ede.Error {
	name, from := e.Name, e.Cut
	if j.byParent(e) {
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
			j.insecure(e, zone, t.valid)
			return nil
		case t.security == rrset.Secure:
			secure = zone
		case t.gone:
			return j.notSigned(e, t.above)
		case t.noCut:
			secure = t.above
		default:
			return j.fail(zone, t.err, t.security == rrset.Bogus)
		}
	}
	return j.notSigned(e, secure)
}

// byParent tells whether an entry is for the zone above its name to give: DS records,
// or whatever that zone says when it is asked for them, an alias or that there is no
// such name.
func (j *judge) byParent(e *cache.Entry) bool {
	asked := event.Question{Name: e.Name, Type: wire.TypeDS}
	return (e.Type == wire.TypeDS || j.asked == asked) && !e.Name.IsRoot()
}

// notSigned is the failure of what ought to be signed by a zone.
func (j *judge) notSigned(e *cache.Entry, zone dnsname.Name) *ede.Error {
	what := "the answer for " + e.Name.String()
	return j.fail(zone, &ede.Error{Code: ede.RRSIGsMissing, ID: "UNSG", Text: what + " is not signed, and " + zone.String() + " is a signed zone"}, true)
}

// until is how many seconds are left until a moment, 1 at least.
func until(now, end time.Time) uint32 {
	return uint32(min(max(1, end.Sub(now)/time.Second), 1<<31))
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}
