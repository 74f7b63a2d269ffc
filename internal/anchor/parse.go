package anchor

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
)

const (
	recordRemedy = `write a record such as ". IN DS 20326 8 2 E06D…"`
	bigRemedy    = "keep the trust anchors alone"
)

// everything is a policy that knows all that can be verified.
var everything = dnssec.Policy{SHA1: true}

// Parse reads trust anchors: DS and DNSKEY records in presentation form, one or
// many, with comments and parentheses as in a master file, or IANA's form in XML
// (RFC 9718) as it counts at a moment. TTLs and classes may be left out, and the
// owner where it is the one before; names are full with or without the last dot.
// What comes back has one anchor a zone. Errors begin with file and line.
//
// Records of algorithms or digests that are not known here are left out, but a
// zone that has no others is an error.
func Parse(file, text string, wall time.Time) ([]*Anchor, error) {
	text = strings.TrimPrefix(text, "\ufeff")
	switch {
	case len(text) > mostText:
		return nil, &mistake{file, 0, fmt.Sprintf("more than %d octets", mostText), bigRemedy}
	case strings.HasPrefix(strings.TrimLeft(text, " \t\r\n"), "<"):
		a, err := parseXML(file, text, wall)
		if err != nil {
			return nil, err
		}
		return []*Anchor{a}, nil
	}
	p := &parser{scanner: scanner{file: file, rest: text}, zones: map[dnsname.Name]*Anchor{}}
	for {
		e, err := p.next()
		if err == nil && e != nil {
			err = p.record(e)
		}
		if err != nil {
			return nil, err
		}
		if e == nil {
			return p.end()
		}
	}
}

// parser gathers the records of a text by zone.
type parser struct {
	scanner
	owner   dnsname.Name // of the record before
	records int
	zones   map[dnsname.Name]*Anchor
	order   []*Anchor
	lines   []int // where each anchor begins
}

// end leaves out what is of no use.
func (p *parser) end() ([]*Anchor, error) {
	if len(p.order) == 0 {
		return nil, &mistake{p.file, 0, "no trust anchor", recordRemedy}
	}
	for i, a := range p.order {
		if !a.Usable(&everything) {
			return nil, &mistake{p.file, p.lines[i], "no algorithm or digest of the anchor of " + a.Zone.String() + " is known here",
				"write one of its other keys, with a digest of type 2"}
		}
		p.order[i] = a.known()
	}
	return p.order, nil
}

// known is the anchor without what cannot be verified.
func (a *Anchor) known() *Anchor {
	out := &Anchor{Zone: a.Zone}
	for _, d := range a.DS {
		if everything.Algorithm(d.Algorithm) && everything.Digest(d.Type) {
			out.DS = append(out.DS, d)
		}
	}
	for _, k := range a.Keys {
		if k.Usable() {
			out.Keys = append(out.Keys, k)
		}
	}
	return out
}

// record reads one record.
func (p *parser) record(e *entry) error {
	bad := func(format string, args ...any) error {
		return &mistake{p.file, e.line, fmt.Sprintf(format, args...), recordRemedy}
	}
	if p.records++; p.records > mostRecords {
		return &mistake{p.file, e.line, fmt.Sprintf("more than %d records", mostRecords), bigRemedy}
	}
	fields := e.fields
	if strings.EqualFold(fields[0], "$TTL") {
		return nil // anchors have no TTL
	}
	// A blank at the start means the owner before, unless somebody indented.
	if p.owner == "" || e.owner || !beginsData(fields[0]) {
		owner, err := dnsname.Parse(fields[0])
		switch {
		case strings.HasPrefix(fields[0], "$") || fields[0] == "@":
			return bad("%s is not read here: names are written in full", quote(fields[0]))
		case err != nil:
			return bad("%s is no name (%v)", quote(fields[0]), err)
		}
		p.owner, fields = owner, fields[1:]
	}
	for n := 0; n < 2 && len(fields) > 0 && (strings.EqualFold(fields[0], "IN") || isTTL(fields[0])); n++ {
		fields = fields[1:]
	}
	if len(fields) < 5 {
		return bad("no complete DS or DNSKEY record")
	}
	return p.data(e, fields, bad)
}

