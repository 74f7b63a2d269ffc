package scenario

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"lastgood/internal/authority"
	"lastgood/internal/dnsname"
)

// signing is what a script says of a zone's signatures.
type signing struct {
	plan   *authority.Plan // nil: it has none
	ds     []authority.Record
	told   bool // ds is what the zone above has
	broken []brokenAt
}

// brokenAt is a break, at one server or all.
type brokenAt struct {
	authority.Break
	server string // "": all
}

// signingOf gives what is said of a zone, which must have a server.
func (w *world) signingOf(text string) (dnsname.Name, *signing, error) {
	zone, err := dnsname.Parse(text)
	if err != nil {
		return "", nil, err
	}
	if len(w.serves(zone)) == 0 && !zone.IsRoot() {
		return "", nil, fmt.Errorf("nobody serves %s", zone)
	}
	s := w.signings[zone]
	if s == nil {
		s = new(signing)
		w.signings[zone] = s
	}
	return zone, s, nil
}

// doSign signs a zone, or no longer. The zone above is told of its keys the first
// time, later only when that is said.
func (w *world) doSign(st *step) error {
	if len(st.words) == 0 {
		return errors.New("want: sign ZONE [WORD…]|none")
	}
	zone, s, err := w.signingOf(st.words[0])
	if err != nil {
		return err
	}
	if len(st.words) == 2 && st.words[1] == "none" {
		s.plan = nil
		return w.publish(zone)
	}
	words := st.words[1:]
	if s.plan, err = authority.ParsePlan(zone, words); err != nil {
		return err
	}
	pointed := slices.ContainsFunc(words, func(word string) bool { return strings.HasPrefix(word, "ds=") })
	if s.told && !pointed {
		return w.publish(zone)
	}
	s.told = true
	if s.ds, err = s.plan.DS(); err != nil {
		return err
	}
	return w.publish(zone, w.above(zone))
}

// doDS changes what the zone above says of a zone's keys.
func (w *world) doDS(st *step) error {
	if len(st.words) < 2 {
		return errors.New("want: ds ZONE WORD…|none")
	}
	zone, s, err := w.signingOf(st.words[0])
	if err != nil {
		return err
	}
	if zone.IsRoot() {
		return errors.New("nothing is above the root")
	}
	s.told, s.ds = true, nil
	if !slices.Equal(st.words[1:], []string{"none"}) {
		plan, err := authority.ParsePlan(zone, st.words[1:])
		if err != nil {
			return err
		}
		if s.ds, err = plan.DS(); err != nil {
			return err
		}
	}
	return w.publish(w.above(zone))
}

// doBreak breaks the signatures of a zone.
func (w *world) doBreak(st *step) error {
	usage := errors.New("want: break ZONE WORD[:NAME[:TYPE]]… [at=SERVER]")
	if len(st.words) < 2 {
		return usage
	}
	zone, s, err := w.signingOf(st.words[0])
	if err != nil {
		return err
	}
	if s.plan == nil {
		return fmt.Errorf("%s is not signed", zone)
	}
	server, words := "", st.words[1:]
	if name, ok := strings.CutPrefix(words[len(words)-1], "at="); ok {
		if _, err := w.named(name); err != nil {
			return err
		}
		server, words = name, words[:len(words)-1]
	}
	if len(words) == 0 {
		return usage
	}
	var told []string
	for _, word := range words {
		told = append(told, "wrong="+word)
	}
	plan, err := authority.ParsePlan(zone, told)
	if err != nil {
		return err
	}
	for _, b := range plan.Breaks {
		s.broken = append(s.broken, brokenAt{b, server})
	}
	return w.publish(zone)
}

// doMend ends all breaks of a zone, which is signed anew.
func (w *world) doMend(st *step) error {
	if err := st.want(1, "ZONE"); err != nil {
		return err
	}
	zone, s, err := w.signingOf(st.words[0])
	if err != nil {
		return err
	}
	s.broken = nil
	if s.plan != nil {
		s.plan.Breaks = nil
	}
	return w.publish(zone)
}

// doAnchor lets the resolver trust the keys of a zone.
func (w *world) doAnchor(st *step) error {
	if len(st.words) == 0 {
		return errors.New("want: anchor ZONE [dnskey] [WORD…]")
	}
	if w.app != nil {
		return errors.New("the app runs already")
	}
	zone, s, err := w.signingOf(st.words[0])
	if err != nil {
		return err
	}
	words, plan := st.words[1:], s.plan
	dnskey := len(words) > 0 && words[0] == "dnskey"
	if dnskey {
		words = words[1:]
	}
	if plan == nil || len(words) > 0 {
		if plan, err = authority.ParsePlan(zone, words); err != nil {
			return err
		}
	}
	records, err := plan.DS()
	if dnskey {
		records, err = plan.DNSKEYs()
	}
	for _, r := range records {
		w.anchors = append(w.anchors, r.String())
	}
	return err
}

// above is the zone that delegates a zone.
func (w *world) above(zone dnsname.Name) dnsname.Name {
	if zone.IsRoot() {
		return zone
	}
	return w.deepest(zone.Parent())
}

// publish gives zones anew to the servers that run.
func (w *world) publish(zones ...dnsname.Name) error {
	for _, zone := range zones {
		for _, s := range w.servers {
			if s.Server == nil || s.plain[zone] == nil {
				continue
			}
			if err := s.publish(zone); err != nil {
				return err
			}
		}
	}
	return nil
}

// publish puts a zone's data on the server: with the DS records of the zones
// beneath, and signed as of now when the script says so.
func (s *server) publish(zone dnsname.Name) error {
	z := s.plain[zone]
	if len(s.w.signings) == 0 {
		s.SetZone(z)
		return nil
	}
	records := z.Records()
	for _, child := range s.w.zonesServed() {
		if said := s.w.signings[child]; said != nil && !child.IsRoot() && s.w.above(child) == zone {
			records = append(records, said.ds...)
		}
	}
	z, err := authority.NewZone(zone, records)
	if err != nil {
		return err
	}
	if said := s.w.signings[zone]; said != nil && said.plan != nil {
		plan := *said.plan
		plan.Breaks = slices.Clone(plan.Breaks)
		for _, b := range said.broken {
			if b.server == "" || strings.EqualFold(b.server, s.name) {
				plan.Breaks = append(plan.Breaks, b.Break)
			}
		}
		if z, err = plan.Sign(z, time.Now()); err != nil {
			return err
		}
	}
	s.SetZone(z)
	return nil
}
