package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"lastgood/bench/machine"
	"lastgood/bench/perquestion"
)

// Ports of the run, all on loopback.
const (
	resolverPort  = 5390
	authorityPort = 5391
)

var resolverAt = net.JoinHostPort("127.0.0.1", strconv.Itoa(resolverPort))

// server is a resolver to be measured.
type server struct {
	name string
	args []string
}

func servers(dir, binary string) []server {
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		text = fmt.Sprintf(text, resolverPort, authorityPort)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			panic(err)
		}
		return path
	}
	return []server{
		{"unbound", []string{"unbound", "-d", "-c", write("unbound.conf", unboundConf)}},
		{"lastgood", []string{binary, "serve", "--config", write("lastgood.yaml", lastgoodConf)}},
	}
}

// The peers are configured alike: one thread, iterator only, minimal
// responses, cache large enough for all names, no logging of queries.
const unboundConf = `server:
  interface: 127.0.0.1@%d
  num-threads: 1
  so-reuseport: no
  module-config: "iterator"
  minimal-responses: yes
  rrset-cache-size: 256m
  msg-cache-size: 128m
  do-not-query-localhost: no
  do-daemonize: no
  use-syslog: no
  username: ""
  chroot: ""
  pidfile: ""
  use-caps-for-id: yes
  outgoing-range: 4096
  num-queries-per-thread: 4096
  verbosity: 0
remote-control:
  control-enable: no
stub-zone:
  name: "bench."
  stub-addr: 127.0.0.1@%d
  stub-no-cache: no
`

const lastgoodConf = `listen: ["dns://127.0.0.1:%d"]
control: {listen: "off"}
cache: {size: 384MiB, snapshot: "off"}
recursion: {do-not-query: []}
dnssec: {validation: false}
limits: {clients-waiting: 20000, outstanding-per-client: 20000}
stub: [{zone: "bench.", servers: ["127.0.0.1:%d"]}]
log: {level: error}
`

// correct checks one answer before anything is counted.
func correct(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "dig", "@127.0.0.1", "-p", strconv.Itoa(resolverPort), "+short", "+tries=1", "check.bench.").Output()
	if err != nil || strings.TrimSpace(string(out)) != "192.0.2.1" {
		return fmt.Errorf("wrong answer before the run: %q, %v", out, err)
	}
	return nil
}

// startNSD serves the zone bench., where every name exists.
func startNSD(ctx context.Context, dir string) (*machine.Process, error) {
	zone := "$TTL 86400\n@ SOA ns.bench. hostmaster.bench. 1 3600 600 604800 300\n@ NS ns\nns A 127.0.0.1\n* A 192.0.2.1\n"
	args, err := machine.NSD(dir, authorityPort, zone)
	if err != nil {
		return nil, err
	}
	return machine.Start(ctx, perquestion.LoadCore, append([]string{"nsd"}, args...), fmt.Sprintf("127.0.0.1:%d", authorityPort))
}
