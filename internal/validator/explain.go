package validator

import (
	"context"
	"fmt"
	"strings"
	"time"

	"lastgood/internal/anchor"
	"lastgood/internal/cache"
	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
	"lastgood/internal/ede"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// Link is one step of a chain of trust: a zone, and how it is known.
type Link struct {
	Zone     dnsname.Name
	Security rrset.Security
	Text     string      // all of it in words
	Failure  *ede.Error  // nil unless the chain ends here because something is wrong
	Anchor   bool        // DS are those of a trust anchor, and not the parent's
	DS       []KeyRef    // what points to the zone's keys
	Keys     []KeyRef    // the zone's keys, as far as they were read
	Signed   []Signature // of the key set, and of the last link the answer's
}

// KeyRef names a key.
type KeyRef struct {
	Tag       uint16
	Algorithm dnssec.Algorithm
	Digest    dnssec.DigestType // of a DS record, 0 of a key
	Entry     bool              // a key that DS records or the anchor mean
}

// Signature is one that covers a set.
type Signature struct {
	Tag         uint16
	From, Until time.Time
}

// mostExplained bounds the links that are told of: more zones above one another
// have nothing to do with ordinary names.
const mostExplained = 24

// Explain tells how an answer is known to be true, or not to be signed: link by
// link from the anchor to the zone that the entry is in, from what is cached where
// it is. It is for people who ask, and costs nothing else. Of the entry only name
// and type need be there; with the rest its signatures are told of. The budget
// should not be one that an answer depends on.
func (v *Validator) Explain(ctx context.Context, f Fetcher, e *cache.Entry, b *dnssec.Budget) []Link {
	j := &judge{v: v, ctx: ctx, fetcher: f, budget: b, now: v.wall()}
	g := v.ground(e.Name, e.Type)
	if text := ungrounded(g); text != "" {
		return []Link{{Zone: g.Zone, Security: rrset.Insecure, Text: text}}
	}
	x := &explanation{judge: j, links: []Link{{Zone: g.Zone, Anchor: true, DS: anchorRefs(g.Anchor)}}}
	if !x.keys(nil, g.Anchor) {
		return x.links
	}
	last := e.Name
	if e.Type == wire.TypeDS && !last.IsRoot() {
		last = last.Parent()
	}
	for labels := g.Zone.Labels() + 1; labels <= last.Labels() && len(x.links) < mostExplained; labels++ {
		if !x.step(last.Suffix(labels)) {
			return x.links
		}
	}
	x.entry(e)
	return x.links
}

func ungrounded(g anchor.Ground) string {
	switch g.Kind {
	case anchor.None:
		return "no trust anchor is above it"
	case anchor.Negative:
		return "negative trust anchor until " + g.NTA.Until.UTC().Format(time.RFC3339)
	case anchor.Insecure:
		return "is not to be validated, or nothing of its trust anchor is known here"
	}
	return ""
}

// explanation is a chain that is being told of.
type explanation struct {
	*judge
	links []Link
}

// step goes on to a name that may be a zone; false at the end of the chain.
func (x *explanation) step(zone dnsname.Name) bool {
	ds, t := x.delegated(zone)
	if t.noCut {
		return !t.gone
	}
	link := Link{Zone: zone, Security: t.security, Failure: t.err}
	if ds.Kind == cache.Data && ds.Type == wire.TypeDS {
		for rdata := range ds.Set.Data.All() {
			if d, err := dnssec.ReadDS(rdata); err == nil && len(link.DS) < mostTold {
				link.DS = append(link.DS, KeyRef{Tag: d.Tag, Algorithm: d.Algorithm, Digest: d.Type})
			}
		}
	}
	switch {
	case t.err != nil:
		link.Text = t.err.Text
	case t.security == rrset.Insecure && x.verdict.Why != nil:
		link.Text = x.verdict.Why.Text
	case t.security == rrset.Insecure:
		link.Text = "is delegated without DS records"
	}
	x.links = append(x.links, link)
	return t.security == rrset.Secure && x.keys(dnssec.ReadAllDS(&ds.Set, &x.v.policy), nil)
}

// keys tells of the key set of the last link.
func (x *explanation) keys(list []dnssec.DS, a *anchor.Anchor) bool {
	link := &x.links[len(x.links)-1]
	e, err := x.fetch(link.Zone, wire.TypeDNSKEY)
	if err == nil && e.Security == rrset.Secure && e.Kind == cache.Data && e.Type == wire.TypeDNSKEY {
		link.Security, link.Signed = rrset.Secure, x.signatures(&e.Set)
		keys := x.v.keys.read(&e.Set, x.budget)
		for _, k := range keys[:min(len(keys), mostTold)] {
			entry := a != nil && a.Trusts(k) || k.MeantBy(link.Zone, list)
			link.Keys = append(link.Keys, KeyRef{Tag: k.Tag, Algorithm: k.Algorithm, Entry: entry})
		}
		link.Text = link.words()
		return true
	}
	link.Security, link.Failure = rrset.Indeterminate, err
	switch {
	case err == nil:
		link.Security, link.Text = e.Security, "its key set does not count"
	case err.Code.FailsValidation():
		link.Security, link.Text = rrset.Bogus, err.Text
	default:
		link.Text = "its keys could not be had: " + err.Text
	}
	return false
}

// entry tells of the answer's own signatures.
func (x *explanation) entry(e *cache.Entry) {
	if len(e.Set.Sigs) == 0 || e.Kind != cache.Data {
		return
	}
	link := Link{Zone: e.Name, Security: e.Security, Signed: x.signatures(&e.Set)}
	link.Text = e.Type.String() + ": " + times(link.Signed)
	x.links = append(x.links, link)
}

func (x *explanation) signatures(s *rrset.Set) (list []Signature) {
	for rdata := range s.Sigs.All() {
		if sig, err := dnssec.ReadSignature(rdata); err == nil && len(list) < mostTold {
			from, until := sig.Times(x.now)
			list = append(list, Signature{sig.Tag, from, until})
		}
	}
	return list
}

// words tell of a link whose keys are sound.
func (l *Link) words() string {
	what := "DS "
	if l.Anchor {
		what = "trust anchor "
	}
	var entry, rest []string
	for _, k := range l.Keys {
		name := fmt.Sprintf("%d (%s)", k.Tag, k.Algorithm)
		if k.Entry {
			entry = append(entry, name)
		} else {
			rest = append(rest, name)
		}
	}
	var tags []uint16
	for _, d := range l.DS {
		tags = append(tags, d.Tag)
	}
	text := what + numbers(tags) + " means key " + strings.Join(entry, ", ") + "; key set " + times(l.Signed)
	if len(rest) > 0 {
		text += "; with it key " + strings.Join(rest, ", ")
	}
	return text
}

func times(list []Signature) string {
	if len(list) == 0 {
		return "not signed"
	}
	var parts []string
	for _, s := range list {
		parts = append(parts, fmt.Sprintf("signed by %d from %s until %s", s.Tag, s.From.Format(time.RFC3339), s.Until.Format(time.RFC3339)))
	}
	return strings.Join(parts, ", ")
}

func anchorRefs(a *anchor.Anchor) (list []KeyRef) {
	for i := range a.DS {
		list = append(list, KeyRef{Tag: a.DS[i].Tag, Algorithm: a.DS[i].Algorithm, Digest: a.DS[i].Type})
	}
	for _, k := range a.Keys {
		list = append(list, KeyRef{Tag: k.Tag, Algorithm: k.Algorithm})
	}
	return list[:min(len(list), mostTold)]
}

// Sentence says in one sentence what is wrong, as one would write it into a ticket:
// the zone at fault, which key, signature or DS record it is, and since when. It is
// "" when nothing is.
func (v *Verdict) Sentence() string {
	err := v.Failure
	switch {
	case err == nil:
		return ""
	case v.Spent:
		return "An answer below " + v.Zone.String() + " takes more work to validate than one question may cost: " + err.Text + "."
	case err.Code.FailsValidation() && v.Zone == "":
		return "The answer does not validate: " + err.Text + fmt.Sprintf(" (extended error %d, %s).", err.Code, err.Code)
	case err.Code.FailsValidation():
		return "The zone " + v.Zone.String() + " does not validate: " + err.Text + fmt.Sprintf(" (extended error %d, %s).", err.Code, err.Code)
	}
	return "The chain of trust to " + v.Zone.String() + " cannot be had: " + err.Error() + "."
}
