package conformance

import (
	"encoding/base64"
	"net"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// addBroken adds a zone for each way to be bogus, by both signers that write
// files in turn.
func (w *signedWorld) addBroken() {
	for i, z := range brokenZones() {
		z.name += ".four."
		z.kind, z.want, z.alg, z.digest, z.salt = "broken", bogus, "ECDSAP256SHA256", dns.SHA256, "-"
		if z.denial == "" {
			z.denial = []string{"nsec", "nsec3"}[i/2%2]
		}
		z.signer, z.records, z.servers = []string{"ldns", "bind"}[i%2], leaf(), pairs[i%3]
		if z.rounds > 0 { // BIND refuses to make as many
			z.signer = "ldns"
		}
		w.add(z)
	}
}

const unsupportedIterations = 27 // RFC 9276 §3.2

// brokenZones are those whose www must fail, with the code that says why; that
// of those which break denials alone has to be fine: see [denialBroken].
func brokenZones() []*signedZone {
	return []*signedZone{
		{name: "expired", ede: dns.ExtendedErrorCodeSignatureExpired, shift: -60},
		{name: "future", ede: dns.ExtendedErrorCodeSignatureNotYetValid, shift: 60},
		{name: "oneexpired", ede: dns.ExtendedErrorCodeSignatureExpired, otherShift: -60, spoil: take("www", dns.TypeA)},
		{name: "onefuture", ede: dns.ExtendedErrorCodeSignatureNotYetValid, otherShift: 60, spoil: take("www", dns.TypeA)},
		{name: "keysexpired", ede: dns.ExtendedErrorCodeSignatureExpired, otherShift: -60, spoil: take("", dns.TypeDNSKEY)},
		{name: "wrongkey", ede: dns.ExtendedErrorCodeDNSKEYMissing, otherKeys: true, spoil: take("www", dns.TypeA)},
		{name: "otherkeys", ede: dns.ExtendedErrorCodeDNSKEYMissing, otherKeys: true, spoil: func(z *signedZone, _ []dns.RR) []dns.RR { return z.other }},
		{name: "digestwrong", ede: dns.ExtendedErrorCodeDNSKEYMissing, spoilDS: func(ds *dns.DS) { ds.Digest = strings.Repeat("ab", len(ds.Digest)/2) }},
		{name: "tagwrong", ede: dns.ExtendedErrorCodeDNSKEYMissing, spoilDS: func(ds *dns.DS) { ds.KeyTag ^= 1 }},
		{name: "unsigned", ede: dns.ExtendedErrorCodeDNSKEYMissing, spoil: func(_ *signedZone, rrs []dns.RR) []dns.RR { return without(rrs, isDNSSEC) }},
		{name: "stripped", ede: dns.ExtendedErrorCodeRRSIGsMissing, spoil: func(z *signedZone, rrs []dns.RR) []dns.RR {
			return without(rrs, func(rr dns.RR) bool { return signs(rr, "www."+z.name, dns.TypeA) })
		}},
		{name: "keysbare", ede: dns.ExtendedErrorCodeRRSIGsMissing, spoil: func(z *signedZone, rrs []dns.RR) []dns.RR {
			return without(rrs, func(rr dns.RR) bool { return signs(rr, z.name, dns.TypeDNSKEY) })
		}},
		{name: "corrupt", ede: dns.ExtendedErrorCodeDNSBogus, spoil: corrupt},
		{name: "changed", ede: dns.ExtendedErrorCodeDNSBogus, spoil: func(z *signedZone, rrs []dns.RR) []dns.RR {
			for _, rr := range rrs {
				if a, ok := rr.(*dns.A); ok && a.Hdr.Name == "www."+z.name {
					a.A = net.IPv4(203, 0, 113, 66)
				}
			}
			return rrs
		}},
		{name: "otherowner", ede: dns.ExtendedErrorCodeDNSBogus, spoil: otherOwner},
		{name: "zonekey", ede: dns.ExtendedErrorCodeDNSKEYMissing, spoil: func(z *signedZone, rrs []dns.RR) []dns.RR {
			return without(rrs, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeDNSKEY })
		}},
		{name: "nsecgone", ede: dns.ExtendedErrorCodeNSECMissing, denial: "nsec", spoil: noDenials},
		{name: "nsec3gone", ede: dns.ExtendedErrorCodeNSECMissing, denial: "nsec3", spoil: noDenials},
		{name: "nsecbare", ede: dns.ExtendedErrorCodeRRSIGsMissing, denial: "nsec", spoil: bareDenials},
		{name: "nsec3bare", ede: dns.ExtendedErrorCodeRRSIGsMissing, denial: "nsec3", spoil: bareDenials},
		{name: "nsecshort", ede: dns.ExtendedErrorCodeDNSBogus, denial: "nsec", spoil: shortDenials},
		{name: "nsecexpired", ede: dns.ExtendedErrorCodeSignatureExpired, denial: "nsec", otherShift: -60, spoil: expiredDenials},
		{name: "nsec3expired", ede: dns.ExtendedErrorCodeSignatureExpired, denial: "nsec3", otherShift: -60, spoil: expiredDenials},
		{name: "rounds600", ede: unsupportedIterations, denial: "nsec3", rounds: 600},
	}
}

