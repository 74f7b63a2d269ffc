package authority

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
	"lastgood/internal/wire"
)

// Plan is how a zone is to be signed, as data; for its text form see [ParsePlan].
type Plan struct {
	Zone    dnsname.Name
	Keys    []KeySpec
	Twins   int                 // more keys, with the tag of the first (see [Key.Twins])
	NSEC3   *NSEC3              // nil: NSEC
	Valid   time.Duration       // of the signatures from the moment of signing; they begin an hour before
	KeyTTL  time.Duration       // of the DNSKEY set; 0: an hour
	Digests []dnssec.DigestType // of DS records in the zone above; none: it has none
	WrongDS bool                // those match no key
	Digest  string              // a ZONEMD record (RFC 8976): right, or as a word of zonemd= has it; "" none
	Breaks  []Break
}

// Defaults and bounds of a Plan.
const (
	defaultValid = 90 * 24 * time.Hour
	maxValid     = 20 * 365 * 24 * time.Hour
	signedBefore = time.Hour
	maxKeys      = 32 // in one plan, before twins
	maxTwins     = 64
)

// PlanWords explains the words that [ParsePlan] knows, for help texts.
func PlanWords() []FaultWord {
	words := make([]FaultWord, 0, len(planWords))
	for _, w := range planWords {
		words = append(words, FaultWord{Word: w.usage, Help: w.help})
	}
	return words
}

// planText is a plan while it is read.
type planText struct {
	*Plan
	algorithms []dnssec.Algorithm
	keys       []string
}

type planWord struct {
	usage, help string
	take        func(*planText, string) error
}

var planWords = [...]planWord{
	{"algorithm=15[,N…]", "of the keys: each key is there in each of them", (*planText).takeAlgorithm},
	{"keys=csk1[,KIND+N…]", "N tells keys apart that do the same: csk signs everything, ksk the keys, zsk the rest, standby nothing, hidden all without being published; ksk1-revoked is revoked", (*planText).takeKeys},
	{"twins=N", "so many keys with the tag of the first", (*planText).takeTwins},
	{"nsec3=ITERATIONS[:SALT]", "NSEC3 in place of NSEC, the salt in hexadecimal digits", (*planText).takeNSEC3},
	{"nsec3-says=HASH[:FLAGS]", "NSEC3 records say to have that hash and those flags", (*planText).takeSays},
	{"opt-out", "NSEC3 records leave unsigned delegations out", (*planText).takeOptOut},
	{"valid=90d", "how long from now the signatures are valid", (*planText).takeValid},
	{"key-ttl=1h", "the TTL of the DNSKEY records", (*planText).takeKeyTTL},
	{"ds=2[,DIGEST…]|none|wrong", "the DS records in the zone above; wrong ones match no key", (*planText).takeDS},
	{"zonemd=right|wrong|serial|scheme", "a ZONEMD record, right (also without a word) or of another zone, serial or scheme", (*planText).takeZonemd},
	{"wrong=WORD[:NAME[:TYPE]]", "a way to be broken, of one name or all; may be there several times", (*planText).takeWrong},
}

// ParsePlan reads how a zone is to be signed: words such as nsec3=0 (see
// [PlanWords]), none for an Ed25519 key that signs everything, with NSEC.
func ParsePlan(zone dnsname.Name, words []string) (*Plan, error) {
	p := &planText{
		Plan:       &Plan{Zone: zone, Valid: defaultValid, Digests: []dnssec.DigestType{dnssec.SHA256}},
		algorithms: []dnssec.Algorithm{dnssec.Ed25519}, keys: []string{"csk1"},
	}
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		if err := p.take(key, value); err != nil {
			return nil, fmt.Errorf("%s: %w", word, err)
		}
	}
	if len(p.keys)*len(p.algorithms) > maxKeys {
		return nil, fmt.Errorf("more than %d keys", maxKeys)
	}
	for _, a := range p.algorithms {
		for _, word := range p.keys {
			spec, err := parseKey(zone, a, word)
			if err != nil {
				return nil, err
			}
			p.Keys = append(p.Keys, spec)
		}
	}
	return p.Plan, nil
}

func (p *planText) take(key, value string) error {
	var known []string
	for _, w := range planWords {
		word, _, _ := strings.Cut(w.usage, "=")
		if word == key {
			return w.take(p, value)
		}
		known = append(known, word)
	}
	return fmt.Errorf("unknown; known are %s", strings.Join(known, ", "))
}

func (p *planText) takeAlgorithm(value string) error {
	p.algorithms = nil
	for text := range strings.SplitSeq(value, ",") {
		n, err := strconv.ParseUint(text, 10, 8)
		if err != nil {
			return err
		}
		p.algorithms = append(p.algorithms, dnssec.Algorithm(n))
	}
	return nil
}

func (p *planText) takeKeys(value string) error {
	p.keys = strings.Split(value, ",")
	return nil
}

func (p *planText) takeTwins(value string) (err error) {
	if p.Twins, err = strconv.Atoi(value); err == nil && (p.Twins < 0 || p.Twins > maxTwins) {
		err = fmt.Errorf("want up to %d", maxTwins)
	}
	return err
}

func (p *planText) takeNSEC3(value string) error {
	count, salt, _ := strings.Cut(value, ":")
	n, err := strconv.ParseUint(count, 10, 16)
	if err != nil {
		return err
	}
	p.chain().Iterations = uint16(n)
	p.chain().Salt, err = hex.DecodeString(salt)
	return err
}

