package upstream

import (
	"bytes"
	"testing"

	"lastgood/internal/clock"
	"lastgood/internal/infra"
	"lastgood/internal/iterator"
	"lastgood/internal/wire"
)

// FuzzMatch: whatever comes, match neither panics nor takes for a fit what does
// not repeat id and question.
func FuzzMatch(f *testing.F) {
	u := New(Options{Clock: clock.New(), Infra: infra.New(infra.Options{}), CaseRandomisation: true, Cookies: true, Random: func(b []byte) {
		for i := range b {
			b[i] = 0x5a
		}
	}})
	q := iterator.Query{Server: serverAddr, Name: asked, Type: wire.TypeA}
	var m message
	m.compose(u, 1, q, plan{edns: true, cookies: true, mixed: true})
	own, err := wire.Read(m.msg)
	if err != nil {
		f.Fatal(err)
	}
	for _, r := range []reply{{}, {tc: true}, {rcode: wire.RcodeFormErr, noQuestion: true}, {id: 1}, {cookie: []byte("12345678")}} {
		f.Add(r.to(seen{view: own}))
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		v, fit := m.match(msg)
		if fit != fits && fit != malformed {
			return
		}
		if len(msg) < wire.HeaderLen || v.ID() != m.id || !v.IsResponse() {
			t.Fatalf("%x is taken for a reply", msg)
		}
		if v.Count(wire.QuestionSection) == 1 && !bytes.HasPrefix(msg[wire.HeaderLen:], m.question) {
			t.Fatalf("%x has another question", msg)
		}
	})
}
