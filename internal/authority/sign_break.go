package authority

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// Break is one thing that is wrong with a signed zone.
type Break struct {
	Word string       // one of [BreakWords]
	Name dnsname.Name // of the sets that it is about, "" for all
	Type wire.Type    // TypeNone: any
}

// BreakWord is a way in which a signed zone is broken.
type BreakWord struct {
	Word, Help string
	spoil      func(*draft)
}

// BreakWords lists what may be wrong with a signed zone.
func BreakWords() []BreakWord { return slices.Clone(breakWords[:]) }

var breakWords = [...]BreakWord{
	{"expired", "the signatures expired when the others became valid", func(d *draft) { d.from, d.until = d.from.Add(d.from.Sub(d.until)), d.from }},
	{"not-yet", "they become valid when the others expire", func(d *draft) { d.from, d.until = d.until, d.until.Add(d.until.Sub(d.from)) }},
	{"backwards", "they expire before they become valid", func(d *draft) { d.from, d.until = d.until, d.from }},
	{"stripped", "there are none", func(d *draft) { d.copies = 0 }},
	{"forged", "a bit of them is turned", func(d *draft) { d.forged = true }},
	{"forged-16", "sixteen of each, in each of which another bit is turned", func(d *draft) { d.forged, d.copies = true, 16 }},
	{wrongKey, "they are by a key that the zone does not have", func(d *draft) { d.key = d.strangers[wrongKey] }},
	{"wrong-signer", "they say to be by the zone above", func(d *draft) { d.signer = dnsname.MustParse(d.key.public.Hdr.Name).Parent() }},
	{byParent, "they are by the zone above, with its key csk1", func(d *draft) { d.foreign(byParent) }},
	{byChild, "they are by the zone child beneath, with its key csk1", func(d *draft) { d.foreign(byChild) }},
	{bySibling, "they are by the zone sibling beside it, with its key csk1", func(d *draft) { d.foreign(bySibling) }},
	{"wrong-owner", "they are of a set at another name", func(d *draft) { d.owner = "elsewhere" }},
	{"wrong-labels", "they are of a wildcard beside the name", func(d *draft) { d.owner = "*" }},
	{"wrong-algorithm", "they say to be of an algorithm that nobody knows", func(d *draft) { d.algorithm = 200 }},
	{noDenial, "what does not exist is denied without NSEC and NSEC3 records", nil},
	{wrongDenial, "it is denied with the record of another name", nil},
	{denied, "the name is denied, or answered from a wildcard, though it is there, or another zone's", nil},
	{withheld, "the type is denied though it is there: with DS, a referral looks unsigned", nil},
	{"proof-without-1", "it is denied, the first record of the proof left out", nil},
	{"proof-without-2", "the second", nil},
	{"proof-without-3", "the third", nil},
}

// Words that other code knows.
const (
	wrongKey    = "wrong-key"
	noDenial    = "no-denial"
	wrongDenial = "wrong-denial"
	denied      = "denied"
	withheld    = "withheld"
	byParent    = "by-parent"
	byChild     = "by-child"
	bySibling   = "by-sibling"
	shortProof  = "proof-without-" // and the number of what is left out
)

// relatives are the zones whose keys break words sign with.
var relatives = map[string]func(dnsname.Name) (dnsname.Name, error){ // constant in effect
	byParent:  func(zone dnsname.Name) (dnsname.Name, error) { return zone.Parent(), nil },
	byChild:   func(zone dnsname.Name) (dnsname.Name, error) { return zone.Prepend("child") },
	bySibling: func(zone dnsname.Name) (dnsname.Name, error) { return zone.Parent().Prepend("sibling") },
}

// ParseBreak reads one of [BreakWords] and says what it is about.
func ParseBreak(word string, name dnsname.Name, t wire.Type) (Break, error) {
	for _, w := range breakWords {
		if w.Word == word {
			return Break{Word: word, Name: name, Type: t}, nil
		}
	}
	var known []string
	for _, w := range breakWords {
		known = append(known, w.Word)
	}
	return Break{}, fmt.Errorf("unknown way to break a zone %q; known are %s", word, strings.Join(known, ", "))
}

// of tells whether the break is about a set.
func (b Break) of(name dnsname.Name, t wire.Type) bool {
	return (b.Name == "" || b.Name == name) && (b.Type == wire.TypeNone || b.Type == t)
}

// lies are what a zone says wrongly of what does not exist.
type lies struct {
	denials  []Break // no-denial, wrong-denial, proof-without-N
	denied   []Break
	withheld []Break
}

func liesOf(breaks []Break) (l lies) {
	for _, b := range breaks {
		switch b.Word {
		case noDenial, wrongDenial, shortProof + "1", shortProof + "2", shortProof + "3":
			l.denials = append(l.denials, b)
		case denied:
			l.denied = append(l.denied, b)
		case withheld:
			l.withheld = append(l.withheld, b)
		}
	}
	return l
}

// denies tells whether a name that is there is denied.
func (l *lies) denies(name dnsname.Name, t wire.Type) bool {
	return slices.ContainsFunc(l.denied, func(b Break) bool { return b.of(name, t) })
}

