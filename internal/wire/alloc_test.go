//go:build !race

package wire

import (
	"testing"

	"lastgood/internal/dnsname"
)

// noAllocation holds the hot paths to nothing on the heap.
func noAllocation(t *testing.T, what string, f func()) {
	t.Helper()
	if n := testing.AllocsPerRun(100, f); n != 0 {
		t.Errorf("%s: %v allocations", what, n)
	}
}

func TestNoAllocation(t *testing.T) {
	query, reply := aQuery(t), aReply(t)
	noAllocation(t, "reading a query", func() { readQuery(t, query) })
	scratch := make([]byte, 0, MaxMessage)
	noAllocation(t, "walking a reply", func() { walkReply(t, reply, scratch) })
	var b Builder
	noAllocation(t, "building a reply", func() { buildReply(t, &b, scratch) })
	noAllocation(t, "building a small reply", func() { buildOneAnswer(t, &b, scratch) })
	v, _ := Read(reply)
	c := v.Records()
	c.Next()
	if n := testing.AllocsPerRun(100, func() { _, _ = c.rec.Name() }); n != 1 {
		t.Errorf("an owner as a name: %v allocations, documented is one", n)
	}
}

// TestNoAllocationAtLimit: a reply that does not fit stays in its buffer.
func TestNoAllocationAtLimit(t *testing.T) {
	buf, b := make([]byte, 0, 100), new(Builder)
	rdata := []byte(dnsname.MustParse("a.very.long.name.of.a.server.in.another.zone."))
	noAllocation(t, "truncating", func() {
		b.Reset(buf, 100, Header{})
		for b.Record(AnswerSection, wwwExample, TypeNS, ClassIN, 5, rdata) {
			rdata[1] ^= 1
		}
		b.Record(AnswerSection, wwwExample, TypeTXT, ClassIN, 5, rdata)
	})
}
