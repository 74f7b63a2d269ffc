package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// resolver is one that takes part.
type resolver struct {
	name string
	port int
	conf string // what its configuration is called
	text string
	args []string // the program first; CONF and DIR are replaced
	nta  bool     // a negative trust anchor is added twenty minutes in
}

// resolvers are those that take part, each with its configuration.
func (w *world) resolvers(lastgood string) []*resolver {
	ds := strings.Fields(w.anchor) // . IN DS tag algorithm type digest
	own := func(name string, port int, stale, nta bool) *resolver {
		return &resolver{name: name, port: port, nta: nta, conf: fmt.Sprintf("lastgood%d.yaml", port), args: []string{lastgood, "serve", "--config", "CONF"},
			text: fmt.Sprintf(`listen: ["dns://127.0.0.1:%d"]
control: {listen: "127.0.0.1:%d"}
cache: {snapshot: "off"}
stale: {enabled: %v}
recursion: {root-hints: %q, special-names: false, do-not-query: []}
dnssec: {trust-anchors: [%q]}
log: {level: warn}
`, port, port+1000, stale, w.file("hints"), strings.Join(ds, " "))}
	}
	unbound := func(name string, port int, expired string) *resolver {
		return &resolver{name: name, port: port, conf: fmt.Sprintf("unbound%d.conf", port), args: []string{"unbound", "-d", "-c", "CONF"},
			text: fmt.Sprintf(unboundConf, port, w.dir, strings.Join(ds, " "), w.file("hints"), expired)}
	}
	return []*resolver{
		own("lastgood", 5301, true, false), own("lastgood with an NTA", 5302, true, true), own("lastgood without stale answers", 5303, false, false),
		unbound("Unbound serve-expired", 5304, "yes"), unbound("Unbound", 5305, "no"),
		{name: "Knot Resolver serve_stale", port: 5306, conf: "kresd.conf", args: []string{"kresd", "-n", "-c", "CONF", "DIR"},
			text: fmt.Sprintf(knotConf, 5306, w.dir, w.file("hints"), strings.Join(ds, " "))},
	}
}

const unboundConf = `server:
  interface: 127.0.0.1@%d
  directory: %q
  trust-anchor: %q
  root-hints: %q
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  module-config: "validator iterator"
  num-threads: 1
  do-daemonize: no
  use-syslog: no
  username: ""
  chroot: ""
  pidfile: ""
  verbosity: 0
  trust-anchor-signaling: no
  minimal-responses: yes
  qname-minimisation: yes
  val-bogus-ttl: 1
  serve-expired: %s
  serve-expired-ttl: 86400
  serve-expired-client-timeout: 500
  ede: yes
  ede-serve-expired: yes
remote-control:
  control-enable: no
`

const knotConf = `net.listen('127.0.0.1', %d, {kind = 'dns'})
modules.unload('ta_update')
modules.unload('ta_signal_query')
modules.unload('detect_time_skew')
modules.unload('priming')
modules = {'serve_stale < cache', 'hints > iterate'}
cache.open(64 * MB, 'lmdb://%s/knot')
hints.root_file(%q)
trust_anchors.remove('.')
trust_anchors.add(%q)
log_level('err')
`

// start writes the configuration and starts it; it ends with ctx.
func (w *world) start(ctx context.Context, r *resolver) error {
	if err := w.write(r.conf, r.text); err != nil {
		return err
	}
	if _, err := w.daemon(ctx, r.conf+".log", r.args...); err != nil {
		return err
	}
	for range 100 {
		if rcode, err := ask(r.port, "www.d0.tld.", time.Second); err == nil && rcode == 0 {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	log, _ := os.ReadFile(w.file(r.conf + ".log"))
	return fmt.Errorf("%s does not answer: %s", r.name, log)
}

// end ends what daemon started, and waits for it.
func (w *world) end() {
	for _, cmd := range w.daemons {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	}
}

// daemon starts a program that is ended with ctx, and at the latest by end.
func (w *world) daemon(ctx context.Context, log string, args ...string) (*exec.Cmd, error) {
	path, err := exec.LookPath(args[0])
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/" + args[0]); err != nil {
			return nil, fmt.Errorf("%s is not installed: %w", args[0], err)
		}
	}
	said, err := os.Create(w.file(log))
	if err != nil {
		return nil, err
	}
	defer said.Close()
	cmd := exec.CommandContext(ctx, path)
	cmd.Args = nil
	for _, a := range args {
		cmd.Args = append(cmd.Args, strings.NewReplacer("CONF", w.file(strings.TrimSuffix(log, ".log")), "DIR", w.dir).Replace(a))
	}
	cmd.Dir, cmd.Stdout, cmd.Stderr = w.dir, said, said
	cmd.Env = append(os.Environ(), "STATE_DIRECTORY="+w.file(log+".state"))
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	w.daemons = append(w.daemons, cmd)
	return cmd, nil
}
