package iterator

import (
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/infra"
	"lastgood/internal/wire"
)

// Trouble tells whether nothing better than what is stored can be had from the
// servers of a cut now: it is failing, or they are all suspect or unreachable.
// Not so where there are other ways: servers whose addresses are not looked up
// yet, or usual resolution. It allocates nothing when it is asked for often.
func (it *Iterator) Trouble(now clock.Mono, cut dnsname.Name) (infra.Trouble, bool) {
	s := it.seat(now, cut)
	tr, bad := it.infra.Trouble(now, s.cut, s.whole())
	if tr.Recovered {
		it.events.Emit(event.CutHealth{At: now, Cut: s.cut})
	}
	if tr.Cut = s.cut; tr.Silent {
		tr.Servers = s.set
	}
	return tr, bad && !s.falls()
}

// troubled is Trouble for the iterator's own needs: that a cut is back is left for
// whoever treats its names.
func (it *Iterator) troubled(now clock.Mono, s *seat) bool {
	return it.infra.Troubled(now, s.cut, s.whole()) && !s.falls()
}

// whole gives the servers of a seat if those are all, else none.
func (s *seat) whole() []infra.Candidate {
	if !s.all {
		return nil
	}
	return s.servers
}

// falls tells whether usual resolution is tried when the servers fail.
func (s *seat) falls() bool { return s.zone != nil && s.zone.Fallback }

// Want tells that a client was answered stale, or with a failure from memory,
// because of a cut's trouble: its servers are rechecked. sooner tells that the
// next recheck is due earlier than was said.
func (it *Iterator) Want(now clock.Mono, cut dnsname.Name, q event.Question) (sooner bool) {
	s := it.seat(now, cut)
	if s.cut != cut && s.zone == nil {
		q = event.Question{Name: cut, Type: wire.TypeA} // more is not theirs to know (RFC 9156)
	}
	return it.infra.Wanted(now, infra.Want{
		Cut: s.cut, RD: s.zone != nil && s.zone.Forward, Fixed: s.zone != nil, Servers: s.servers, Question: q,
	})
}
