package resolver

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/ede"
	"lastgood/internal/rrset"
	"lastgood/internal/validator"
	"lastgood/internal/wire"
)

func insecure(e cache.Entry, why ede.Code) cache.Entry {
	e.Security, e.Why = rrset.Insecure, why
	return e
}

// What is kept of why something is insecure is told from the cache, each reason once:
// without a resolution unless there are two, and not where nothing is to be validated.
func TestWhyFromTheCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, it := newTest(t, func(o *Options) {
			lasting(usual(), nil)(o)
			validating(o, "bad.")
		}, nothing)
		entries := []cache.Entry{
			insecure(address("www.alg.", 300, 1), ede.UnsupportedDNSKEYAlg),
			insecure(denial(cache.NXDomain, "no.iter.", wire.TypeNone, 300), ede.UnsupportedNSEC3Iter),
			insecure(alias("to.alg.", 300, "www.alg."), ede.UnsupportedDNSKEYAlg),
			insecure(alias("to.digest.", 300, "www.alg."), ede.UnsupportedDSDigest),
			insecure(alias("to.plain.", 300, "www.alg."), 0),
			insecure(address("www.plain.", 300, 1), 0),
			insecure(address("www.bad.", 300, 1), ede.UnsupportedDNSKEYAlg),
		}
		r.put(entries...)
		for _, v := range []struct {
			owner, want, says string
			cached            bool
		}{
			{"www.alg.", "[1]", "www.alg. ends at algorithms", true},
			{"no.iter.", "[27]", "no.iter. needs", true},
			{"to.alg.", "[1]", "to.alg. ends", true},
			{"to.digest.", "[2 1]", "to.digest. ends at DS records", false},
			{"to.plain.", "[1]", "www.alg. ends", true},
			{"www.plain.", "[]", "", true},
			{"www.bad.", "[33]", "", false},
		} {
			q := Query{Name: name(v.owner), Type: wire.TypeA, RD: true, Arrival: r.clock.Now()}
			var b wire.Builder
			begin(&b, nil, &q, 1232)
			out, cached := r.Cached(new(cache.Reader), &q, &b)
			a := r.Resolve(context.Background(), q)
			if got := fmt.Sprint(codes(a)); got != v.want || cached != v.cached {
				t.Errorf("%s: %s, without a resolution %v", v.owner, got, cached)
			}
			if (out.Why != nil) != (cached && v.says != "") || out.Why != nil && *out.Why != *a.Errors[0] {
				t.Errorf("%s: %v without a resolution, with one %v", v.owner, out.Why, a.Errors)
			}
			if v.says != "" && !strings.Contains(a.Errors[0].Text, v.says) {
				t.Errorf("%s: %v", v.owner, a.Errors[0])
			}
			if x := r.Explain(q.Name, q.Type); !strings.Contains(x.Hops[0].Why+x.Hops[len(x.Hops)-1].Why, v.says) || v.says == "" && x.Hops[0].Why != "" {
				t.Errorf("%s: explained by %+v", v.owner, x.Hops)
			}
		}
		if it.asked.Load() != 0 {
			t.Errorf("%d flights", it.asked.Load())
		}
		time.Sleep(time.Hour)
		x := r.Explain(name("www.alg."), wire.TypeA)
		if x.Outcome != "stale" || !strings.HasSuffix(x.Hops[0].Why, "; "+validator.Remembered(1, name("www.alg.")).Text) {
			t.Errorf("past its TTL: %+v", x)
		}
	})
}

func codes(a *Answer) []int {
	var list []int
	for _, e := range a.Errors {
		list = append(list, int(e.Code))
	}
	return list
}

// What has no reason to tell costs nothing, insecure or not.
func TestWhyAllocatesNothing(t *testing.T) {
	r, _ := newTest(t, func(o *Options) { validating(o) }, nothing)
	r.put(insecure(address("www.plain.", 300, 1), 0), secure(address("www.good.", 300, 1)))
	for _, owner := range []string{"www.plain.", "www.good."} {
		q := Query{Name: name(owner), Type: wire.TypeA, RD: true, DO: true, Arrival: r.clock.Now().Add(time.Millisecond)}
		var rd cache.Reader
		var b wire.Builder
		buf := make([]byte, 0, 1232)
		if n := testing.AllocsPerRun(100, func() {
			begin(&b, buf, &q, 1232)
			if _, ok := r.Cached(&rd, &q, &b); !ok {
				t.Fatal("not answered")
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", owner, n)
		}
	}
}
