package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// server is a resolver to be measured.
type server struct {
	name string
	args []string
}

// lastgood is ours, with a cache of a size and what the configuration says of its
// snapshot.
func lastgood(dir, binary string, mib int, snapshot string) server {
	text := fmt.Sprintf("listen: [\"dns://127.0.0.1:%d\"]\ncontrol: {listen: \"127.0.0.1:%d\"}\ncache: {size: %dMiB, snapshot: %s}\nrecursion: {do-not-query: []}\ndnssec: {validation: false}\n"+
		"stub: [{zone: \"bench.\", servers: [\"127.0.0.1:%d\"]}]\nlog: {level: error}\n", resolverPort, controlPort, mib, snapshot, authorityPort)
	return server{"lastgood", []string{binary, "serve", "--config", write(dir, "lastgood.yaml", text)}}
}

func write(dir, name, text string) string {
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		panic(err)
	}
	return path
}

// servers are configured alike: one thread, a cache larger than the data, the
// names below a stub zone.
func servers(dir, binary string, names int) []server {
	mib := max(64, names*1500>>20)
	list := []server{lastgood(dir, binary, mib, `"off"`)}
	if unbound, err := exec.LookPath("/usr/sbin/unbound"); err == nil {
		theirs := fmt.Sprintf("server:\n  interface: 127.0.0.1@%d\n  num-threads: 1\n  module-config: \"iterator\"\n  minimal-responses: yes\n"+
			"  rrset-cache-size: %dm\n  msg-cache-size: %dm\n  do-not-query-localhost: no\n  do-daemonize: no\n  use-syslog: no\n  username: \"\"\n  chroot: \"\"\n"+
			"  pidfile: \"\"\n  verbosity: 0\nremote-control:\n  control-enable: no\nstub-zone:\n  name: \"bench.\"\n  stub-addr: 127.0.0.1@%d\n",
			resolverPort, mib, mib, authorityPort)
		list = append(list, server{"unbound", []string{unbound, "-d", "-c", write(dir, "unbound.conf", theirs)}})
	}
	return list
}

// process is a running server.
type process struct {
	cmd *exec.Cmd
}

func (s server) start() (*process, error) {
	cmd := exec.Command(s.args[0], s.args[1:]...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // whose end would send the death signal
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd}
	for range 100 {
		if conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", resolverPort), time.Second); err == nil {
			conn.Close()
			return p, nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	p.stop()
	return nil, fmt.Errorf("%s does not listen", s.name)
}

func (p *process) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(15*time.Second, func() { p.cmd.Process.Kill() })
	defer timer.Stop()
	p.cmd.Wait()
}

// state is what a server holds.
type state struct{ rss, used, entries float64 }

// rest lets the server come to rest and reads its state.
func (p *process) rest(ctx context.Context) (state, error) {
	select {
	case <-ctx.Done():
		return state{}, ctx.Err()
	case <-time.After(settle):
	}
	var s state
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	if err != nil {
		return s, err
	}
	pages, err := strconv.ParseFloat(strings.Fields(string(data))[1], 64)
	if err != nil {
		return s, err
	}
	s.rss = pages * float64(os.Getpagesize())
	resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", controlPort))
	if err != nil {
		return s, nil // no lastgood
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err != nil {
		return s, err
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		v, err := strconv.ParseFloat(value, 64)
		switch {
		case err != nil:
		case name == "lastgood_cache_used_bytes":
			s.used = v
		case name == "lastgood_cache_entries":
			s.entries = v
		}
	}
	return s, nil
}
