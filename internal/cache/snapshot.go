package cache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"lastgood/internal/dnsname"
)

// A snapshot is what a cache holds, as a stream:
//
//	preamble  the magic octets and the version (32 bits)
//	blocks    kind (8 bits), length of the content (24), number of the block (32),
//	          CRC-32C of these and of the content (32), content
//
// Numbers are little endian; moments are Unix nanoseconds. Blocks come in the
// order of their kinds: one header, any number of the others, one end, and
// nothing behind it. Names are an octet of length and the wire form.
//
//	header       moment of saving, number of zones, of each its name and fingerprint
//	memory       opaque, all blocks in one
//	delegations  see (*snapshotWriter).delegation
//	entries      see (*snapshotWriter).entry
//	end          how many delegations and entries there are
//
// Whoever changes any of this, or the payload of a record (codec.go), counts
// the version up.
const (
	snapshotMagic   = "\x89LGcache"
	snapshotVersion = 5
)

const (
	blockHeader = iota + 1
	blockMemory
	blockDelegations
	blockEntries
	blockEnd
)

// Bounds of a snapshot in octets: what a block is filled to, and what one may
// hold where a single item is larger; the memory of others.
const (
	blockHead   = 4 + 4 + 4
	blockUsual  = 64 << 10
	blockMost   = 8 << 20
	recordMost  = 1 << 20 // of an entry; larger ones are left out
	maxMemory   = 16 << 20
	preambleLen = len(snapshotMagic) + 4
)

// ErrForeign says that a file is none of ours and better left alone.
var ErrForeign = errors.New("this is no snapshot of a cache")

// Other reasons to refuse a snapshot.
var (
	errTorn      = errors.New("the snapshot ends too early: it was not written to its end")
	errDamaged   = errors.New("the snapshot is damaged")
	errMalformed = errors.New("the snapshot is malformed")
)

// SnapshotHeader is what a snapshot holds besides what the cache does.
type SnapshotHeader struct {
	// Zones has a fingerprint of what the configuration says of a zone, for
	// each zone that it names. What lies at or below a zone whose fingerprint
	// changed, appeared or vanished is not taken from a snapshot.
	Zones map[dnsname.Name][8]byte
	// Memory is what others want to keep; left out if it is more than 16 MiB.
	Memory []byte
	// Restore is given the memory when a snapshot is read, once and before
	// anything is stored. nil: nobody wants it.
	Restore func(memory []byte, about *LoadReport)
	// Rest is called again and again while a snapshot is written or read, after work of
	// some ten microseconds, and with no lock held: whoever runs on the same processor
	// can be let go first. nil: nobody waits.
	Rest func()
}

// restEvery is after how many entries, written or read, Rest is called.
const restEvery = 32

// rests calls Rest.
type rests struct {
	rest func()
	done int // entries since
}

// dealt tells of entries that were dealt with.
func (r *rests) dealt(n int) {
	if r.done += n; r.done >= restEvery && r.rest != nil {
		r.done = 0
		r.rest()
	}
}

// LoadReport tells what became of a snapshot that was read.
type LoadReport struct {
	Saved     time.Time     // when it was made
	Elapsed   time.Duration // since then; 0 if the clock was set back
	Backwards bool          // the clock was set back: nothing is fresh

	Fresh, Stale int // entries stored
	Delegations  int // stored, lapsed ones too

	Gone    int // not stored, entries and delegations: nothing to be served any more
	Changed int // the configuration says something else of their zones
	Newer   int // something newer was there already
	Refused int // too large for this cache, or not what it would have made

	changed map[dnsname.Name]bool // zones of which the configuration says something else
}

// Applies tells whether the configuration says the same of a zone, and of those
// above it, as when the snapshot was made.
func (r *LoadReport) Applies(zone dnsname.Name) bool {
	for len(r.changed) > 0 {
		if r.changed[zone] {
			return false
		}
		if len(zone) <= 1 {
			break
		}
		zone = zone.Parent()
	}
	return true
}

// Entries is how many entries were stored.
func (r *LoadReport) Entries() int { return r.Fresh + r.Stale }

// crcTable is constant in effect.
var crcTable = crc32.MakeTable(crc32.Castagnoli)

// snapshotWriter fills blocks and writes them. After an error it writes no more.
type snapshotWriter struct {
	w      io.Writer
	buf    []byte // a block with room for its head
	kind   byte
	number uint32
	err    error
}

