package resolver

import (
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/anchor"
	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/rrset"
	"lastgood/internal/validator"
	"lastgood/internal/wire"
)

// validating makes a resolver validate, with negative trust anchors for a while.
func validating(o *Options, negative ...string) *anchor.Table {
	table := anchor.NewTable([]*anchor.Anchor{anchor.Builtin()}, nil)
	var list []*anchor.Against
	for _, zone := range negative {
		list = append(list, &anchor.Against{Zone: name(zone), Until: o.Clock.Wall().Add(time.Hour), Reason: "why"})
	}
	table.SetAgainst(list)
	o.Validator = validator.New(validator.Options{Grounds: table, Clock: o.Clock})
	return table
}

func secure(e cache.Entry) cache.Entry {
	e.Security = rrset.Secure
	return e
}

// An answer under a negative trust anchor says so, from the cache too, with the cause
// that is known, and is not authentic; beside it nothing changes. What failed beneath
// is forgotten when one comes, what is cached there when it ends.
func TestNegativeTrustAnchors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var table *anchor.Table
		r, it := newTest(t, func(o *Options) { table = validating(o, "bad.") }, nothing)
		why := &ede.Error{Code: ede.DNSKEYMissing, ID: "TEST", Text: "no key"}
		it.cause = why
		now := r.clock.Now()
		failed := cache.Question{Name: name("x.bad."), Type: wire.TypeA}
		r.cache.Fail(now, failed, why, false)
		r.put(secure(address("www.bad.", 300, 1)), secure(address("www.good.", 300, 2)), secure(alias("to.good.", 300, "www.bad.")))
		r.NegativeAdded(name("bad."))
		if _, ok := r.cache.Failure(now, failed); ok {
			t.Error("what failed is remembered still")
		}
		ask := func(owner string) *Answer {
			a := r.Resolve(t.Context(), Query{Name: name(owner), Type: wire.TypeA, RD: true, AD: true, Arrival: r.clock.Now()})
			var rd cache.Reader
			var b wire.Builder
			begin(&b, nil, &Query{Name: name(owner), Type: wire.TypeA}, 1232)
			q := Query{Name: name(owner), Type: wire.TypeA, RD: true, AD: true, Arrival: r.clock.Now()}
			if _, cached := r.Cached(&rd, &q, &b); cached != (len(a.Errors) == 0) {
				t.Errorf("%s: without a resolution %v, with %d errors", owner, cached, len(a.Errors))
			}
			return a
		}
		if a := ask("www.good."); !a.AD || len(a.Errors) > 0 {
			t.Errorf("beside it: AD %v, %v", a.AD, a.Errors)
		}
		for _, owner := range []string{"www.bad.", "to.good."} {
			a := ask(owner)
			if a.AD || len(a.Errors) != 2 || a.Errors[0].Code != ede.NegativeTrustAnchorActive || a.Errors[1] != why {
				t.Errorf("%s: AD %v, %v", owner, a.AD, a.Errors)
			}
		}
		table.SetAgainst(nil)
		r.NegativeEnded(name("bad."))
		if a := ask("www.bad."); len(a.Chain) > 0 {
			t.Errorf("what was not validated is served: %s", shape(a))
		}
		if a := ask("www.good."); !a.AD {
			t.Error("what is beside it is gone")
		}
	})
}

// That there are negative trust anchors costs the answers of other zones no memory.
func TestCachedHitBesideNegativeTrustAnchors(t *testing.T) {
	o := Options{Clock: newClock()}
	validating(&o, "bad.")
	r, _ := newTest(t, func(own *Options) { own.Validator = o.Validator }, nothing)
	r.put(secure(address("www.example.", 300, 1)))
	var rd cache.Reader
	var b wire.Builder
	buf, wireName := make([]byte, 0, 1232), []byte(name("www.example."))
	if n := testing.AllocsPerRun(1000, func() {
		q := Query{Name: dnsname.Alias(wireName), Type: wire.TypeA, RD: true, Arrival: r.clock.Now()}
		begin(&b, buf, &q, 1232)
		if _, ok := r.Cached(&rd, &q, &b); !ok {
			t.Fatal("a miss")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
