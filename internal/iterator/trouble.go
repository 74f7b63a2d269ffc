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
	return it.troubleAt(now, it.seat(now, cut))
}

func (it *Iterator) troubleAt(now clock.Mono, s *seat) (infra.Trouble, bool) {
	servers := s.servers
	if !s.all {
		servers = nil
	}
	tr, bad := it.infra.Trouble(now, s.cut, servers)
	if tr.Recovered {
		it.events.Emit(event.CutHealth{At: now, Cut: s.cut})
	}
	if s.zone != nil && s.zone.Fallback {
		return infra.Trouble{}, false
	}
	if tr.Cut = s.cut; tr.Silent {
		tr.Servers = s.set
	}
	return tr, bad
}

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
