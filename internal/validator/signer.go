package validator

import (
	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
	"lastgood/internal/rrset"
)

// mostSigners is how many zones are tried as the one that signed: there is one,
// unless somebody wants us to work.
const mostSigners = 2

// signersOf lists the zones that say that they signed an entry, and may have: at
// or above its name, the deepest first; above it alone where the zone above is to
// say (byParent). Nobody above the ground may: there is nothing that his keys could be
// told by.
func signersOf(e *cache.Entry, ground dnsname.Name, byParent bool) []dnsname.Name {
	lowest := e.Name
	if byParent {
		lowest = lowest.Parent()
	}
	if e.Kind == cache.Data {
		return deepest(appendSigners(nil, &e.Set, lowest, ground))
	}
	var list []dnsname.Name
	for i := range e.Proof {
		list = appendSigners(list, &e.Proof[i], lowest, ground)
	}
	return deepest(list)
}

func appendSigners(list []dnsname.Name, s *rrset.Set, lowest, ground dnsname.Name) []dnsname.Name {
	for rdata := range s.Sigs.All() {
		sig, err := dnssec.ReadSignature(rdata)
		if err == nil && lowest.Under(sig.Signer) && s.Name.Under(sig.Signer) && sig.Signer.Under(ground) {
			list = add(list, sig.Signer)
		}
	}
	return list
}

func add(list []dnsname.Name, name dnsname.Name) []dnsname.Name {
	for _, have := range list {
		if have == name {
			return list
		}
	}
	return append(list, name)
}

// deepest puts the zones with the most labels first and drops what is too many.
func deepest(list []dnsname.Name) []dnsname.Name {
	for i := range list {
		for k := i; k > 0 && len(list[k]) > len(list[k-1]); k-- {
			list[k], list[k-1] = list[k-1], list[k]
		}
	}
	return list[:min(len(list), mostSigners)]
}