// withholds tells whether a type that is there is denied.
func (l *lies) withholds(name dnsname.Name, t wire.Type) bool {
	return slices.ContainsFunc(l.withheld, func(b Break) bool { return b.of(name, t) })
}

// denial is how the proof of a denial is broken, "" for not at all.
func (l *lies) denial(name dnsname.Name, t wire.Type) string {
	for _, b := range l.denials {
		if b.of(name, t) {
			return b.Word
		}
	}
	return ""
}

// shorten leaves out of a proof what a break wants to be missing. Proofs are few
// records of one type, in the order in which they were added.
func (l *lies) shorten(proof []rrset.Set, q question) []rrset.Set {
	number, ok := strings.CutPrefix(l.denial(q.name, q.t), shortProof)
	if !ok {
		return proof
	}
	left := int(number[0] - '0')
	return slices.DeleteFunc(proof, func(s rrset.Set) bool {
		if s.Type == wire.TypeNSEC || s.Type == wire.TypeNSEC3 {
			left--
			return left == 0
		}
		return false
	})
}

// draft is the signature of one set by one key before it is made.
type draft struct {
	zone        dnsname.Name
	key         *Key
	strangers   map[string]*Key // by the word of the break that wants one
	set         []dns.RR
	from, until time.Time
	copies      int // so many signatures

	signer    dnsname.Name // "": the zone
	owner     string       // label in place of the first one of the set's name; "": that
	forged    bool
	algorithm uint8 // 0: the key's
}

// spoil alters the draft.
func (d *draft) spoil(b Break) {
	for _, w := range breakWords {
		if w.Word == b.Word && w.spoil != nil {
			w.spoil(d)
		}
	}
}

// sign makes the records.
func (d *draft) sign() ([]Record, error) {
	k := d.key
	set, err := d.moved()
	if err != nil {
		return nil, err
	}
	var list []Record
	for i := range d.copies {
		sig := &dns.RRSIG{
			Hdr:        dns.RR_Header{Rrtype: dns.TypeRRSIG, Class: dns.ClassINET, Ttl: set[0].Header().Ttl},
			Algorithm:  k.public.Algorithm,
			KeyTag:     k.Tag(),
			SignerName: d.zone.String(),
			Inception:  uint32(d.from.Unix()),
			Expiration: uint32(d.until.Unix()),
		}
		if d.signer != "" {
			sig.SignerName = d.signer.String()
		}
		if err := sig.Sign(k.signer, set); err != nil {
			return nil, err
		}
		sig.Hdr.Name = d.set[0].Header().Name
		if d.algorithm != 0 {
			sig.Algorithm = d.algorithm
		}
		r, err := fromRR(sig)
		if err != nil {
			return nil, err
		}
		if d.forged {
			r.Data[len(r.Data)-1-i] ^= 1
		}
		list = append(list, r)
	}
	return list, nil
}

// foreign lets another zone sign.
func (d *draft) foreign(word string) {
	d.key = d.strangers[word]
	d.signer = dnsname.MustParse(d.key.public.Hdr.Name)
}

// findStrangers makes the keys that breaks want in place of each of the zone's.
func (s *Signing) findStrangers(zone dnsname.Name) error {
	s.strangers = map[*Key]map[string]*Key{}
	for _, k := range s.Keys {
		s.strangers[k] = map[string]*Key{}
		for _, b := range s.Breaks {
			if b.Word != wrongKey && relatives[b.Word] == nil {
				continue
			}
			stranger, err := k.stranger(zone, b.Word)
			if err != nil {
				return err
			}
			s.strangers[k][b.Word] = stranger
		}
	}
	return nil
}

// stranger makes the key that a break wants in place of one of the zone's.
func (k *Key) stranger(zone dnsname.Name, word string) (*Key, error) {
	algorithm := dnssec.Algorithm(k.public.Algorithm)
	relative := relatives[word]
	if relative == nil {
		return NewKey(zone, KeySpec{Algorithm: algorithm, Seed: [32]byte{0xff, byte(k.Tag() >> 8), byte(k.Tag())}})
	}
	other, err := relative(zone)
	if err != nil {
		return nil, err
	}
	spec, err := parseKey(other, algorithm, "csk1")
	if err != nil {
		return nil, err
	}
	return NewKey(other, spec)
}

var errRootMoved = errors.New("the root's sets cannot be signed as of another name")

// moved is the set at the name that the signature is of.
func (d *draft) moved() ([]dns.RR, error) {
	if d.owner == "" {
		return d.set, nil
	}
	name, err := dnsname.Parse(d.set[0].Header().Name)
	if err == nil && name.IsRoot() {
		return nil, errRootMoved
	}
	if err == nil {
		name, err = name.Parent().Prepend(d.owner)
	}
	if err != nil {
		return nil, err
	}
	var set []dns.RR
	for _, rr := range d.set {
		rr = dns.Copy(rr)
		rr.Header().Name = name.String()
		set = append(set, rr)
	}
	return set, nil
}