func (p *planText) takeSays(value string) error {
	text, more, _ := strings.Cut(value, ":")
	hash, err := strconv.ParseUint(text, 10, 8)
	if err != nil {
		return err
	}
	flags, err := strconv.ParseUint(cmp.Or(more, "0"), 10, 8)
	p.chain().Hash, p.chain().Flags = uint8(hash), uint8(flags)
	return err
}

func (p *planText) takeOptOut(string) error {
	p.chain().OptOut = true
	return nil
}

func (p *planText) chain() *NSEC3 {
	if p.NSEC3 == nil {
		p.NSEC3 = new(NSEC3)
	}
	return p.NSEC3
}

func (p *planText) takeValid(value string) (err error) {
	p.Valid, err = longDuration(value)
	return err
}

func (p *planText) takeKeyTTL(value string) (err error) {
	p.KeyTTL, err = longDuration(value)
	return err
}

// longDuration reads a duration that may be in days.
func longDuration(value string) (time.Duration, error) {
	unit := time.Duration(1)
	if days, ok := strings.CutSuffix(value, "d"); ok {
		value, unit = days+"h", 24
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 || d > maxValid/unit {
		return 0, fmt.Errorf("want a duration up to %v", maxValid)
	}
	return d * unit, nil
}

func (p *planText) takeDS(value string) error {
	switch value {
	case "none":
		p.Digests = nil
		return nil
	case "wrong":
		p.WrongDS = true
		return nil
	}
	p.Digests = nil
	for text := range strings.SplitSeq(value, ",") {
		n, err := strconv.ParseUint(text, 10, 8)
		if err != nil {
			return err
		}
		p.Digests = append(p.Digests, dnssec.DigestType(n))
	}
	return nil
}

func (p *planText) takeWrong(value string) error {
	word, rest, _ := strings.Cut(value, ":")
	text, typ, _ := strings.Cut(rest, ":")
	var name dnsname.Name
	var err error
	if text != "" && text != "*" {
		if name, err = dnsname.Parse(text); err != nil {
			return err
		}
	}
	t := wire.TypeNone
	if typ != "" {
		if t, err = wire.ParseType(typ); err != nil {
			return err
		}
	}
	b, err := ParseBreak(word, name, t)
	p.Breaks = append(p.Breaks, b)
	return err
}

var errKeyWord = errors.New("want csk, ksk, zsk, standby or hidden, and a number, perhaps -revoked")

// keyKinds are the words for a key's role. What is pointed to by DS records and
// what is not are different keys, whatever their number.
var keyKinds = [...]struct {
	word string
	role Role
	seed byte
}{{"csk", Combined, 0}, {"ksk", KeySigning, 0}, {"zsk", ZoneSigning, 1}, {"standby", Standby, 0}, {"hidden", Hidden, 0}}

// parseKey reads a word such as ksk1.
func parseKey(zone dnsname.Name, a dnssec.Algorithm, word string) (KeySpec, error) {
	text, revoked := strings.CutSuffix(word, "-revoked")
	for _, kind := range keyKinds {
		number, ok := strings.CutPrefix(text, kind.word)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(number, 10, 8)
		if err != nil {
			break
		}
		seed := sha256.Sum256(append([]byte(zone), byte(a), kind.seed, byte(n)))
		return KeySpec{Algorithm: a, Role: kind.role, Revoked: revoked, Seed: seed}, nil
	}
	return KeySpec{}, fmt.Errorf("key %q: %w", word, errKeyWord)
}

// Sign signs a zone as planned.
func (p *Plan) Sign(z *Zone, now time.Time) (*Zone, error) {
	s := Signing{From: now.Add(-signedBefore), Until: now.Add(p.Valid), NSEC3: p.NSEC3, Breaks: p.Breaks}
	for i, spec := range p.Keys {
		k, err := NewKey(p.Zone, spec)
		if err != nil {
			return nil, err
		}
		if p.KeyTTL > 0 {
			k.public.Hdr.Ttl = uint32(p.KeyTTL / time.Second)
		}
		s.Keys = append(s.Keys, k)
		if i == 0 && p.Twins > 0 {
			twins, err := k.Twins(p.Twins)
			if err != nil {
				return nil, err
			}
			s.Keys = append(twins, s.Keys...) // who tries them in order tries them first
		}
	}
	if p.Digest != "" {
		return z.signDigested(s, p.Digest)
	}
	return z.Sign(s)
}

// DS gives the DS records that the zone above is to have.
func (p *Plan) DS() ([]Record, error) {
	return p.pointers(func(k *Key) ([]Record, error) {
		var list []Record
		for _, d := range p.Digests {
			r, err := k.DS(d)
			if err != nil {
				return nil, err
			}
			if p.WrongDS {
				r.Data[len(r.Data)-1] ^= 1
			}
			list = append(list, r)
		}
		return list, nil
	})
}

// DNSKEYs gives the records of the keys that DS records would point to.
func (p *Plan) DNSKEYs() ([]Record, error) {
	return p.pointers(func(k *Key) ([]Record, error) {
		r, err := k.DNSKEY()
		return []Record{r}, err
	})
}

// pointers makes the records about the keys that are entry points and not revoked.
func (p *Plan) pointers(of func(*Key) ([]Record, error)) ([]Record, error) {
	var list []Record
	for _, spec := range p.Keys {
		k, err := NewKey(p.Zone, spec)
		if err != nil {
			return nil, err
		}
		if !k.EntryPoint() || spec.Revoked {
			continue
		}
		records, err := of(k)
		if err != nil {
			return nil, err
		}
		list = append(list, records...)
	}
	return list, nil
}
