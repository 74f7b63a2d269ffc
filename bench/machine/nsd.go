package machine

import (
	"fmt"
	"os"
	"path/filepath"
)

// NSD writes the configuration of an NSD that serves the zone bench. on a port of
// 127.0.0.1, and the zone, into a folder. It gives the program's arguments.
func NSD(dir string, port int, zone string) (args []string, err error) {
	conf := filepath.Join(dir, "nsd.conf")
	for name, text := range map[string]string{
		filepath.Join(dir, "bench.zone"): zone, conf: fmt.Sprintf(nsdServer, fmt.Sprintf("127.0.0.1@%d", port), dir) + fmt.Sprintf(nsdZone, "bench.", "bench.zone"),
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
	text := fmt.Sprintf(nsdServer, addr+"@53", own)
	for name, file := range zones {
		text += fmt.Sprintf(nsdZone, name, file)
	}
	conf := filepath.Join(own, "nsd.conf")
	return []string{"-d", "-c", conf}, os.WriteFile(conf, []byte(text), 0o644)
}

const nsdServer = `server:
  ip-address: %s
  database: ""
  zonesdir: "%s"
  pidfile: "%[2]s/nsd.pid"
  xfrdfile: "%[2]s/xfrd.state"
  zonelistfile: "%[2]s/zone.list"
  logfile: "%[2]s/nsd.log"
  username: ""
  server-count: 1
  rrl-ratelimit: 0
  rrl-whitelist-ratelimit: 0
remote-control:
  control-enable: no
`

const nsdZone = "zone:\n  name: %q\n  zonefile: %q\n"