// data reads what stands behind the class.
func (p *parser) data(e *entry, fields []string, bad func(string, ...any) error) error {
	rest := strings.Join(fields[4:], "")
	switch strings.ToUpper(fields[0]) {
	case "DS":
		tag, ok := number(fields[1], 16)
		algorithm, known := algorithmNumber(fields[2])
		kind, sound := number(fields[3], 8)
		digest, err := hex.DecodeString(rest)
		if !ok || !known || !sound || err != nil {
			return bad("no DS record: key tag, algorithm, digest type, hexadecimal digest")
		}
		rdata := append([]byte{byte(tag >> 8), byte(tag), algorithm, byte(kind)}, digest...)
		d, err := dnssec.ReadDS(rdata)
		if err != nil {
			return bad("%d octets are no digest of type %d", len(digest), kind)
		}
		p.anchor(e).addDS(d)
	case "DNSKEY":
		flags, ok := number(fields[1], 16)
		protocol, sound := number(fields[2], 8)
		algorithm, known := algorithmNumber(fields[3])
		public, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(rest, "="))
		if !ok || !sound || !known || err != nil {
			return bad("no DNSKEY record: flags, protocol, algorithm, key in base64")
		}
		k, err := readKey(uint16(flags), byte(protocol), algorithm, public)
		if err != nil {
			return bad("%v", err)
		}
		p.anchor(e).addKey(k)
	default:
		return bad("%s is neither a DS nor a DNSKEY record", quote(fields[0]))
	}
	return nil
}

// anchor is the one of the present owner.
func (p *parser) anchor(e *entry) *Anchor {
	a := p.zones[p.owner]
	if a == nil {
		a = &Anchor{Zone: p.owner}
		p.zones[p.owner] = a
		p.order, p.lines = append(p.order, a), append(p.lines, e.line)
	}
	return a
}

// readKey makes a key that may be trusted of its fields.
func readKey(flags uint16, protocol, algorithm byte, public []byte) (*dnssec.Key, error) {
	rdata := binary.BigEndian.AppendUint16(nil, flags)
	k, err := dnssec.ReadKey(append(append(rdata, protocol, algorithm), public...))
	switch {
	case err != nil:
		return nil, err
	case !k.IsZone():
		return nil, fmt.Errorf("flags %d: no key of a zone (RFC 4034 §2.1.1)", flags)
	case k.IsRevoked():
		return nil, fmt.Errorf("flags %d: the key is revoked (RFC 5011 §2.1)", flags)
	case !k.Usable() && everything.Algorithm(k.Algorithm):
		return nil, fmt.Errorf("key %d is none of the algorithm %s", k.Tag, k.Algorithm)
	}
	return k, nil
}

func number(field string, bits int) (uint64, bool) {
	n, err := strconv.ParseUint(field, 10, bits)
	return n, err == nil
}

// others are algorithms with a mnemonic that nothing is verified of (RFC 4034
// appendix A.1, RFC 5933, RFC 8080).
var others = map[string]byte{"RSAMD5": 1, "DH": 2, "DSA": 3, "DSA-NSEC3-SHA1": 6, "ECC-GOST": 12, "ED448": 16, "PRIVATEDNS": 253, "PRIVATEOID": 254}

// algorithmNumber takes a number or a mnemonic such as RSASHA256.
func algorithmNumber(field string) (byte, bool) {
	if n, ok := number(field, 8); ok {
		return byte(n), true
	}
	name := strings.ToUpper(field)
	if n, ok := others[name]; ok {
		return n, true
	}
	for a := dnssec.RSASHA1; a <= dnssec.Ed25519; a++ {
		if a.String() == name {
			return byte(a), true
		}
	}
	return 0, false
}

// beginsData tells whether a field may stand behind an owner.
func beginsData(field string) bool {
	return strings.EqualFold(field, "IN") || strings.EqualFold(field, "DS") || strings.EqualFold(field, "DNSKEY") || isTTL(field)
}

// isTTL takes 3600, and 1h30m as some write it.
func isTTL(field string) bool {
	return field[0] >= '0' && field[0] <= '9' && strings.Trim(strings.ToLower(field), "0123456789smhdw") == ""
}

// quote shows a piece of the text, shortened.
func quote(s string) string { return strconv.Quote(short(s)) }

func short(s string) string {
	const most = 64
	if len(s) > most {
		s = s[:most] + "…"
	}
	return s
}
