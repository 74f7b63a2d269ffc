package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"lastgood/bench/machine"
	"lastgood/bench/perquestion"
)

// serverNames are what is measured, the reference first.
var serverNames = []string{"Unbound", "lastgood", "lastgood (xdp)"}

// Addresses on both ends of the cable.
const (
	serverAddr, clientAddr = "192.0.2.1", "192.0.2.2"
	authorityPort          = 5391
)

// namespace is a network namespace that lasts as long as a process that does nothing.
type namespace struct{ holder *exec.Cmd }

func newNamespace() (*namespace, error) {
	n := &namespace{exec.Command("sleep", "infinity")}
	n.holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	return n, n.holder.Start()
}

func (n *namespace) close() {
	n.holder.Process.Kill()
	n.holder.Wait()
}

// command prepares a program that runs in the namespace, on one core.
func (n *namespace) command(ctx context.Context, core string, args ...string) *exec.Cmd {
	inside := []string{"--net=/proc/" + strconv.Itoa(n.holder.Process.Pid) + "/ns/net", "--", "taskset", "-c", core}
	cmd := exec.CommandContext(ctx, "nsenter", append(inside, args...)...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

func (n *namespace) run(ctx context.Context, args ...string) error {
	if out, err := n.command(ctx, perquestion.LoadCore, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// lay lays the cable, with one queue.
func (b *bench) lay(ctx context.Context) (err error) {
	if b.server, err = newNamespace(); err != nil {
		return err
	}
	if b.client, err = newNamespace(); err != nil {
		return err
	}
	peer := strconv.Itoa(b.client.holder.Process.Pid)
	for _, c := range []struct {
		n    *namespace
		args string
	}{
		{b.server, "link add v0 numrxqueues 1 numtxqueues 1 type veth peer name v1 netns " + peer + " numrxqueues 1 numtxqueues 1"},
		{b.server, "addr add " + serverAddr + "/24 dev v0"},
		{b.client, "addr add " + clientAddr + "/24 dev v1"},
		{b.server, "link set lo up"},
		{b.server, "link set v0 up"},
		{b.client, "link set v1 up"},
	} {
		if err := c.n.run(ctx, append([]string{"ip"}, strings.Fields(c.args)...)...); err != nil {
			return err
		}
	}
	return nil
}

// process is a server that runs in the server's namespace.
type process struct{ cmd *exec.Cmd }

func (p process) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	done := make(chan struct{})
	go func() { p.cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(15 * time.Second):
		p.cmd.Process.Kill()
		<-done
	}
}

func (b *bench) launch(ctx context.Context, core string, args ...string) (process, error) {
	cmd := b.server.command(ctx, core, args...)
	cmd.Stderr = os.Stderr
	return process{cmd}, cmd.Start()
}

// authority starts the NSD that has the names, beside the server, on the load's core.
func (b *bench) authority(ctx context.Context) (process, error) {
	zone := "$TTL 86400\n@ SOA ns.bench. hostmaster.bench. 1 3600 600 604800 300\n@ NS ns\nns A 127.0.0.1\n* A 192.0.2.1\n"
	args, err := machine.NSD(b.dir, authorityPort, zone)
	if err != nil {
		return process{}, err
	}
	return b.launch(ctx, perquestion.LoadCore, append([]string{"nsd"}, args...)...)
}

// server is a resolver to be measured.
type server struct {
	name string
	args []string
	file string
	conf string
}

func (b *bench) servers() []server {
	unbound, plain, xdp := filepath.Join(b.dir, "unbound.conf"), filepath.Join(b.dir, "plain.yaml"), filepath.Join(b.dir, "xdp.yaml")
	return []server{
		{serverNames[0], []string{"unbound", "-d", "-c", unbound}, unbound, unboundConf},
		{serverNames[1], []string{b.binary, "serve", "--config", plain}, plain, `listen: ["dns://` + serverAddr + "\"]\n" + lastgoodConf},
		{serverNames[2], []string{b.binary, "serve", "--config", xdp}, xdp, `listen: ["xdp://v0", "dns://` + serverAddr + "\"]\n" + lastgoodConf},
	}
}

// All of them have one thread, iterate only, answer minimally, and have caches
// larger than the data.
const unboundConf = `server:
  interface: ` + serverAddr + `
  access-control: 192.0.2.0/24 allow
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
  verbosity: 0
remote-control:
  control-enable: no
stub-zone:
  name: "bench."
  stub-addr: 127.0.0.1@5391
`

const lastgoodConf = `control: {listen: "off"}
clients: {allow: ["192.0.2.0/24"]}
cache: {size: 384MiB, snapshot: "off"}
recursion: {do-not-query: []}
dnssec: {validation: false}
limits: {clients-waiting: 20000, outstanding-per-client: 20000}
stub: [{zone: "bench.", servers: ["127.0.0.1:5391"]}]
log: {level: error}
`

// answers waits until the server gives the right answer.
func (b *bench) answers(ctx context.Context) error {
	var out []byte
	for range 50 {
		out, _ = b.client.command(ctx, perquestion.LoadCore, "dig", "@"+serverAddr, "+short", "+tries=1", "+timeout=1", "check.bench.").Output()
		if strings.TrimSpace(string(out)) == "192.0.2.1" {
			return nil
		}
		if err := machine.Wait(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("wrong answer before the run: %q", out)
}
