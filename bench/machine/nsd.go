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
		filepath.Join(dir, "bench.zone"): zone, conf: fmt.Sprintf(nsdConf, port, dir),
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	return []string{"-d", "-c", conf}, nil
}

const nsdConf = `server:
  ip-address: 127.0.0.1@%d
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
zone:
  name: "bench."
  zonefile: "bench.zone"
`
