package iterator

import (
	"net/netip"
	"slices"

	"lastgood/internal/event"
	"lastgood/internal/infra"
)

// A reply that looks as good as any may turn out bogus when somebody validates it.
// Then another server is asked: the same question is resolved again, and those that
// gave bogus data are left out (Request.Avoid). Where they are servers of a zone
// above they still lead on to others.

// leaveOut keeps those from being asked the request's own question that are to be
// avoided.
func (t *task) leaveOut() {
	if t.asked != (event.Question{Name: t.req.Name, Type: t.req.Type}) {
		return
	}
	for _, addr := range t.req.Avoid {
		t.spend(addr, false)
		t.spend(addr, true)
	}
}

// spend makes it that a server is not asked the present question any more over a
// transport.
func (t *task) spend(addr netip.AddrPort, tcp bool) {
	i := slices.IndexFunc(t.tries, func(o infra.Tries) bool { return o.Addr == addr && o.TCP == tcp })
	if i < 0 {
		t.tries = append(t.tries, infra.Tries{Addr: addr, TCP: tcp, Done: true})
	} else {
		t.tries[i].Done = true
	}
}

// avoided tells whether a reply is of a server whose word is worth nothing here.
func (t *task) avoided(v *verdict) bool { return slices.Contains(t.req.Avoid, v.from) }
