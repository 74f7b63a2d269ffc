package authority

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// maxRecords bounds a zone file.
const maxRecords = 1 << 20

// ParseZone reads a zone file (RFC 1035 §5). The origin stands for @ and for
// relative names; TTLs may come from $TTL; $INCLUDE is refused, $GENERATE is
// not. Errors begin with file:line.
func ParseZone(origin, file string, r io.Reader) (*Zone, error) {
	name, err := dnsname.Parse(origin)
	if err != nil {
		return nil, fmt.Errorf("%s: origin %q: %w", file, origin, err)
	}
	lines := &lineCounter{r: bufio.NewReader(r)}
	zp := dns.NewZoneParser(lines, name.String(), "")
	zp.SetDefaultTTL(3600)
	var records []Record
	for rr, ok := zp.Next(); ok; rr, ok = zp.Next() {
		rec, err := lines.record(rr)
		rec.at = fmt.Sprintf("%s:%d", file, lines.current())
		if err != nil {
			return nil, rec.errorf("%w", err)
		}
		if len(records) == maxRecords {
			return nil, rec.errorf("more than %d records", maxRecords)
		}
		records = append(records, rec)
	}
	if err := zp.Err(); err != nil {
		return nil, located(file, lines.current(), err)
	}
	z, err := NewZone(name, records)
	if errors.Is(err, errNoSOA) {
		return nil, fmt.Errorf("%s:1: %w", file, err)
	}
	return z, err
}

// ParseRecords reads records in presentation form, one a line, as they stand
// in a zone file of the given origin.
func ParseRecords(origin dnsname.Name, text string) ([]Record, error) {
	lines := &lineCounter{r: bufio.NewReader(strings.NewReader(text))}
	zp := dns.NewZoneParser(lines, origin.String(), "")
	zp.SetDefaultTTL(3600)
	var records []Record
	for rr, ok := zp.Next(); ok; rr, ok = zp.Next() {
		rec, err := lines.record(rr)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", lines.current(), err)
		}
		records = append(records, rec)
	}
	if err := zp.Err(); err != nil {
		return nil, located("record", lines.current(), err)
	}
	return records, nil
}

var (
	errClass = errors.New("class is not IN")
	errOwner = errors.New("no owner name")
	errMeta  = errors.New("not a type of data")
)

// fromRR makes a record of the library's.
func fromRR(rr dns.RR) (Record, error) {
	h := rr.Header()
	rec := Record{Type: wire.Type(h.Rrtype), TTL: h.Ttl}
	if h.Class != dns.ClassINET {
		return rec, errClass
	}
	if rec.Type.IsMeta() {
		return rec, fmt.Errorf("%s: %w", rec.Type, errMeta)
	}
	if h.Name == "" { // the line begins with a blank, and there is none before it
		return rec, errOwner
	}
	buf := make([]byte, dns.Len(rr)+dnsname.MaxLen) // a $GENERATE line is 65,536 records
	end, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		return rec, fmt.Errorf("%s %s: %w", h.Name, rec.Type, err)
	}
	owner := dnsname.WireLen(buf[:end])
	if rec.Name, err = dnsname.FromWire(buf[:owner]); err != nil {
		return rec, fmt.Errorf("%s: %w", h.Name, err)
	}
	rec.Data = append([]byte(nil), buf[owner+10:end]...)
	// The library takes a type and nothing behind it for a record without data.
	if err := wire.CheckRdata(rec.Type, rec.Data); err != nil {
		return rec, fmt.Errorf("%s %s: %w", h.Name, rec.Type, err)
	}
	return rec, nil
}

// toRR is fromRR's inverse.
func (r Record) toRR() (dns.RR, error) {
	b := append([]byte(r.Name), byte(r.Type>>8), byte(r.Type), 0, 1,
		byte(r.TTL>>24), byte(r.TTL>>16), byte(r.TTL>>8), byte(r.TTL), byte(len(r.Data)>>8), byte(len(r.Data)))
	rr, _, err := dns.UnpackRR(append(b, r.Data...), 0)
	return rr, err
}

// String is the record in presentation form.
func (r Record) String() string {
	return rrset.Line(r.Name, r.TTL, r.Type, r.Data)
}

// lineCounter lets the parser read octet by octet, so that what was read when
// it hands out a record ends on that record's line.
type lineCounter struct {
	r       *bufio.Reader
	lines   int
	midLine bool

	text   []byte // of the present record, as far as it may be one in generic form
	handed bool   // the next octet belongs to another record
}

// record makes a record of one that the parser just handed out. Of two types the
// library keeps text as it was written, and data in generic form (RFC 3597 §5)
// too, where a backslash is an octet like any other: that is read here.
func (c *lineCounter) record(rr dns.RR) (Record, error) {
	c.handed = true
	rec, err := fromRR(rr)
	if t := rr.Header().Rrtype; err != nil || t != dns.TypeCAA && t != dns.TypeURI {
		return rec, err
	}
	if data, ok := genericData(string(c.text)); ok {
		rec.Data = data
	}
	return rec, wire.CheckRdata(rec.Type, rec.Data)
}

// maxGeneric bounds the text of a record that is looked at for generic data.
const maxGeneric = 4 << 10

var comment = regexp.MustCompile(`;[^\n]*`)

// genericData reads the data of a record in generic form; false when it is not.
func genericData(text string) ([]byte, bool) {
	words := strings.FieldsFunc(comment.ReplaceAllString(text, ""), func(r rune) bool { return strings.ContainsRune(" \t\r\n()", r) })
	at := slices.Index(words, `\#`)
	if at < 0 || at+1 == len(words) {
		return nil, false
	}
	data, err := hex.DecodeString(strings.Join(words[at+2:], ""))
	return data, err == nil && strconv.Itoa(len(data)) == words[at+1]
}

func (c *lineCounter) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	b, err := c.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = b
	return 1, nil
}

func (c *lineCounter) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		if c.handed {
			c.text, c.handed = c.text[:0], false
		}
		if len(c.text) < maxGeneric {
			c.text = append(c.text, b)
		}
		if c.midLine = b != '\n'; !c.midLine {
			c.lines++
		}
	}
	return b, err
}

func (c *lineCounter) current() int {
	if c.midLine {
		return c.lines + 1
	}
	return max(1, c.lines)
}

var position = regexp.MustCompile(` at line: (\d+):\d+$`)

// located puts the position, which the library tells last, first.
func located(file string, line int, err error) error {
	text := strings.TrimPrefix(err.Error(), "dns: ")
	if m := position.FindStringSubmatch(text); m != nil {
		return fmt.Errorf("%s:%s: %s", file, m[1], strings.TrimSuffix(text, m[0]))
	}
	return fmt.Errorf("%s:%d: %s", file, line, text)
}
