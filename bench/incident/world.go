package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"lastgood/bench/machine"
)

// The world: the root, a top-level domain and its zones, in an NSD.
const (
	rootAddr = "192.0.2.1"
	tldAddr  = "192.0.2.2"
	hosters  = 4 // 192.0.2.3 and on
	zones    = 2000
	signed   = 10 // one zone of so many
)

// ttls are those of names, a quarter each, in seconds of the real evening.
var ttls = [...]int{60, 300, 3600, 86400}

// world is a folder with the zones, signed.
type world struct {
	dir    string
	pace   int    // how many seconds of the evening pass in one
	anchor string // the root's DS record

	daemons []*exec.Cmd
}

func (w *world) file(name string) string { return filepath.Join(w.dir, name) }

func (w *world) write(name, text string) error {
	return os.WriteFile(w.file(name), []byte(text), 0o644)
}

// ttl is one of the evening's in seconds of now.
func (w *world) ttl(seconds int) int { return max(seconds/w.pace, 1) }

func hoster(n int) string { return fmt.Sprintf("192.0.2.%d", 3+n%hosters) }

// build writes and signs all zones. The files of the top-level domain are
// tld.zone, tld.good and tld.bad.
func (w *world) build(ctx context.Context) error {
	day := w.ttl(86400)
	var tld strings.Builder
	fmt.Fprintf(&tld, "$TTL %d\n@ SOA ns admin 1 7200 900 1209600 %d\n@ NS ns\nns A %s\n", day, w.ttl(7200), tldAddr)
	for n := range zones {
		fmt.Fprintf(&tld, "d%d NS ns.d%[1]d\nns.d%[1]d A %s\n", n, hoster(n))
		zone := fmt.Sprintf("d%d.tld", n)
		text := fmt.Sprintf("$TTL %d\n@ SOA ns admin 1 7200 900 1209600 %d\n@ NS ns\nns A %s\nwww %d A 203.0.113.80\n* %d A 203.0.113.81\n",
			day, w.ttl(300), hoster(n), w.ttl(ttls[n/hosters%len(ttls)]), w.ttl(300))
		if err := w.write(zone+".zone", text); err != nil {
			return err
		}
		if n%signed != 0 {
			continue
		}
		ds, err := w.sign(ctx, zone)
		if err != nil {
			return err
		}
		tld.WriteString(ds)
	}
	if err := w.write("tld.zone", tld.String()); err != nil {
		return err
	}
	ds, err := w.sign(ctx, "tld", "-3", "-", "-A")
	if err != nil {
		return err
	}
	root := fmt.Sprintf("$TTL %d\n@ SOA a.root-servers. admin. 1 7200 900 1209600 %d\n@ NS a.root-servers.\na.root-servers. A %s\ntld. NS ns.tld.\nns.tld. A %s\n%s",
		day, w.ttl(7200), rootAddr, tldAddr, ds)
	if err := w.write("..zone", root); err != nil {
		return err
	}
	if w.anchor, err = w.sign(ctx, "."); err != nil {
		return err
	}
	if err := w.write("hints", ". 86400 NS a.root-servers.\na.root-servers. 86400 A "+rootAddr+"\n"); err != nil {
		return err
	}
	return w.spoil()
}

// sign signs a zone with BIND's tools and gives its DS record.
func (w *world) sign(ctx context.Context, zone string, more ...string) (ds string, err error) {
	ksk, err := w.run(ctx, "dnssec-keygen", "-q", "-a", "ED25519", "-f", "KSK", "-K", w.dir, zone)
	if err != nil {
		return "", err
	}
	if _, err := w.run(ctx, "dnssec-keygen", "-q", "-a", "ED25519", "-K", w.dir, zone); err != nil {
		return "", err
	}
	args := append([]string{"-q", "-S", "-x", "-O", "full", "-K", w.dir, "-d", w.dir, "-f", w.file(zone + ".good"), "-o", zone}, more...)
	if _, err := w.run(ctx, "dnssec-signzone", append(args, w.file(zone+".zone"))...); err != nil {
		return "", err
	}
	return w.run(ctx, "dnssec-dsfromkey", "-2", filepath.Join(w.dir, strings.TrimSpace(ksk)))
}

func (w *world) run(ctx context.Context, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = w.dir
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s (Debian: bind9-utils)", program, strings.Join(args, " "), err, said.String())
	}
	return string(out), nil
}

// rrsig takes a signature's record apart: before the key tag, the tag, the rest.
var rrsig = regexp.MustCompile(`(?m)^(\S+\s+\d+\s+IN\s+RRSIG\s+(\S+)\s+(?:\S+\s+){5})(\d+)(\s.*)$`)

// spoil writes the top-level domain's zone as it is while it is broken: all but the
// keys' own set is signed by a key that the zone does not publish.
func (w *world) spoil() error {
	text, err := os.ReadFile(w.file("tld.good"))
	if err != nil {
		return err
	}
	n := 0
	bad := rrsig.ReplaceAllFunc(text, func(line []byte) []byte {
		m := rrsig.FindSubmatch(line)
		if string(m[2]) == "DNSKEY" {
			return line
		}
		n++
		return fmt.Appendf(nil, "%s33834%s", m[1], m[4])
	})
	if n < zones/signed {
		return fmt.Errorf("%d signatures of the top-level domain found, too few", n)
	}
	return os.WriteFile(w.file("tld.bad"), bad, 0o644)
}

// publish makes the top-level domain's zone the good or the bad one.
func (w *world) publish(kind string) error {
	text, err := os.ReadFile(w.file("tld." + kind))
	if err != nil {
		return err
	}
	return os.WriteFile(w.file("tld.served"), text, 0o644)
}

// nsd writes the configuration of the server of all zones.
func (w *world) nsd() (conf string, err error) {
	var addrs []string
	for n := range 2 + hosters {
		addrs = append(addrs, fmt.Sprintf("192.0.2.%d@53", 1+n))
	}
	files := map[string]string{".": "..good", "tld.": "tld.served"}
	for n := range zones {
		kind := "zone"
		if n%signed == 0 {
			kind = "good"
		}
		files[fmt.Sprintf("d%d.tld.", n)] = fmt.Sprintf("d%d.tld.%s", n, kind)
	}
	return w.file("nsd.conf"), w.write("nsd.conf", machine.NSDConf(w.dir, addrs, files))
}