// denialBroken says that only what the zone denies is bogus.
func (z *signedZone) denialBroken() bool {
	return z.kind == "broken" && (strings.HasPrefix(z.name, "nsec") || strings.HasPrefix(z.name, "rounds"))
}

func without(rrs []dns.RR, drop func(dns.RR) bool) []dns.RR {
	return slices.DeleteFunc(slices.Clone(rrs), drop)
}

func signs(rr dns.RR, owner string, covered uint16) bool {
	sig, ok := rr.(*dns.RRSIG)
	return ok && sig.Hdr.Name == owner && sig.TypeCovered == covered
}

func isDNSSEC(rr dns.RR) bool {
	switch rr.Header().Rrtype {
	case dns.TypeRRSIG, dns.TypeNSEC, dns.TypeNSEC3, dns.TypeNSEC3PARAM, dns.TypeDNSKEY:
		return true
	}
	return false
}

func isDenial(rr dns.RR) bool {
	t := rr.Header().Rrtype
	if sig, ok := rr.(*dns.RRSIG); ok {
		t = sig.TypeCovered
	}
	return t == dns.TypeNSEC || t == dns.TypeNSEC3
}

// take puts the signature of the second signing in the place of the first's.
func take(label string, covered uint16) func(*signedZone, []dns.RR) []dns.RR {
	return func(z *signedZone, rrs []dns.RR) []dns.RR {
		owner := strings.TrimPrefix(label+"."+z.name, ".")
		of := func(rr dns.RR) bool { return signs(rr, owner, covered) }
		return append(without(rrs, of), without(z.other, func(rr dns.RR) bool { return !of(rr) })...)
	}
}

// corrupt turns a bit of the signature of www.
func corrupt(z *signedZone, rrs []dns.RR) []dns.RR {
	for _, rr := range rrs {
		if !signs(rr, "www."+z.name, dns.TypeA) {
			continue
		}
		sig := rr.(*dns.RRSIG)
		raw, err := base64.StdEncoding.DecodeString(sig.Signature)
		if err != nil {
			panic(err)
		}
		raw[len(raw)/2] ^= 1
		sig.Signature = base64.StdEncoding.EncodeToString(raw)
	}
	return rrs
}

// otherOwner gives www the signature that mail has.
func otherOwner(z *signedZone, rrs []dns.RR) []dns.RR {
	var moved []dns.RR
	for _, rr := range rrs {
		if signs(rr, "mail."+z.name, dns.TypeA) {
			sig := dns.Copy(rr)
			sig.Header().Name = "www." + z.name
			moved = append(moved, sig)
		}
	}
	return append(without(rrs, func(rr dns.RR) bool { return signs(rr, "www."+z.name, dns.TypeA) }), moved...)
}

// noDenials takes the proofs away, but for the apex's own.
func noDenials(z *signedZone, rrs []dns.RR) []dns.RR {
	return without(rrs, func(rr dns.RR) bool { return isDenial(rr) && rr.Header().Name != z.name })
}

func bareDenials(_ *signedZone, rrs []dns.RR) []dns.RR {
	return without(rrs, func(rr dns.RR) bool { return isDenial(rr) && rr.Header().Rrtype == dns.TypeRRSIG })
}

// shortDenials makes the chain one of a zone that has less than it says: each
// NSEC record names as next its own owner's immediate successor, so that nothing
// between is denied. The signatures are no longer right either.
func shortDenials(z *signedZone, rrs []dns.RR) []dns.RR {
	for _, rr := range rrs {
		if nsec, ok := rr.(*dns.NSEC); ok && len(nsec.Hdr.Name) < 200 {
			nsec.NextDomain = `\000.` + nsec.Hdr.Name
		}
	}
	return rrs
}

// expiredDenials takes the signatures of the proofs from the second signing.
func expiredDenials(z *signedZone, rrs []dns.RR) []dns.RR {
	of := func(rr dns.RR) bool { return isDenial(rr) && rr.Header().Rrtype == dns.TypeRRSIG }
	return append(without(rrs, of), without(z.other, func(rr dns.RR) bool { return !of(rr) })...)
}

// renumber gives all keys and signatures an algorithm that nobody knows.
func renumber(alg uint8) func(*signedZone, []dns.RR) []dns.RR {
	return func(_ *signedZone, rrs []dns.RR) []dns.RR {
		for _, rr := range rrs {
			switch r := rr.(type) {
			case *dns.DNSKEY:
				r.Algorithm = alg
			case *dns.RRSIG:
				r.Algorithm = alg
			}
		}
		return rrs
	}
}
