package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lastgood/bench/machine"
	"lastgood/bench/perquestion"
)

// Where the authorities are: one for the root and bench., one for what is below,
// so that there are referrals to follow.
const (
	upperAt = "127.0.1.1"
	lowerAt = "127.0.1.2"
)

// names is how many each zone has: n0, n1, n2.
const names = 3

// world is the signed tree on disk: the root, bench., and zones z0.bench. and on.
type world struct {
	anchor string            // the root's DS record
	upper  map[string]string // files by zone
	lower  map[string]string
}

// makeWorld signs it, every zone with keys of its own, and broken.bench. wrongly.
func makeWorld(dir string, zones int) (*world, error) {
	now := time.Now()
	w := &world{upper: map[string]string{}, lower: map[string]string{}}
	root, err := newZone(".", "ns0.bench.")
	if err != nil {
		return nil, err
	}
	bench, err := newZone("bench.", "ns0.bench.")
	if err != nil {
		return nil, err
	}
	root.delegate(bench, "ns0.bench.")
	bench.addA("ns0.bench.", upperAt)
	bench.addA("ns.bench.", lowerAt)
	for i := range zones + 2 {
		name := fmt.Sprintf("z%d.bench.", i)
		switch i {
		case zones:
			name = "check.bench."
		case zones + 1:
			name = "broken.bench."
		}
		z, err := newZone(name, "ns.bench.")
		if err != nil {
			return nil, err
		}
		for n := range names {
			z.addA(fmt.Sprintf("n%d.%s", n, name), "192.0.2.1")
		}
		bench.delegate(z, "ns.bench.")
		if name == "broken.bench." {
			if z.signing, err = newKey(name, 256); err != nil { // not the one that it shows
				return nil, err
			}
		}
		if w.lower[name], err = write(dir, z, now); err != nil {
			return nil, err
		}
	}
	w.anchor = fmt.Sprintf(". IN DS %d %d 2 %x", root.entry.tag, algorithm, root.entry.digest())
	if w.upper["bench."], err = write(dir, bench, now); err != nil {
		return nil, err
	}
	w.upper["."], err = write(dir, root, now)
	return w, err
}

func write(dir string, z *zone, now time.Time) (string, error) {
	text, err := z.file(now)
	if err != nil {
		return "", err
	}
	if z.name == "." { // its server's address, which is not the root's to sign
		text += fmt.Sprintf("ns0.bench. %d IN A %s\n", ttl, upperAt)
	}
	path := filepath.Join(dir, strings.Trim(z.name, ".")+".zone")
	return path, os.WriteFile(path, []byte(text), 0o644)
}

// serve starts the authorities on the second core.
func (w *world) serve(ctx context.Context, dir string) (stop func(), err error) {
	var running []*machine.Process
	stop = func() {
		for _, p := range running {
			p.Stop()
		}
	}
	for addr, zones := range map[string]map[string]string{upperAt: w.upper, lowerAt: w.lower} {
		args, err := machine.NSDAt(dir, addr, zones)
		if err != nil {
			return stop, err
		}
		p, err := machine.Start(ctx, perquestion.LoadCore, append([]string{"nsd"}, args...), addr+":53")
		if err != nil {
			return stop, err
		}
		running = append(running, p)
	}
	return stop, nil
}
