package dnssec

import (
	"sync/atomic"

	"lastgood/internal/ede"
)

// Limits bound the work for one question of a client, with all that it needs
// underneath (CVE-2023-50387, CVE-2023-50868).
type Limits struct {
	Signatures int // verified, in all
	PerSet     int // of one RRset, verified in vain
	PerTag     int // keys of one tag and algorithm that are tried (RFC 4034 appendix B: tags are not unique)
	Keys       int // of one zone that are read
	Hashes     int // of names, for NSEC3
}

// Budget is what is left of the limits. It may be used from many goroutines.
type Budget struct {
	limits     Limits
	signatures atomic.Int32
	hashes     atomic.Int32
}

// NewBudget gives a whole one.
func NewBudget(l Limits) *Budget {
	b := &Budget{limits: l}
	b.signatures.Store(int32(l.Signatures))
	b.hashes.Store(int32(l.Hashes))
	return b
}

// Spent tells how many signatures were verified and names hashed.
func (b *Budget) Spent() (signatures, hashes int) {
	return b.limits.Signatures - max(0, int(b.signatures.Load())), b.limits.Hashes - max(0, int(b.hashes.Load()))
}

func (b *Budget) signature() bool { return b.signatures.Add(-1) >= 0 }

func (b *Budget) hash() bool { return b.hashes.Add(-1) >= 0 }

// TooMuch is the failure of a question that would take more work than the budget
// allows: what cannot be afforded is not believed.
func TooMuch(what string) *ede.Error {
	return &ede.Error{Code: ede.Bogus, ID: "WORK", Text: "too much work: " + what}
}
