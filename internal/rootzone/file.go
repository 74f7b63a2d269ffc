package rootzone

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
	"lastgood/internal/wire"
)

// The form in which a zone is kept on disk:
//
//	magic, version (2 octets), confirmed (8, seconds since 1970), serial (4),
//	records (4), length of the nodes (4), nodes as in Data, SHA-256 of all before
//
// The sum finds what the disk did to it. Who may write the file may make any sum:
// what was decoded is verified like what came by the network.
const (
	magic    = "lastgood root zone\n"
	version  = 1
	fileHead = len(magic) + 2 + 8 + 4 + 4 + 4
)

// MaxFile is the most that Encode gives, in octets.
const MaxFile = MaxSize + fileHead + sha256.Size

var (
	errFile    = errors.New("not a stored root zone")
	errDamaged = errors.New("the stored root zone is damaged")
)

// Encode gives the form for the disk, with the time when a source last confirmed
// that the zone is current.
func (d *Data) Encode(confirmed time.Time) []byte {
	out := make([]byte, 0, fileHead+len(d.nodes)+sha256.Size)
	out = binary.BigEndian.AppendUint16(append(out, magic...), version)
	out = binary.BigEndian.AppendUint64(out, uint64(max(0, confirmed.Unix())))
	out = binary.BigEndian.AppendUint32(out, d.soa.serial)
	out = binary.BigEndian.AppendUint32(out, uint32(d.records))
	out = binary.BigEndian.AppendUint32(out, uint32(len(d.nodes)))
	out = append(out, d.nodes...)
	sum := sha256.Sum256(out)
	return append(out, sum[:]...)
}

// Decode reads what Encode gave. It copies.
func Decode(file []byte) (d *Data, confirmed time.Time, err error) {
	if len(file) < fileHead+sha256.Size || len(file) > MaxFile || string(file[:len(magic)]) != magic {
		return nil, time.Time{}, errFile
	}
	head := file[len(magic):]
	if v := binary.BigEndian.Uint16(head); v != version {
		return nil, time.Time{}, fmt.Errorf("%w: its version is %d, not %d", errFile, v, version)
	}
	body := file[:len(file)-sha256.Size]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:], file[len(body):]) {
		return nil, time.Time{}, fmt.Errorf("%w: wrong checksum", errDamaged)
	}
	seconds, nodes := binary.BigEndian.Uint64(head[2:]), body[fileHead:]
	if seconds > math.MaxUint32<<8 || uint64(len(nodes)) != uint64(binary.BigEndian.Uint32(head[18:])) {
		return nil, time.Time{}, errDamaged
	}
	if d, err = decodeNodes(nodes); err != nil {
		return nil, time.Time{}, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if d.soa.serial != binary.BigEndian.Uint32(head[10:]) || uint32(d.records) != binary.BigEndian.Uint32(head[14:]) {
		return nil, time.Time{}, errDamaged
	}
	return d, time.Unix(int64(seconds), 0).UTC(), nil
}

var errForm = errors.New("not in canonical form")

// decodeNodes makes a zone of nodes as of any records, so that it is as sound as
// one; as there is one form only, it must then be what was read.
func decodeNodes(nodes []byte) (*Data, error) {
	l := loader{origin: dnsname.Root}
	for rest := nodes; len(rest) > 0; {
		n := dnsname.WireLen(rest)
		if n == 0 || n == len(rest) {
			return nil, errForm
		}
		name, err := dnsname.FromWire(rest[:n])
		if err != nil {
			return nil, err
		}
		count := int(rest[n])
		rest = rest[n+1:]
		for range count {
			if rest, err = l.addSet(name, rest); err != nil {
				return nil, err
			}
		}
	}
	d, err := l.build()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(d.nodes, nodes) {
		return nil, errForm
	}
	return d, nil
}

// addSet reads one set and gives what is behind it.
func (l *loader) addSet(name dnsname.Name, b []byte) (rest []byte, err error) {
	if len(b) < setHead {
		return nil, errForm
	}
	data, sigs := uint64(binary.BigEndian.Uint32(b[6:])), uint64(binary.BigEndian.Uint32(b[10:]))
	if data+sigs > uint64(len(b)-setHead) {
		return nil, errForm
	}
	r := Record{Name: name, Type: wire.Type(binary.BigEndian.Uint16(b)), TTL: binary.BigEndian.Uint32(b[2:])}
	if r.Type == wire.TypeRRSIG && data > 0 {
		return nil, errForm // signatures are kept with what they cover
	}
	b = b[setHead:]
	for _, part := range [...]rrset.Packed{b[:data], b[data : data+sigs]} {
		for r.Data = range part.All() {
			if err := l.add(r); err != nil {
				return nil, err
			}
		}
		r.Type = wire.TypeRRSIG
	}
	return b[data+sigs:], nil
}
