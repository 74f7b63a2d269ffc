package cache

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"runtime"
	"testing"
	"time"

	"lastgood/internal/dnsname"
	"lastgood/internal/stale"
	"lastgood/internal/wire"
)

// forged makes a snapshot of a block of a kind, behind a header.
func forged(kind byte, content []byte) []byte {
	b := binary.LittleEndian.AppendUint32([]byte(snapshotMagic), snapshotVersion)
	header := append(binary.LittleEndian.AppendUint64(nil, uint64(noon.UnixNano())), 0)
	for _, v := range []struct {
		kind    byte
		content []byte
	}{{blockHeader, header}, {kind, content}} {
		if kind == blockHeader && len(v.content) == len(header) {
			continue
		}
		b = binary.LittleEndian.AppendUint32(b, uint32(v.kind)|uint32(len(v.content))<<8)
		b = append(append(b, make([]byte, 8)...), v.content...)
	}
	return resum(b)
}

// However a file of a mebibyte is made, reading it takes no more than a few times
// as much memory.
func TestSnapshotThatWantsMemory(t *testing.T) {
	const size = 1 << 20
	moments := binary.LittleEndian.AppendUint64(make([]byte, 4), uint64(noon.UnixNano()-int64(time.Minute)))
	moments = binary.LittleEndian.AppendUint64(moments, uint64(time.Hour))
	cut := append([]byte("\x09\x07example\x00\x00"), moments...)
	many := func(head []byte, item string) []byte {
		b := binary.AppendUvarint(bytes.Clone(head), 1<<40)
		return append(b, bytes.Repeat([]byte(item), (size-len(b))/len(item))...)
	}
	var zones []byte
	for n := 0; len(zones) < size-32; n++ {
		zones = append(append(zones, fmt.Sprintf("\x0a\x08%08x\x00", n)...), make([]byte, 8)...)
	}
	for what, b := range map[string][]byte{
		"servers":     forged(blockDelegations, many(cut, "\x00\x00")),
		"addresses":   forged(blockDelegations, many(append(binary.AppendUvarint(bytes.Clone(cut), 1), 0), "\x04\xc0\x00\x02\x01")),
		"delegations": forged(blockDelegations, bytes.Repeat(append(bytes.Clone(cut), 0), size/(len(cut)+1))),
		"entries":     forged(blockEntries, make([]byte, size)),
		"zones":       forged(blockHeader, append(binary.AppendUvarint(binary.LittleEndian.AppendUint64(nil, 1), 1<<40), zones...)),
		"memory":      forged(blockMemory, make([]byte, size)),
		"nothing":     forged(blockEntries, nil)[:40],
	} {
		c := New(Options{Size: 1 << 20, Stale: rules(time.Hour)})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := c.ReadSnapshot(bytes.NewReader(b), at(0), noon, SnapshotHeader{Restore: func([]byte, *LoadReport) {}})
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 16*size {
			t.Errorf("%s: %d octets allocated for %d (%v)", what, used, len(b), err)
		}
		if err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

// A delegation with a name that is none is left out.
func TestSnapshotWithOddServers(t *testing.T) {
	for _, odd := range []string{"", "\x03ns", "\x41x\x00", "\x02NS\x00", "\xc0\x0c"} {
		c := New(Options{Size: 1 << 20})
		d := delegation(name("example."), 3600)
		d.Servers[1].Name = dnsname.Name(odd)
		c.PutDelegation(at(0), d)
		c.PutDelegation(at(0), delegation(name("other."), 3600))
		report := load(t, New(Options{Size: 1 << 20}), save(t, c, at(0), noon, SnapshotHeader{}), at(0), noon, SnapshotHeader{})
		if report.Refused != 1 || report.Delegations != 1 {
			t.Errorf("%q: %+v", odd, report)
		}
	}
}

// Whatever the rules said when something was saved, the present ones say whether
// it is served: of names, of denials and of delegations.
func TestSnapshotMeetsOtherRules(t *testing.T) {
	generous := stale.Policy{Enabled: true, Max: 24 * time.Hour, Negative: 24 * time.Hour}
	c := New(Options{Size: 1 << 20, Stale: stale.NewRules(generous, nil, nil), MaxNegativeTTL: 24 * time.Hour})
	www, none := name("www.example."), name("none.example.")
	c.Put(at(0), address(www, 3600))
	c.Put(at(0), denial0(none, 3600))
	c.PutDelegation(at(0), delegation(name("example."), 3600))
	b := save(t, c, at(0), noon, SnapshotHeader{})
	changed := func(change func(*stale.Policy)) stale.Policy {
		p := generous
		change(&p)
		return p
	}
	for what, v := range map[string]struct {
		p                stale.Policy
		zones            map[dnsname.Name]stale.Policy
		never            []dnsname.Name
		www, none, taken bool // half an hour after they expired
	}{
		"as before":             {p: generous, www: true, none: true, taken: true},
		"switched off":          {p: changed(func(p *stale.Policy) { p.Enabled = false })},
		"positive-only":         {p: changed(func(p *stale.Policy) { p.PositiveOnly = true }), www: true, taken: true},
		"negative limit":        {p: changed(func(p *stale.Policy) { p.Negative = 20 * time.Minute }), www: true, taken: true},
		"max-stale":             {p: changed(func(p *stale.Policy) { p.Max = 20 * time.Minute }), none: true},
		"never for the zone":    {p: generous, never: []dnsname.Name{name("example.")}},
		"never for one name":    {p: generous, never: []dnsname.Name{www}, none: true, taken: true},
		"a limit of the zone's": {p: generous, zones: map[dnsname.Name]stale.Policy{name("example."): {Enabled: true, Max: time.Minute, Negative: time.Minute}}},
	} {
		d := New(Options{Size: 1 << 20, Stale: stale.NewRules(v.p, v.zones, v.never), MaxNegativeTTL: 24 * time.Hour})
		load(t, d, b, at(0), noon.Add(90*time.Minute), SnapshotHeader{})
		_, gotWWW := look(d, at(0), www, wire.TypeA)
		_, gotNone := look(d, at(0), none, wire.TypeA)
		_, taken := d.Delegation(at(0), name("example."))
		if gotWWW != v.www || gotNone != v.none || taken != v.taken {
			t.Errorf("%s: answer %v, denial %v, delegation %v; want %v, %v, %v", what, gotWWW, gotNone, taken, v.www, v.none, v.taken)
		}
	}
}
