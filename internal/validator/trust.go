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

// trust is what is known of a zone: its keys, or why it has none that count.
type trust struct {
	zone     dnsname.Name
	security rrset.Security // Secure, Insecure; Bogus and Indeterminate have an error
	keys     []*dnssec.Key  // of Secure
	valid    time.Time      // until when the chain to them is, of Secure
	err      *ede.Error
	noCut    bool // Indeterminate because it is no zone at all
}

// trust finds out about a zone, once for each answer.
func (j *judge) trust(zone dnsname.Name) trust {
	for _, t := range j.trusts {
		if t.zone == zone {
			return t
		}
	}
	t := j.build(zone)
	t.zone = zone
	j.trusts = append(j.trusts, t)
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
	e, err := j.fetch(zone, wire.TypeDNSKEY)
	switch {
	case err != nil:
		return trust{security: rrset.Indeterminate, err: err}
	case e.Security == rrset.Insecure:
		return trust{security: rrset.Insecure}
	case e.Kind != cache.Data || e.Type != wire.TypeDNSKEY || e.Name != zone || e.Security != rrset.Secure:
		return trust{security: rrset.Bogus, err: &ede.Error{Code: ede.DNSKEYMissing, ID: "NOKY", Text: zone.String() + " has no DNSKEY records, though it should be signed"}}
	}
	return trust{security: rrset.Secure, keys: j.v.keys.read(&e.Set, j.budget), valid: e.Valid}
}

// delegated sees what a zone's parent says of it: Secure, with its DS records,
// that it is signed.
func (j *judge) delegated(zone dnsname.Name) (ds cache.Entry, t trust) {
	ds, err := j.fetch(zone, wire.TypeDS)
	switch {
	case err != nil:
		return ds, trust{security: rrset.Indeterminate, err: err}
	case ds.Security != rrset.Secure:
		return ds, trust{security: rrset.Insecure}
	case ds.Kind == cache.Data && ds.Type == wire.TypeDS && ds.Name == zone:
		return ds, j.digests(&ds)
	case ds.Kind == cache.Data: // an alias: no name of one is a cut (RFC 1034 §3.6.2)
		return ds, noZone(zone)
	}
	switch j.noDS(&ds, zone) {
	case dnssec.Delegated:
		j.link(zone, rrset.Insecure, "is delegated without DS records")
		return ds, trust{security: rrset.Insecure}
	case dnssec.Unknown:
		return ds, trust{security: rrset.Bogus, err: &ede.Error{Code: ede.NSECMissing, ID: "NODS", Text: "it is not proven that " + zone.String() + " has no DS records"}}
	}
	return ds, noZone(zone)
}

func noZone(zone dnsname.Name) trust {
	return trust{
		security: rrset.Indeterminate, noCut: true,
		err: &ede.Error{Code: ede.Bogus, ID: "NCUT", Text: zone.String() + " is no zone, as is proven above it"},
	}
}

// digests sees whether DS records point to anything that can be verified (RFC
// 4035 §5.2).
func (j *judge) digests(ds *cache.Entry) trust {
	if len(dnssec.ReadAllDS(&ds.Set, &j.v.policy)) > 0 {
		return trust{security: rrset.Secure}
	}
	j.link(ds.Name, rrset.Insecure, "is signed only with algorithms, or has digests, that are not known here")
	return trust{security: rrset.Insecure}
}

// noDS reads the proof that a name has no DS records, which was verified when it
// was fetched.
func (j *judge) noDS(e *cache.Entry, name dnsname.Name) dnssec.Cut {
	signers := signersOf(e)
	if len(signers) == 0 {
		return dnssec.Unknown
	}
	cut, _, _ := dnssec.NewDenial(signers[0], e.Proof, &j.v.policy, j.budget).NoDS(name)
	return cut
}

// fetch has a link fetched.
func (j *judge) fetch(zone dnsname.Name, t wire.Type) (cache.Entry, *ede.Error) {
	e, lapsed, err := j.fetcher.Fetch(j.ctx, zone, t)
	j.verdict.Lapsed = j.verdict.Lapsed || lapsed
	return e, err
}
