package infra

import (
	"net/netip"
	"slices"
	"time"

	"lastgood/internal/clock"
)

const (
	familySilent  = 4  // addresses that failed while the family was never heard
	familyLived   = 20 // the same since it was heard: at 51 % lost, one in a million
	familyNoRoute = 2  // the same when packets did not even leave
	familyQuiet   = 2 * time.Second
	familyFirst   = 5 * time.Second // until a dead family is tried again; doubles to recheckLast
)

// family is what is known of IPv4 or IPv6 as a whole, in the spirit of RFC 8305:
// a family that does not work here must not cost a timeout for every server.
type family struct {
	off      bool // not to be used at all
	dead     bool
	heard    clock.Mono
	failed   []netip.Addr // distinct ones since heard, at most familyLived
	probeAt  clock.Mono
	probeGap time.Duration
}

// family gives the state of an address's family. The lock is held.
func (i *Infra) family(addr netip.AddrPort) *family {
	if addr.Addr().Unmap().Is4() {
		return &i.families[0]
	}
	return &i.families[1]
}

func (f *family) hear(now clock.Mono) {
	f.heard, f.dead, f.failed, f.probeGap = now, false, f.failed[:0], 0
}

// fail notes that an address of the family failed. A family that was heard a
// moment ago lives, whatever some of its servers do.
func (f *family) fail(now clock.Mono, addr netip.Addr, noRoute bool) {
	if f.dead || f.heard != 0 && now.Sub(f.heard) < familyQuiet {
		return
	}
	most := familySilent
	if f.heard != 0 {
		most = familyLived
	}
	if len(f.failed) < most && !slices.Contains(f.failed, addr) {
		f.failed = append(f.failed, addr)
	}
	if len(f.failed) >= most || noRoute && len(f.failed) >= familyNoRoute {
		f.dead, f.probeGap = true, familyFirst
		f.probeAt = now.Add(f.probeGap)
	}
}

// avoided tells whether the family of addr is dead while the other is not:
// when both seem dead it is the network, and neither is worse. The lock is held.
func (i *Infra) avoided(addr netip.AddrPort) bool {
	f := i.family(addr)
	other := &i.families[0]
	if f == other {
		other = &i.families[1]
	}
	return f.dead && !other.dead && !other.off
}

// probed plans the family's next trial.
func (f *family) probed(now clock.Mono) {
	f.probeGap = min(2*f.probeGap, recheckLast)
	f.probeAt = now.Add(f.probeGap)
}
