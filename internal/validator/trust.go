package validator

import (
	"time"

	"lastgood/internal/anchor"
	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
	"lastgood/internal/ede"
	"lastgood/internal/event"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// trust is what is known of a zone: its keys, or why it has none that count.
type trust struct {
	zone     dnsname.Name
	security rrset.Security // Secure, Insecure; Bogus and Indeterminate have an error
	keys     []*dnssec.Key  // of Secure
	valid    time.Time      // until when the chain to them is, or to the proof that there are none
	err      *ede.Error
	noCut    bool         // Indeterminate because it is no zone at all
	gone     bool         // nor a name, so that nothing is delegated below it either
	above    dnsname.Name // the zone that says so, of noCut
	why      *ede.Error   // of Insecure, if there is a reason to tell
}

// trust finds out about a zone, once for each answer.
func (j *judge) trust(zone dnsname.Name) trust {
	for _, t := range j.trusts {
		if t.zone == zone {
			if t.why != nil {
				j.why(t.why)
			}
			return t
		}
	}
	before := j.reason
	j.reason = nil
	t := j.build(zone)
	t.zone, t.why = zone, j.reason
	j.trusts = append(j.trusts, t)
	if before != nil {
		j.reason = before
	}
	return t
}

// build has the zone's keys fetched; whoever fetches has them judged, by keys.
func (j *judge) build(zone dnsname.Name) trust {
	switch g := j.v.stands(zone, j.now); {
	case g.Kind != anchor.Anchored:
		if g.Kind == anchor.Negative {
			j.verdict.NTA = g.NTA
		}
		return trust{security: rrset.Insecure}
	case g.Zone != zone:
		if _, t := j.delegated(zone); t.security != rrset.Secure {
			return t
		}
	}
	if j.asked == (event.Question{Name: zone, Type: wire.TypeDNSKEY}) {
		return noKeys(zone) // what is judged says that there are none
	}
	e, err := j.fetch(zone, wire.TypeDNSKEY)
	switch {
	case err != nil:
		return trust{security: rrset.Indeterminate, err: err}
	case e.Security == rrset.Insecure:
		j.inherit(&e)
		return trust{security: rrset.Insecure}
	case e.Kind != cache.Data || e.Type != wire.TypeDNSKEY || e.Name != zone || e.Security != rrset.Secure:
		return noKeys(zone)
	}
	return trust{security: rrset.Secure, keys: j.v.keys.read(&e.Set, j.budget), valid: e.Valid}
}

// signedNow is signed, and once more with the zone's keys as they are now when the
// one that signed is none of those known: keys may be exchanged in haste, without
// waiting until all caches have them (RFC 6781 §4.2).
func (j *judge) signedNow(e *cache.Entry, t *trust) *ede.Error {
	before := *e
	err := j.signed(e, t)
	r, able := j.fetcher.(Renewer)
	if err == nil || !able || err.Code != ede.DNSKEYMissing {
		return err
	}
	k, ok := r.Renew(j.ctx, t.zone, wire.TypeDNSKEY)
	if !ok || k.Security != rrset.Secure || k.Kind != cache.Data || k.Name != t.zone || k.Type != wire.TypeDNSKEY {
		return err
	}
	t.keys, t.valid = j.v.keys.read(&k.Set, j.budget), k.Valid
	for i := range j.trusts {
		if j.trusts[i].zone == t.zone {
			j.trusts[i] = *t
		}
	}
	*e = before
	j.verdict.Zone, j.verdict.Bogus, j.verdict.Spent, j.verdict.Links = "", false, false, nil
	return j.signed(e, t)
}

// delegated sees what a zone's parent says of it: Secure, with its DS records,
// that it is signed.
func (j *judge) delegated(zone dnsname.Name) (ds cache.Entry, t trust) {
	ds, err := j.fetch(zone, wire.TypeDS)
	switch {
	case err != nil:
		return ds, trust{security: rrset.Indeterminate, err: err}
	case ds.Security == rrset.Insecure:
		j.notCounted(&ds)
		j.inherit(&ds)
		return ds, trust{security: rrset.Insecure, valid: ds.Valid}
	case ds.Security != rrset.Secure:
		return ds, trust{security: rrset.Indeterminate, err: &ede.Error{
			Code: ede.Indeterminate, ID: "UNJU", Text: "what is known of " + zone.String() + " in its parent was not validated",
		}}
	case ds.Kind == cache.Data && ds.Type == wire.TypeDS && ds.Name == zone:
		return ds, j.digests(&ds)
	case ds.Kind == cache.Data: // an alias: no name of one is a cut (RFC 1034 §3.6.2)
		return ds, noZone(zone, &ds)
	}
	cut, _ := j.noDS(&ds, zone)
	switch cut {
	case dnssec.Delegated:
		return ds, trust{security: rrset.Insecure, valid: ds.Valid}
	case dnssec.Unknown:
		return ds, trust{security: rrset.Bogus, err: &ede.Error{Code: ede.NSECMissing, ID: "NODS", Text: "it is not proven that " + zone.String() + " has no DS records"}}
	}
	t = noZone(zone, &ds)
	t.gone = cut == dnssec.NoName && ds.Kind == cache.NXDomain
	return ds, t
}

func noKeys(zone dnsname.Name) trust {
	return trust{security: rrset.Bogus, err: &ede.Error{
		Code: ede.DNSKEYMissing, ID: "NOKY", Text: zone.String() + " has no DNSKEY records, though it should be signed",
	}}
}

// noZone: what is known of a name's DS records says that it is none.
func noZone(zone dnsname.Name, ds *cache.Entry) trust {
	above := dnsname.Root
	if list := signersOf(ds, dnsname.Root, !zone.IsRoot()); len(list) > 0 {
		above = list[0]
	}
	return trust{
		security: rrset.Indeterminate, noCut: true, above: above,
		err: &ede.Error{Code: ede.Bogus, ID: "NCUT", Text: zone.String() + " is no zone, as is proven above it"},
	}
}

// digests sees whether DS records point to anything that can be verified (RFC
// 4035 §5.2).
func (j *judge) digests(ds *cache.Entry) trust {
	if len(dnssec.ReadAllDS(&ds.Set, &j.v.policy)) > 0 {
		return trust{security: rrset.Secure}
	}
	why := &ede.Error{Code: ede.UnsupportedDNSKEYAlg, ID: "UALG", Text: ds.Name.String() + " is signed with algorithms that are not validated here"}
	for rdata := range ds.Set.Data.All() {
		if d, err := dnssec.ReadDS(rdata); err == nil && j.v.policy.Algorithm(d.Algorithm) {
			why = &ede.Error{Code: ede.UnsupportedDSDigest, ID: "UDIG", Text: ds.Name.String() + " has DS records with digests that are not known here"}
		}
	}
	j.why(why)
	return trust{security: rrset.Insecure, valid: ds.Valid}
}

// notCounted notes that a zone is insecure because the iterations of its parent's
// NSEC3 records are more than are computed.
func (j *judge) notCounted(ds *cache.Entry) {
	if ds.Kind == cache.Data {
		return
	}
	if _, err := j.noDS(ds, ds.Name); err != nil && err.Code == ede.UnsupportedNSEC3Iter {
		j.why(err)
	}
}

// noDS reads the proof that a name has no DS records, which was verified when it
// was fetched.
func (j *judge) noDS(e *cache.Entry, name dnsname.Name) (cut dnssec.Cut, err *ede.Error) {
	for _, zone := range signersOf(e, dnsname.Root, !e.Name.IsRoot()) {
		if cut, _, err = dnssec.NewDenial(zone, e.Proof, &j.v.policy, j.budget).NoDS(name); cut != dnssec.Unknown {
			break
		}
	}
	return cut, err
}

// fetch has a link fetched.
func (j *judge) fetch(zone dnsname.Name, t wire.Type) (cache.Entry, *ede.Error) {
	e, lapsed, err := j.fetcher.Fetch(j.ctx, zone, t)
	j.verdict.Lapsed = j.verdict.Lapsed || lapsed
	return e, err
}
