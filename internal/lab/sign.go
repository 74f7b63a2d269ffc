package lab

import (
	"crypto/sha256"
	"slices"
	"time"

	"lastgood/internal/authority"
	"lastgood/internal/dnsname"
)

// Signed gives the world with every zone signed, but for the exceptions and
// those below them, valid from one time to the other; and the root's DS record,
// the trust anchor. Each zone's key is made of its name, so that it is the same
// every time.
func (w *World) Signed(from, until time.Time, except ...dnsname.Name) (*World, authority.Record, error) {
	signed := &World{Servers: w.Servers, zones: map[dnsname.Name]*authority.Zone{}}
	ds := map[dnsname.Name][]authority.Record{} // by parent
	var anchor authority.Record
	zones := w.Zones()
	slices.Reverse(zones) // canonical order backwards: children before their parents
	for _, origin := range zones {
		if slices.ContainsFunc(except, origin.Under) {
			signed.zones[origin] = w.zones[origin]
			continue
		}
		key, err := authority.NewKey(origin, authority.Ed25519, sha256.Sum256([]byte(origin)))
		if err != nil {
			return nil, anchor, err
		}
		z, err := authority.NewZone(origin, append(w.zones[origin].Records(), ds[origin]...))
		if err != nil {
			return nil, anchor, err
		}
		if signed.zones[origin], err = z.Sign(from, until, key); err != nil {
			return nil, anchor, err
		}
		if anchor, err = key.DS(); err != nil { // the last one is the root's
			return nil, anchor, err
		}
		parent := w.parent(origin)
		ds[parent] = append(ds[parent], anchor)
	}
	return signed, anchor, nil
}

// parent is the closest zone above a zone; the root's is the root.
func (w *World) parent(origin dnsname.Name) dnsname.Name {
	for n := origin.Parent(); ; n = n.Parent() {
		if w.zones[n] != nil || n.IsRoot() {
			return n
		}
	}
}
