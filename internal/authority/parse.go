package authority

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"regexp"
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
		rec, err := fromRR(rr)
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
		rec, err := fromRR(rr)
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
)

// fromRR makes a record of the library's.
func fromRR(rr dns.RR) (Record, error) {
	h := rr.Header()
	rec := Record{Type: wire.Type(h.Rrtype), TTL: h.Ttl}
	if h.Class != dns.ClassINET {
		return rec, errClass
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
