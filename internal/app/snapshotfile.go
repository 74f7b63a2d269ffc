package app

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/config"
	"lastgood/internal/dnsname"
)

// SnapshotPath is the file that the configuration wants the cache to be kept
// in, "" for none. With auto it lies in the directory that a service manager
// gives (STATE_DIRECTORY), else in the user's (XDG_STATE_HOME, ~/.local/state),
// and has a name made of the addresses to listen on: two resolvers beside each
// other have two files. One whose port the system chooses has none.
func SnapshotPath(c *config.Config, getenv func(string) string) (string, error) {
	switch c.Cache.Snapshot {
	case "off":
		return "", nil
	case "auto":
	default:
		return c.Cache.Snapshot, nil
	}
	mark := instance(c)
	if mark == "" {
		return "", nil
	}
	dir, err := stateDirectory(getenv)
	if err != nil {
		return "", fmt.Errorf("there is no directory for the cache's snapshot, since %w", err)
	}
	return filepath.Join(dir, "cache-"+mark+".snapshot"), nil
}

// StatePath is the directory for what a resolver has to know again after a restart
// besides its cache, beside the file of SnapshotPath with auto; "" where there is
// none.
func StatePath(c *config.Config, getenv func(string) string) string {
	mark := instance(c)
	dir, err := stateDirectory(getenv)
	if mark == "" || err != nil {
		return ""
	}
	return filepath.Join(dir, "state-"+mark)
}

// instance tells the resolvers of a machine apart by the addresses that they listen
// on; "" when the system chooses the port.
func instance(c *config.Config) string {
	var addresses []string
	for _, e := range c.Listen {
		if e.Addr.Port() == 0 {
			return ""
		}
		addresses = append(addresses, e.String())
	}
	slices.Sort(addresses)
	sum := sha256.Sum256([]byte(strings.Join(addresses, " ")))
	return fmt.Sprintf("%x", sum[:4])
}

func stateDirectory(getenv func(string) string) (string, error) {
	if dir, _, _ := strings.Cut(getenv("STATE_DIRECTORY"), ":"); filepath.IsAbs(dir) {
		return dir, nil
	}
	if dir := getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "lastgood"), nil
	}
	if home := getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "state", "lastgood"), nil
	}
	return "", errors.New("none of STATE_DIRECTORY, XDG_STATE_HOME and HOME is set")
}

// statements are what a configuration says of zones that decides what their
// data is, as far as it does not change while the program runs.
type statements struct {
	of  map[dnsname.Name][]string
	nta []config.NegativeTrustAnchor
	// added lists the zones of the negative trust anchors that an operator added and
	// that count at a time; nil: there are none.
	added func(at time.Time) []dnsname.Name
}

// statementsOf collects them. hints are the root's servers as the configuration
// has them; they count where it names a file of its own, for then the root may
// be another one.
func statementsOf(c *config.Config, hints []cache.NameServer) statements {
	s := statements{of: map[dnsname.Name][]string{}, nta: c.DNSSEC.NegativeTrustAnchors}
	for _, f := range c.Forward {
		s.say(f.Zone, "forward", endpoints(f.To), content(f.TLSCA), f.Fallback, f.Cache)
	}
	for _, z := range c.Stub {
		s.say(z.Zone, "stub", endpoints(z.Servers), z.Fallback, z.Cache)
	}
	for _, zone := range c.DNSSEC.Insecure {
		s.say(zone, "insecure")
	}
	for _, text := range c.DNSSEC.TrustAnchors {
		zone, anchor := trustAnchor(text)
		s.say(zone, "anchor", anchor)
	}
	if c.DNSSEC.Validation {
		s.say(dnsname.Root, "validation")
	}
	if file := c.Recursion.RootHints; file != "" {
		for _, ns := range hints {
			s.say(dnsname.Root, "hint", file, ns.Name.String(), ns.Addrs)
		}
	}
	return s
}

func (s *statements) say(zone dnsname.Name, what ...any) {
	s.of[zone] = append(s.of[zone], fmt.Sprintln(what...))
}

// endpoints writes servers so that their order does not matter.
func endpoints(list []config.Endpoint) []string {
	texts := make([]string, len(list))
	for i, e := range list {
		texts[i] = e.String()
	}
	slices.Sort(texts)
	return texts
}

// content is what a file that the configuration names holds; its path where it
// cannot be read. It is what counts: the same path may hold something else now.
func content(path string) string {
	if path == "" {
		return ""
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return path
	}
	return string(text)
}

// trustAnchor gives the zone of a trust anchor and its text. Of a file that
// means the content, and it may speak of all zones.
func trustAnchor(text string) (dnsname.Name, string) {
	fields := strings.Fields(text)
	if len(fields) > 1 {
		if zone, err := dnsname.Parse(fields[0]); err == nil {
			return zone, strings.Join(fields, " ")
		}
	}
	return dnsname.Root, content(text)
}

// fingerprints are those of each zone that is spoken of at a time. A negative
// trust anchor whose time is over says nothing.
func (s *statements) fingerprints(at time.Time) map[dnsname.Name][8]byte {
	said := make(map[dnsname.Name][]string, len(s.of)+len(s.nta))
	for zone, list := range s.of {
		said[zone] = slices.Clone(list)
	}
	negative := map[dnsname.Name]bool{}
	for _, n := range s.nta {
		negative[n.Zone] = negative[n.Zone] || n.Until.After(at)
	}
	if s.added != nil {
		for _, zone := range s.added(at) {
			negative[zone] = true
		}
	}
	for zone, counts := range negative {
		if counts {
			said[zone] = append(said[zone], "negative anchor\n")
		}
	}
	prints := make(map[dnsname.Name][8]byte, len(said))
	for zone, list := range said {
		slices.Sort(list)
		sum := sha256.Sum256([]byte(strings.Join(list, "")))
		prints[zone] = [8]byte(sum[:8])
	}
	return prints
}
