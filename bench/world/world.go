// Package world has what the benchmarks' resolvers resolve: a root, a zone bench.
// beneath it, and many zones beneath that, signed and not, served by NSDs, so that
// there are referrals to follow.
package world

import (
	"context"
	"fmt"
	"iter"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lastgood/bench/machine"
)

// Where the authorities are: one for the root and bench., one for what is below, one
// for brief.bench. alone.
const (
	upperAt = "127.0.5.1"
	lowerAt = "127.0.5.2"
	briefAt = "127.0.5.3"
)

// PerZone is how many names each of the signed zones has: n0, n1, n2.
const PerZone = 3

// BriefTTL is the TTL of the names of brief.bench., in seconds.
const BriefTTL = 1

// Size says how much there is.
type Size struct {
	Plain  int // names n0.plain.bench. and on, in a zone that is not signed
	Chains int // names x0.plain.bench. and on, each an alias of y…, that of z…, that of n…
	Fresh  int // names f0.plain.bench. and on
	Signed int // names n0.signed.bench. and on, in one signed zone
	Brief  int // names n0.brief.bench. and on, with a TTL of BriefTTL, at a server of their own; 0: no such zone
	Zones  int // signed zones z0.bench. and on, each with keys of its own and PerZone names
}

// World is the tree on disk.
type World struct {
	Anchor string // the root's DS record, in presentation form
	Hints  string // the file of root hints

	dir          string
	size         Size
	upper, lower map[string]string // files by zone
	brief        map[string]string
	running      []*machine.Process
	ofBrief      *machine.Process
}

// Address is what the name with a number has: every name of a kind another.
func Address(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
}

// wildcard is what Wildcard gives.
var wildcard = netip.AddrFrom4([4]byte{192, 0, 2, 1})

// Wildcard is the address that every other name below plain.bench. has.
func Wildcard() netip.Addr { return wildcard }

// Names are prefix0.zone and on, as many as are wanted, from one of them on.
func Names(prefix, zone string, first, count int) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := first; i < first+count; i++ {
			if !yield(fmt.Sprintf("%s%d.%s", prefix, i, zone)) {
				return
			}
		}
	}
}

// Make signs the world and writes it to a folder. The zone broken.bench. has wrong
// signatures, so that one can see who validates.
func Make(dir string, size Size) (*World, error) {
	w := &World{dir: dir, size: size, upper: map[string]string{}, lower: map[string]string{}, brief: map[string]string{}, Hints: filepath.Join(dir, "hints")}
	now := time.Now()
	root, err := newZone(".", "ns0.bench.")
	if err != nil {
		return nil, err
	}
	bench, err := newZone("bench.", "ns0.bench.")
	if err != nil {
		return nil, err
	}
	root.delegate(bench, "ns0.bench.")
	bench.addA("ns0.bench.", netip.MustParseAddr(upperAt))
	bench.addA("ns.bench.", netip.MustParseAddr(lowerAt))
	if err := w.signedZones(bench, now); err != nil {
		return nil, err
	}
	bench.delegateUnsigned("plain.bench.", "ns.bench.")
	if size.Brief > 0 {
		bench.delegateUnsigned("brief.bench.", "ns2.bench.")
		bench.addA("ns2.bench.", netip.MustParseAddr(briefAt))
	}
	if err := w.plain(); err != nil {
		return nil, err
	}
	w.Anchor = fmt.Sprintf(". IN DS %d %d 2 %x", root.entry.tag, algorithm, root.entry.digest())
	if w.upper["bench."], err = w.write(bench, now); err != nil {
		return nil, err
	}
	if w.upper["."], err = w.write(root, now); err != nil {
		return nil, err
	}
	return w, os.WriteFile(w.Hints, []byte(". 86400 NS ns0.bench.\nns0.bench. 86400 A "+upperAt+"\n"), 0o644)
}

