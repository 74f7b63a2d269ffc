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
	Vain       int // verified in vain, in all; 0: as many as there are
	PerTag     int // keys of one tag and algorithm that are tried (RFC 4034 appendix B: tags are not unique)
	Keys       int // of one zone that are read
	Hashes     int // of names, for NSEC3; with iterations one counts for one more for each ten of them

	Work *Work // counts what is done in all, and bounds it; may be nil
}

// Work counts what was done on all budgets that have it.
type Work struct {
	Signatures, Hashes   atomic.Uint64
	NoSignatures, NoHash atomic.Uint64 // refused, because a budget was used up

	// Slots has room for so many verifications and hashes at once that are slow, or of
	// questions that take more of them than questions do, or took some in vain: somebody
	// may be at work to keep the machine from answering others. nil: no bound. It is
	// made before the first use.
	Slots   chan struct{}
	waiting atomic.Int32
}

// What questions take is less than this, and not held up.
const (
	usualSignatures = 24
	usualHashes     = 32
)

// mostWaiting bounds those that wait for a slot: a second of work.
const mostWaiting = 256

// enter waits for a slot where one is needed, false when too many wait.
func (w *Work) enter() bool {
	if w.waiting.Add(1) > mostWaiting {
		w.waiting.Add(-1)
		return false
	}
	w.Slots <- struct{}{}
	w.waiting.Add(-1)
	return true
}

func (w *Work) leave() { <-w.Slots }

// Budget is what is left of the limits. It may be used from many goroutines.
type Budget struct {
	limits     Limits
	signatures atomic.Int32
	hashes     atomic.Int32
	vain       atomic.Int32
}

// NewBudget gives a whole one.
func NewBudget(l Limits) *Budget {
	b := new(Budget)
	b.Reset(l)
	return b
}

// Reset makes a budget whole that nobody uses any more.
func (b *Budget) Reset(l Limits) {
	b.limits = l
	b.signatures.Store(int32(l.Signatures))
	b.hashes.Store(int32(l.Hashes))
	b.vain.Store(0)
}

// Spent tells how many signatures were verified and names hashed, as they count.
func (b *Budget) Spent() (signatures, hashes int) {
	return b.limits.Signatures - max(0, int(b.signatures.Load())), b.limits.Hashes - max(0, int(b.hashes.Load()))
}

// signature takes one verification; held: it has a slot, which is to be left.
func (b *Budget) signature(slow bool) (held, ok bool) {
	vain := int(b.vain.Load())
	left := int(b.signatures.Add(-1))
	if ok = left >= 0 && (b.limits.Vain == 0 || vain < b.limits.Vain); ok {
		held, ok = b.heavy(slow || vain > 0 || b.limits.Signatures-left > usualSignatures)
	}
	if w := b.limits.Work; w != nil {
		count(ok, &w.Signatures, &w.NoSignatures)
	}
	return held, ok
}

// hash takes the hashing of one name, likewise.
func (b *Budget) hash(iterations uint16) (held, ok bool) {
	left := int(b.hashes.Add(-1 - int32(iterations)/10))
	if ok = left >= 0; ok {
		held, ok = b.heavy(b.limits.Hashes-left > usualHashes)
	}
	if w := b.limits.Work; w != nil {
		count(ok, &w.Hashes, &w.NoHash)
	}
	return held, ok
}

// heavy waits for a slot if one is needed, and there are slots.
func (b *Budget) heavy(is bool) (held, ok bool) {
	if w := b.limits.Work; is && w != nil && w.Slots != nil {
		ok = w.enter()
		return ok, ok
	}
	return false, true
}

func (b *Budget) done(held bool) {
	if held {
		b.limits.Work.leave()
	}
}

func count(ok bool, done, refused *atomic.Uint64) {
	if ok {
		done.Add(1)
	} else {
		refused.Add(1)
	}
}

// TooMuch is the failure of a question that would take more work than the budget
// allows: what cannot be afforded is not believed.
func TooMuch(what string) *ede.Error {
	return &ede.Error{Code: ede.Bogus, ID: "WORK", Text: "too much work: " + what}
}
