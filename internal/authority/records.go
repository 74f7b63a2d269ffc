package authority

import (
	"bufio"
	"fmt"
	"io"
	"iter"

	"github.com/miekg/dns"

	"lastgood/internal/dnsname"
)

// ReadRecords reads a zone file record by record, as [ParseZone] does, without
// keeping them: bounds are whoever takes them's to set. After an error, which begins
// with file:line, nothing follows. At says where the latest record ends.
func ReadRecords(origin dnsname.Name, file string, r io.Reader) (records iter.Seq2[Record, error], at func() string) {
	lines := &lineCounter{r: bufio.NewReader(r)}
	zp := dns.NewZoneParser(lines, origin.String(), "")
	zp.SetDefaultTTL(3600)
	at = func() string { return fmt.Sprintf("%s:%d", file, lines.current()) }
	return func(yield func(Record, error) bool) {
		for rr, ok := zp.Next(); ok; rr, ok = zp.Next() {
			rec, err := lines.record(rr)
			if err != nil {
				yield(rec, fmt.Errorf("%s: %w", at(), err))
				return
			}
			if !yield(rec, nil) {
				return
			}
		}
		if err := zp.Err(); err != nil {
			yield(Record{}, located(file, lines.current(), err))
		}
	}, at
}
