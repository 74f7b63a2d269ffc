package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const resolverAt = "127.0.0.1:5390"

// server is a resolver to be measured.
type server struct {
	name string
	args []string
}

// servers configures them alike: one thread, validation with the world's root as
// anchor, minimal responses, caches larger than the data.
func servers(dir, binary string, w *world, validate bool) ([]server, error) {
	hints := filepath.Join(dir, "hints")
	module, anchor := "validator iterator", "  trust-anchor: \""+strings.Replace(w.anchor, " IN ", " ", 1)+"\"\n"
	if !validate {
		module, anchor = "iterator", ""
	}
	for path, text := range map[string]string{
		hints:                               ". 86400 NS ns0.bench.\nns0.bench. 86400 A " + upperAt + "\n",
		filepath.Join(dir, "unbound.conf"):  fmt.Sprintf(unboundConf, module, hints) + anchor,
		filepath.Join(dir, "lastgood.yaml"): fmt.Sprintf(lastgoodConf, resolverAt, hints, validate, w.anchor),
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	return []server{
		{"unbound", []string{"unbound", "-d", "-c", filepath.Join(dir, "unbound.conf")}},
		{"lastgood", []string{binary, "serve", "--config", filepath.Join(dir, "lastgood.yaml")}},
	}, nil
}

const unboundConf = `remote-control:
  control-enable: no
server:
  interface: 127.0.0.1@5390
  num-threads: 1
  so-reuseport: no
  module-config: "%s"
  root-hints: %q
  minimal-responses: yes
  rrset-cache-size: 256m
  msg-cache-size: 128m
  key-cache-size: 64m
  do-not-query-localhost: no
  do-daemonize: no
  use-syslog: no
  username: ""
  chroot: ""
  pidfile: ""
  use-caps-for-id: yes
  outgoing-range: 4096
  num-queries-per-thread: 4096
  trust-anchor-signaling: no
  ede: yes
  verbosity: 0
`

const lastgoodConf = `listen: ["dns://%s"]
control: {listen: "off"}
cache: {size: 384MiB, snapshot: "off"}
recursion: {root-hints: %q, do-not-query: [], special-names: false}
limits: {clients-waiting: 20000, outstanding-per-client: 20000, outstanding-per-zone: 20000}
dnssec: {validation: %t, trust-anchors: [%q]}
log: {level: error}
`

// correct checks that it validates, before anything is counted.
func correct(ctx context.Context, validate bool) error {
	ask := func(name string) string {
		out, err := exec.CommandContext(ctx, "dig", "@127.0.0.1", "-p", "5390", "+adflag", "+tries=1", name, "A").Output()
		if err != nil {
			return err.Error()
		}
		return string(out)
	}
	good := ask("n0.check.bench.")
	if !strings.Contains(good, "192.0.2.1") || strings.Contains(good, " ad;") != validate {
		return fmt.Errorf("wrong answer before the run:\n%s", good)
	}
	if bad := ask("n0.broken.bench."); strings.Contains(bad, "SERVFAIL") != validate {
		return fmt.Errorf("a wrong signature was not told:\n%s", bad)
	}
	return nil
}
