package anchor

import (
	"time"

	"lastgood/internal/dnssec"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// Sighting is a DNSKEY set of a zone, as it was got at a moment.
type Sighting struct {
	At      time.Time
	Keys    []*dnssec.Key // of the zone's, at most mostSeen
	Signers []*dnssec.Key // those of Keys that signed the set well, revoked ones too
	TTL     time.Duration // the original one, or until the signature expires if that is sooner
	Left    time.Duration // until the first of the good signatures expires
}

// mostSeen is how many keys of a set are looked at.
const mostSeen = 32

// seeing bounds what it costs to look at one set.
var seeing = dnssec.Limits{Signatures: 64, PerSet: 8, PerTag: 4, Keys: mostSeen}

// Sight looks at a DNSKEY set with its signatures, and finds out which of its own
// keys signed it. It does not matter here whom anybody trusts.
func Sight(set *rrset.Set, wall time.Time, p *dnssec.Policy) Sighting {
	s := Sighting{At: wall}
	if set.Type != wire.TypeDNSKEY {
		return s
	}
	budget := dnssec.NewBudget(seeing)
	s.Keys = dnssec.ReadKeys(set, budget)
	for _, k := range s.Keys {
		v := dnssec.Verifier{Zone: set.Name, Keys: []*dnssec.Key{k}, Now: wall, Policy: p, Budget: budget}
		good, err := v.Verify(set) // costs nothing where no signature is of its tag
		if err != nil {
			continue
		}
		if left := good.Expires.Sub(wall); len(s.Signers) == 0 || left < s.Left {
			s.Left = left
		}
		s.TTL = max(s.TTL, time.Duration(good.TTL)*time.Second)
		s.Signers = append(s.Signers, k)
	}
	return s
}

// refresh is when the set should be asked for again, and retry when that failed
// (RFC 5011 §2.3).
func (s *Sighting) refresh() time.Duration {
	return max(time.Hour, min(15*24*time.Hour, s.TTL/2, s.Left/2))
}

func (s *Sighting) retry() time.Duration {
	return max(time.Hour, min(24*time.Hour, s.TTL/10, s.Left/10))
}
