package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"lastgood/bench/machine"
)

// server is a resolver to be measured.
type server struct {
	name    string
	program string   // its file
	ask     []string // arguments that make it tell its version
	file    string   // name of the configuration
	conf    string   // with RESOLVER, FRONT and DIR in place of ports and folder
	args    []string // likewise
	grace   time.Duration
	version string
}

// The clocks by which servers let an answer expire: lastgood's counts as finely
// as there is, the peers' count whole seconds.
const (
	fineGrace   = 150 * time.Millisecond
	coarseGrace = 1200 * time.Millisecond
)

// All are configured alike: one thread where there is a choice, no validation,
// the zone's server given, loopback allowed, nothing logged of questions; for
// stale answers what their manuals advise.
const lastgoodConf = `listen: ["dns://127.0.0.1:RESOLVER"]
control: {listen: "off"}
cache: {snapshot: "off"}
recursion: {do-not-query: []}
dnssec: {validation: false}
stub: [{zone: "bench.", servers: ["127.0.0.1:FRONT"]}]
log: {level: error}
`

// killedConf is lastgood's for the runs in which it is killed.
const killedConf = `listen: ["dns://127.0.0.1:RESOLVER"]
control: {listen: "off"}
cache: {snapshot: "DIR/cache.snapshot", snapshot-interval: 5s}
recursion: {do-not-query: []}
dnssec: {validation: false}
stub: [{zone: "bench.", servers: ["127.0.0.1:FRONT"]}]
log: {level: error}
`

const unboundConf = `server:
  interface: 127.0.0.1@RESOLVER
  access-control: 127.0.0.0/8 allow
  num-threads: 1
  module-config: "iterator"
  minimal-responses: yes
  do-not-query-localhost: no
  do-daemonize: no
  use-syslog: no
  logfile: ""
  username: ""
  chroot: ""
  pidfile: ""
  verbosity: 0
  serve-expired: yes
  serve-expired-ttl: 86400
  serve-expired-client-timeout: 500
  ede: yes
  ede-serve-expired: yes
remote-control:
  control-enable: no
stub-zone:
  name: "bench."
  stub-addr: 127.0.0.1@FRONT
`

const pdnsConf = `config-dir=DIR
socket-dir=DIR
daemon=no
local-address=127.0.0.1
local-port=RESOLVER
allow-from=127.0.0.0/8
dont-query=
threads=1
dnssec=off
forward-zones=bench=127.0.0.1:FRONT
serve-stale-extensions=1440
extended-resolution-errors=yes
quiet=yes
loglevel=3
`

const knotConf = `net.listen('127.0.0.1', RESOLVER, {kind = 'dns'})
modules.unload('priming')
modules.unload('ta_update')
modules.unload('ta_signal_query')
modules.unload('detect_time_skew')
modules = {'policy', 'serve_stale < cache'}
cache.open(64 * MB, 'lmdb://DIR/cache')
trust_anchors.remove('.')
policy.add(policy.suffix(policy.STUB('127.0.0.1@FRONT'), {todname('bench.')}))
log_level('err')
`

// bindConf has TIMEOUT in place of the client timeout, see bindTimeout.
const bindConf = `options {
  directory "DIR";
  pid-file "DIR/named.pid";
  session-keyfile "DIR/session.key";
  managed-keys-directory "DIR";
  listen-on port RESOLVER { 127.0.0.1; };
  listen-on-v6 { none; };
  allow-query { 127.0.0.0/8; };
  recursion yes;
  dnssec-validation no;
  empty-zones-enable no;
  minimal-responses yes;
  forward only;
  forwarders { 127.0.0.1 port FRONT; };
  stale-cache-enable yes;
  stale-answer-enable yes;
  stale-answer-client-timeout TIMEOUT;
  max-stale-ttl 86400;
};
controls { };
`

