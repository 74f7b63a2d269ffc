package iterator

import (
	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// scrub drops from a reply what the server may not say: everything outside the
// zone whose server it is. Of the additional section only addresses stay; they
// are used as glue and for nothing else. A resolver that we forward a part of a
// zone to denies with the SOA record of the whole; its answers are believed for
// that part alone.
func scrub(m *message, a asked) {
	zone, authority := a.zone, a.zone
	if a.forward {
		authority = dnsname.Root
	}
	m.answer = m.keep(wire.AnswerSection, m.answer, func(s *rrset.Set) string {
		return bailiwick(s.Name, zone)
	})
	m.authority = m.keep(wire.AuthoritySection, m.authority, func(s *rrset.Set) string {
		why := bailiwick(s.Name, authority)
		switch {
		case why != "":
			m.strayNS = m.strayNS || s.Type == wire.TypeNS
			upper := zone.Below(s.Name) && !s.Name.IsRoot()
			m.straySOA = m.straySOA || s.Type == wire.TypeSOA && !upper
			m.upperSOA = m.upperSOA || s.Type == wire.TypeSOA && upper
		case s.Type == wire.TypeSOA && s.Data.Len() > 1:
			return "more than one SOA record" // RFC 2181 §6.1
		}
		return why
	})
	m.additional = m.keep(wire.AdditionalSection, m.additional, func(s *rrset.Set) string {
		if s.Type != wire.TypeA && s.Type != wire.TypeAAAA {
			return "not asked for"
		}
		return bailiwick(s.Name, zone)
	})
}

func bailiwick(name, zone dnsname.Name) string {
	if name.Under(zone) {
		return ""
	}
	return "outside " + zone.String()
}

// keep filters sets in place: those stay for which judge has nothing to say.
func (m *message) keep(section wire.Section, sets []rrset.Set, judge func(*rrset.Set) string) []rrset.Set {
	kept := sets[:0]
	for i := range sets {
		if why := judge(&sets[i]); why != "" {
			m.drop(section, sets[i].Name, sets[i].Type, why)
			continue
		}
		kept = append(kept, sets[i])
	}
	return kept
}

// get finds a set.
func get(sets []rrset.Set, name dnsname.Name, t wire.Type) *rrset.Set {
	for i := range sets {
		if sets[i].Type == t && sets[i].Name == name {
			return &sets[i]
		}
	}
	return nil
}
