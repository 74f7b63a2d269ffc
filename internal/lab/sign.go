package lab

import (
	"bufio"
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"lastgood/internal/authority"
	"lastgood/internal/dnsname"
)

// signedFile tells which zones are signed, and how; a world need not have it.
const signedFile = "signed.txt"

// parsePlans reads the table of signed zones: zone, words of [authority.ParsePlan].
func parsePlans(table []byte) (map[dnsname.Name]*authority.Plan, error) {
	plans := map[dnsname.Name]*authority.Plan{}
	lines := bufio.NewScanner(bytes.NewReader(table))
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(text)
		if len(fields) == 0 {
			continue
		}
		zone, err := dnsname.Parse(fields[0])
		switch {
		case err != nil:
		case plans[zone] != nil:
			err = fmt.Errorf("zone %s is there already", zone)
		case len(plans) == maxServers:
			err = fmt.Errorf("more than %d zones", maxServers)
		}
		if err == nil {
			plans[zone], err = authority.ParsePlan(zone, fields[1:])
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", signedFile, n, err)
		}
	}
	return plans, lines.Err()
}

// Signed gives the world with the zones signed that are to be, as of now; and the
// root's DS records, the trust anchors, none when the root is not signed. The keys
// are the same every time.
func (w *World) Signed(now time.Time) (*World, []authority.Record, error) {
	signed := &World{Servers: w.Servers, zones: map[dnsname.Name]*authority.Zone{}, plans: w.plans}
	ds := map[dnsname.Name][]authority.Record{} // by zone
	for zone, plan := range w.plans {
		if w.zones[zone] == nil {
			return nil, nil, fmt.Errorf("%s: there is no zone %s", signedFile, zone)
		}
		var err error
		if ds[zone], err = plan.DS(); err != nil {
			return nil, nil, err
		}
	}
	for origin, z := range w.zones {
		plan := w.plans[origin]
		if plan == nil {
			signed.zones[origin] = z
			continue
		}
		records := z.Records()
		for _, child := range w.SignedZones() {
			if !child.IsRoot() && w.parent(child) == origin {
				records = append(records, ds[child]...)
			}
		}
		whole, err := authority.NewZone(origin, records)
		if err == nil {
			signed.zones[origin], err = plan.Sign(whole, now)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return signed, ds[dnsname.Root], nil
}

// SignedZones lists the zones that [World.Signed] signs, in canonical order.
func (w *World) SignedZones() []dnsname.Name {
	var names []dnsname.Name
	for name := range w.plans {
		names = append(names, name)
	}
	slices.SortFunc(names, dnsname.Compare)
	return names
}

// Plan is how a zone is signed, nil when it is not.
func (w *World) Plan(zone dnsname.Name) *authority.Plan { return w.plans[zone] }

// parent is the closest zone above a zone; the root's is the root.
func (w *World) parent(origin dnsname.Name) dnsname.Name {
	for n := origin.Parent(); ; n = n.Parent() {
		if w.zones[n] != nil || n.IsRoot() {
			return n
		}
	}
}