func known(lastgood string) []*server {
	return []*server{
		{name: "lastgood", program: lastgood, ask: []string{"version"}, file: "lastgood.yaml", conf: lastgoodConf, grace: fineGrace,
			args: []string{"serve", "--config", "DIR/lastgood.yaml"}},
		{name: "unbound", program: "unbound", ask: []string{"-V"}, file: "unbound.conf", conf: unboundConf, grace: coarseGrace,
			args: []string{"-d", "-c", "DIR/unbound.conf"}},
		{name: "pdns-recursor", program: "pdns_recursor", ask: []string{"--version"}, file: "recursor.conf", conf: pdnsConf, grace: coarseGrace,
			args: []string{"--config-dir=DIR"}},
		{name: "knot-resolver", program: "kresd", ask: []string{"--version"}, file: "kresd.conf", conf: knotConf, grace: coarseGrace,
			args: []string{"-n", "-c", "DIR/kresd.conf", "DIR"}},
		{name: "bind9", program: "named", ask: []string{"-V"}, file: "named.conf", conf: bindConf, grace: coarseGrace,
			args: []string{"-g", "-n", "1", "-c", "DIR/named.conf"}},
	}
}

// find gives the servers that are installed, and the names of those that are not.
func find(ctx context.Context, lastgood string, wanted []string) (found []*server, missing []string, err error) {
	for _, name := range wanted {
		s := byName(known(lastgood), name)
		if s == nil {
			return nil, nil, fmt.Errorf("unknown server %q", name)
		}
		if s.program, err = locate(s.program); err != nil {
			missing = append(missing, name)
			continue
		}
		s.version = firstLine(ctx, s.program, s.ask...)
		if s.name == "bind9" {
			s.conf = strings.ReplaceAll(s.conf, "TIMEOUT", bindTimeout(ctx))
		}
		found = append(found, s)
	}
	return found, missing, nil
}

func byName(list []*server, name string) *server {
	for _, s := range list {
		if s.name == name {
			return s
		}
	}
	return nil
}

// locate finds a program in PATH or where Debian keeps daemons.
func locate(program string) (string, error) {
	if path, err := exec.LookPath(program); err == nil {
		return filepath.Abs(path)
	}
	return exec.LookPath("/usr/sbin/" + program)
}

func firstLine(ctx context.Context, program string, args ...string) string {
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	text, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if err != nil && text == "" {
		return filepath.Base(program) + ", version unknown"
	}
	return text
}

// bindTimeout is the client timeout that BIND can have: since 9.19.22 nothing
// but 0, which gives what is stale first always, and off.
func bindTimeout(ctx context.Context) string {
	checker, err := locate("named-checkconf")
	if err != nil {
		return "off"
	}
	cmd := exec.CommandContext(ctx, checker, "/dev/stdin")
	cmd.Stdin = strings.NewReader("options { stale-answer-client-timeout 500; };\n")
	if out, err := cmd.CombinedOutput(); err != nil || len(bytes.TrimSpace(out)) > 0 {
		return "off"
	}
	return "500"
}

// place puts ports and folder into a text.
func place(text, dir string) string {
	return strings.NewReplacer("RESOLVER", strconv.Itoa(resolverPort), "FRONT", strconv.Itoa(frontPort), "DIR", dir).Replace(text)
}

// configure writes the configuration into a folder.
func (s *server) configure(dir string, killed bool) error {
	conf := s.conf
	if killed {
		conf = killedConf
	}
	return os.WriteFile(filepath.Join(dir, s.file), []byte(place(conf, dir)), 0o644)
}

// run starts the server with the configuration in a folder.
func (s *server) run(dir string) (*process, error) {
	args := []string{s.program}
	for _, a := range s.args {
		args = append(args, place(a, dir))
	}
	return start(resolverCore, filepath.Join(dir, s.name+".log"), args...)
}

// startNSD serves the zone from a file: no generation, one address a name.
func startNSD(dir, program string, names, ttl int) (*process, error) {
	var zone strings.Builder
	fmt.Fprintf(&zone, "$ORIGIN %s\n$TTL %d\n@ SOA ns hostmaster 1 3600 600 604800 %[2]d\n@ NS ns\nns A 127.0.0.1\n", zoneName, ttl)
	for i := range names {
		fmt.Fprintf(&zone, "n%d A 10.%d.0.0\n", i, i)
	}
	args, err := machine.NSD(dir, authorityPort, zone.String())
	if err != nil {
		return nil, err
	}
	return start(loadCore(), filepath.Join(dir, "nsd.log"), append([]string{program}, args...)...)
}
