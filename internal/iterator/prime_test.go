package iterator

import (
	"testing"
	"time"

	"lastgood/internal/clock"
)

// A priming that failed is not tried again at once (RFC 9520 §3.2), one that
// succeeded makes nobody wait.
func TestPrimingRestsAfterAFailure(t *testing.T) {
	var p primer
	now := clock.Mono(time.Second)
	if first, _ := p.begin(now); !first {
		t.Fatal("nobody primes")
	}
	if first, wait := p.begin(now); first || wait == nil {
		t.Error("a second one primes too, or does not wait")
	}
	p.end(now, true)
	if first, wait := p.begin(now.Add(primeRest - 1)); first || wait != nil {
		t.Error("primes again at once")
	}
	if first, _ := p.begin(now.Add(primeRest)); !first {
		t.Error("never primes again")
	}
	p.end(now.Add(primeRest), false)
	if first, _ := p.begin(now.Add(primeRest)); !first {
		t.Error("rests after a success")
	}
}
