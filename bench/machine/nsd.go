package machine

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// NSD writes the configuration of an NSD that serves the zone bench. on a port of
// 127.0.0.1, and the zone, into a folder. It gives the program's arguments.
func NSD(dir string, port int, zone string) (args []string, err error) {
	conf := filepath.Join(dir, "nsd.conf")
	for name, text := range map[string]string{
		filepath.Join(dir, "bench.zone"): zone,
		conf:                             NSDConf(dir, []string{fmt.Sprintf("127.0.0.1@%d", port)}, map[string]string{"bench.": "bench.zone"}),
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	return []string{"-d", "-c", conf}, nil
}

// NSDAt writes the configuration of an NSD that serves zones, whose files are given
// by name, on port 53 of an address of loopback. It gives the program's arguments.
func NSDAt(dir, addr string, zones map[string]string) (args []string, err error) {
	own := filepath.Join(dir, addr)
	if err := os.Mkdir(own, 0o755); err != nil {
		return nil, err
	}
	conf := filepath.Join(own, "nsd.conf")
	return []string{"-d", "-c", conf}, os.WriteFile(conf, []byte(NSDConf(own, []string{addr + "@53"}, zones)), 0o644)
}

// NSDConf is the configuration of an NSD with a folder of its own that serves zones,
// whose files are given by name, at addresses of the form address@port.
func NSDConf(dir string, addrs []string, zones map[string]string) string {
	var b strings.Builder
	b.WriteString("server:\n")
	for _, a := range addrs {
		fmt.Fprintf(&b, "  ip-address: %s\n", a)
	}
	fmt.Fprintf(&b, nsdServer, dir)
	for _, name := range slices.Sorted(maps.Keys(zones)) {
		fmt.Fprintf(&b, "zone:\n  name: %q\n  zonefile: %q\n", name, zones[name])
	}
	return b.String()
}

const nsdServer = `  database: ""
  zonesdir: "%s"
  pidfile: "%[1]s/nsd.pid"
  xfrdfile: "%[1]s/xfrd.state"
  zonelistfile: "%[1]s/zone.list"
  logfile: "%[1]s/nsd.log"
  username: ""
  server-count: 1
  rrl-ratelimit: 0
  rrl-whitelist-ratelimit: 0
remote-control:
  control-enable: yes
  control-interface: "%[1]s/control"
`

// NSDQueries is how many questions an NSD has been asked so far; dir is the folder
// that its configuration is in.
func NSDQueries(ctx context.Context, dir string) (int, error) {
	control, err := Locate("nsd-control")
	if err != nil {
		return 0, err
	}
	out, err := exec.CommandContext(ctx, control, "-c", filepath.Join(dir, "nsd.conf"), "stats_noreset").CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("nsd-control: %w\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if n, ok := strings.CutPrefix(strings.TrimSpace(line), "num.queries="); ok {
			return strconv.Atoi(n)
		}
	}
	return 0, fmt.Errorf("nsd-control tells no number of queries:\n%s", out)
}