func newSnapshotWriter(w io.Writer) *snapshotWriter {
	s := &snapshotWriter{w: w, buf: make([]byte, blockHead, blockHead+blockUsual+4<<10)}
	s.write(binary.LittleEndian.AppendUint32([]byte(snapshotMagic), snapshotVersion))
	return s
}

func (s *snapshotWriter) write(b []byte) {
	if s.err == nil {
		_, s.err = s.w.Write(b)
	}
}

// next begins an item of a kind, in a block of its own if the last one is full.
func (s *snapshotWriter) next(kind byte) {
	if kind != s.kind || len(s.buf)-blockHead >= blockUsual {
		s.flush()
		s.kind = kind
	}
}

// flush writes the block, unless it is empty.
func (s *snapshotWriter) flush() {
	n := len(s.buf) - blockHead
	if n == 0 || s.err != nil {
		return
	}
	if n > blockMost {
		s.err = fmt.Errorf("a block of %d octets is too large for a snapshot", n)
		return
	}
	binary.LittleEndian.PutUint32(s.buf, uint32(s.kind)|uint32(n)<<8)
	binary.LittleEndian.PutUint32(s.buf[4:], s.number)
	binary.LittleEndian.PutUint32(s.buf[8:], blockSum(s.buf, s.buf[blockHead:]))
	s.write(s.buf)
	s.number++
	s.buf = s.buf[:blockHead]
}

// blockSum is the checksum of a block.
func blockSum(head, content []byte) uint32 {
	return crc32.Update(crc32.Checksum(head[:8], crcTable), crcTable, content)
}

func (s *snapshotWriter) name(n dnsname.Name) {
	s.buf = append(append(s.buf, byte(len(n))), n...)
}

func (s *snapshotWriter) moment(at int64) {
	s.buf = binary.LittleEndian.AppendUint64(s.buf, uint64(at))
}

func (s *snapshotWriter) uvarint(n uint64) { s.buf = binary.AppendUvarint(s.buf, n) }

// snapshotReader reads blocks and checks that they are whole and in order.
type snapshotReader struct {
	r      io.Reader
	head   [blockHead]byte
	buf    []byte
	kind   byte
	number uint32
}

// preamble reads what a snapshot begins with.
func (s *snapshotReader) preamble() error {
	var b [preambleLen]byte
	n, err := io.ReadFull(s.r, b[:])
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return err
	}
	magic := b[:min(n, len(snapshotMagic))]
	switch version := binary.LittleEndian.Uint32(b[len(snapshotMagic):]); {
	case b == [preambleLen]byte{}: // a power failure may leave nothing but zeros
		return errTorn
	case string(magic) != snapshotMagic[:len(magic)]:
		return ErrForeign
	case n < preambleLen:
		return errTorn
	case version != snapshotVersion:
		return fmt.Errorf("the snapshot has version %d, this program reads version %d", version, snapshotVersion)
	}
	return nil
}

// next reads a block. Its content is overwritten by the one that follows.
func (s *snapshotReader) next() (kind byte, content []byte, err error) {
	if err := s.full(s.head[:]); err != nil {
		return 0, nil, err
	}
	first := binary.LittleEndian.Uint32(s.head[:])
	kind = byte(first)
	n := int(first >> 8)
	ordered := kind >= s.kind && kind <= blockEnd && (kind == blockHeader) == (s.number == 0) &&
		binary.LittleEndian.Uint32(s.head[4:]) == s.number
	if !ordered || n > blockMost {
		return 0, nil, fmt.Errorf("%w: block %d has a bad head", errDamaged, s.number)
	}
	if n > cap(s.buf) {
		s.buf = make([]byte, max(n, blockUsual+4<<10))
	}
	content = s.buf[:n]
	if err := s.full(content); err != nil {
		return 0, nil, err
	}
	if binary.LittleEndian.Uint32(s.head[8:]) != blockSum(s.head[:], content) {
		return 0, nil, fmt.Errorf("%w: the checksum of block %d is wrong", errDamaged, s.number)
	}
	s.kind = kind
	s.number++
	return kind, content, nil
}

func (s *snapshotReader) full(b []byte) error {
	_, err := io.ReadFull(s.r, b)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errTorn
	}
	return err
}

// atEnd checks that nothing follows.
func (s *snapshotReader) atEnd() error {
	switch n, err := io.ReadFull(s.r, s.head[:1]); {
	case n > 0:
		return fmt.Errorf("%w: something follows its end", errDamaged)
	case err != io.EOF:
		return err
	}
	return nil
}