// signedZones makes what is signed below bench.
func (w *World) signedZones(bench *zone, now time.Time) error {
	add := func(name string, names int) error {
		z, err := newZone(name, "ns.bench.")
		if err != nil {
			return err
		}
		for n := range names {
			z.addA(fmt.Sprintf("n%d.%s", n, name), Address(n))
		}
		bench.delegate(z, "ns.bench.")
		if name == "broken.bench." {
			if z.signing, err = newKey(name, 256); err != nil { // not the one that it shows
				return err
			}
		}
		w.lower[name], err = w.write(z, now)
		return err
	}
	for i := range w.size.Zones {
		if err := add(fmt.Sprintf("z%d.bench.", i), PerZone); err != nil {
			return err
		}
	}
	for name, names := range map[string]int{"check.bench.": PerZone, "broken.bench.": PerZone, "signed.bench.": w.size.Signed} {
		if err := add(name, names); err != nil {
			return err
		}
	}
	return nil
}

// plain writes the zones that are not signed.
func (w *World) plain() error {
	var b strings.Builder
	fmt.Fprintf(&b, "$ORIGIN plain.bench.\n$TTL %d\n@ SOA ns.bench. nobody.bench. 1 3600 600 604800 300\n@ NS ns.bench.\n* A %s\n", ttl, wildcard)
	for i := range w.size.Plain {
		fmt.Fprintf(&b, "n%d A %s\n", i, Address(i))
	}
	for i := range w.size.Fresh {
		fmt.Fprintf(&b, "f%d A %s\n", i, Address(i))
	}
	for i := range w.size.Chains {
		fmt.Fprintf(&b, "x%d CNAME y%[1]d\ny%[1]d CNAME z%[1]d\nz%[1]d CNAME n%[1]d\n", i)
	}
	w.lower["plain.bench."] = filepath.Join(w.dir, "plain.bench.zone")
	if err := os.WriteFile(w.lower["plain.bench."], []byte(b.String()), 0o644); err != nil || w.size.Brief == 0 {
		return err
	}
	b.Reset()
	fmt.Fprintf(&b, "$ORIGIN brief.bench.\n$TTL %d\n@ SOA ns2.bench. nobody.bench. 1 3600 600 604800 300\n@ %d NS ns2.bench.\n* A %s\n", BriefTTL, ttl, wildcard)
	for i := range w.size.Brief {
		fmt.Fprintf(&b, "n%d A %s\n", i, Address(i))
	}
	w.brief["brief.bench."] = filepath.Join(w.dir, "brief.bench.zone")
	return os.WriteFile(w.brief["brief.bench."], []byte(b.String()), 0o644)
}

func (w *World) write(z *zone, now time.Time) (string, error) {
	text, err := z.file(now)
	if err != nil {
		return "", err
	}
	if z.name == "." { // its server's address, which is not the root's to sign
		text += fmt.Sprintf("ns0.bench. %d IN A %s\n", ttl, upperAt)
	}
	path := filepath.Join(w.dir, strings.Trim(z.name, ".")+".zone")
	return path, os.WriteFile(path, []byte(text), 0o644)
}

// Serve starts the authorities on a core. Stop ends them, after an error too.
func (w *World) Serve(ctx context.Context, core string) error {
	for addr, zones := range map[string]map[string]string{upperAt: w.upper, lowerAt: w.lower, briefAt: w.brief} {
		if len(zones) == 0 {
			continue
		}
		args, err := machine.NSDAt(w.dir, addr, zones)
		if err != nil {
			return err
		}
		p, err := machine.Start(ctx, core, append([]string{"nsd"}, args...), addr+":53")
		if err != nil {
			return err
		}
		w.running = append(w.running, p)
		if addr == briefAt {
			w.ofBrief = p
		}
	}
	return nil
}

// Silence makes the server of brief.bench. silent, until Speak.
func (w *World) Silence() error { return w.ofBrief.Pause() }

// Speak lets it go on.
func (w *World) Speak() error { return w.ofBrief.Resume() }

// Stop ends the authorities.
func (w *World) Stop() {
	for _, p := range w.running {
		p.Stop()
	}
	w.running = nil
}

// Queries is how many questions the authorities of all but brief.bench. have been asked
// so far, both together.
func (w *World) Queries(ctx context.Context) (sum int, err error) {
	for _, addr := range []string{upperAt, lowerAt} {
		n, err := machine.NSDQueries(ctx, filepath.Join(w.dir, addr))
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}
