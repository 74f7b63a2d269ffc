package conformance

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"lastgood/conformance/proxy"
)

// tools are the programs of others that the tests need.
var tools = []string{"ip", "dig", "kdig", "dnsperf", "nsd", "knotd", "named", "unbound", "kresd"}

// namespace is a network namespace of the test's own, in which all addresses
// are local: nothing that runs in it reaches anything outside. It has no name:
// the kernel removes it with the last process and socket in it, however the
// test ends.
type namespace struct {
	t    *testing.T
	dir  string
	work chan func() // run on the one thread that lives in the namespace
}

// newNamespace makes one, with the given addresses on its loopback interface.
func newNamespace(t *testing.T, addrs ...string) *namespace {
	t.Helper()
	missing := unable(t)
	if os.Geteuid() != 0 {
		missing("SKIPPED: network namespaces need root")
	}
	need(t, tools...)
	n := &namespace{t: t, dir: t.TempDir(), work: make(chan func())}
	if err := n.enter(); err != nil {
		missing("SKIPPED: no network namespaces here: %v", err)
	}
	n.run("ip", "link", "set", "lo", "up")
	for _, a := range addrs {
		if ip := net.ParseIP(a); ip.To4() == nil {
			n.run("ip", "addr", "add", a+"/128", "dev", "lo", "nodad")
		} else {
			n.run("ip", "addr", "add", a+"/32", "dev", "lo")
		}
	}
	return n
}

// unable is what a test does that cannot run here: at a desk it is skipped, but
// in CI nothing may be left out.
func unable(t *testing.T) func(format string, args ...any) {
	if os.Getenv("CI") != "" {
		return t.Fatalf
	}
	return t.Skipf
}

// need sees that programs of others are there.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			unable(t)("SKIPPED: %s is not installed (.ci/run installs it)", p)
		}
	}
}

// enter puts a thread into a new network namespace. Programs started and
// sockets opened by that thread are in it; the thread lasts until all of the
// test's clean-up is done, so that what it started is not killed early.
func (n *namespace) enter() error {
	entered := make(chan error, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		entered <- err
		if err != nil {
			return
		}
		for f := range n.work {
			f()
		}
	}()
	n.t.Cleanup(func() { close(n.work); <-ended })
	return <-entered
}

// inside runs f on the namespace's thread. f must not fail the test.
func (n *namespace) inside(f func()) {
	done := make(chan struct{})
	n.work <- func() { defer close(done); f() }
	<-done
}

// dial opens a socket in the namespace.
func (n *namespace) dial(network, addr string) (conn net.Conn, err error) {
	d := net.Dialer{Timeout: 3 * time.Second}
	n.inside(func() { conn, err = d.Dial(network, addr) })
	return conn, err
}

// command prepares a program that is killed when the test's process ends.
func (n *namespace) command(args ...string) (*exec.Cmd, *log) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = n.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	said := &log{}
	cmd.Stdout, cmd.Stderr = said, said
	return cmd, said
}

func (n *namespace) begin(cmd *exec.Cmd) (err error) {
	n.inside(func() { err = cmd.Start() })
	return err
}

// run runs a program in the namespace to its end and gives what it printed.
func (n *namespace) run(args ...string) string {
	n.t.Helper()
	cmd, said := n.command(args...)
	err := n.begin(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		n.t.Errorf("%s: %v\n%s", strings.Join(args, " "), err, said)
	}
	return said.String()
}

// write puts a file into the namespace's folder and gives its path.
func (n *namespace) write(name, text string) string {
	n.t.Helper()
	path := filepath.Join(n.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		n.t.Fatal(err)
	}
	return path
}

// process is a daemon that runs in the namespace.
type process struct {
	n     *namespace
	name  string
	cmd   *exec.Cmd
	said  *log
	ended chan struct{}
	err   error // of its end; to be read after ended
}

// start runs a daemon until the test ends, or stop is called, and waits until
// it answers the question for the SOA record of zone at addr.
func (n *namespace) start(addr, zone string, args ...string) *process {
	n.t.Helper()
	cmd, said := n.command(args...)
	p := &process{n: n, name: filepath.Base(args[0]), cmd: cmd, said: said, ended: make(chan struct{})}
	if err := n.begin(cmd); err != nil {
		n.t.Fatalf("%s: %v", p.name, err)
	}
	go func() { defer close(p.ended); p.err = cmd.Wait() }()
	n.t.Cleanup(func() {
		p.stop()
		if n.t.Failed() {
			n.t.Logf("%s said:\n%s", p.name, said)
		}
	})
	p.waitReady(addr, zone)
	return p
}

// stop ends the daemon, and waits for its end.
func (p *process) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		p.kill()
		p.n.t.Errorf("%s did not end on SIGTERM", p.name)
	}
}

// kill ends the daemon as a crash would.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.ended
}

// waitReady asks until the daemon answers, for at most 20 s.
func (p *process) waitReady(addr, zone string) {
	p.n.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	q := new(dns.Msg)
	q.SetQuestion(zone, dns.TypeSOA)
	for time.Now().Before(deadline) {
		select {
		case <-p.ended:
			p.n.t.Fatalf("%s ended: %v\n%s", p.name, p.err, p.said)
		default:
		}
		if r, err := p.n.once(addr, q, 200*time.Millisecond); err == nil && r.Rcode == dns.RcodeSuccess {
			return
		}
	}
	p.n.t.Fatalf("%s does not answer at %s\n%s", p.name, addr, p.said)
}

// once asks over TCP on a connection of its own.
func (n *namespace) once(addr string, q *dns.Msg, patience time.Duration) (*dns.Msg, error) {
	conn, err := n.dial("tcp", addr)
	if err != nil {
		<-time.After(10 * time.Millisecond) // refused at once: not a busy loop
		return nil, err
	}
	defer conn.Close()
	c := dns.Conn{Conn: conn}
	c.SetDeadline(time.Now().Add(patience))
	if err := c.WriteMsg(q); err != nil {
		return nil, err
	}
	return c.ReadMsg()
}

// proxy puts a proxy on port 53 of addr, before the daemon at server.
func (n *namespace) proxy(addr, server string, seed uint64) *proxy.Proxy {
	n.t.Helper()
	var udp net.PacketConn
	var tcp net.Listener
	var err error
	n.inside(func() {
		if udp, err = net.ListenPacket("udp", net.JoinHostPort(addr, "53")); err == nil {
			tcp, err = net.Listen("tcp", net.JoinHostPort(addr, "53"))
		}
	})
	if err != nil {
		n.t.Fatal(err)
	}
	p := proxy.New(proxy.Config{UDP: udp, TCP: tcp, Server: server, Dial: n.dial, Seed: seed})
	p.Run()
	n.t.Cleanup(p.Close)
	return p
}

// dig asks the resolver and gives what it printed.
func (n *namespace) dig(args ...string) string {
	n.t.Helper()
	return n.run(append([]string{"dig", "+tries=1", "+timeout=12", "@" + resolverHost, "-p", resolverPort}, args...)...)
}

// build compiles the program under test.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "lastgood")
	if out, err := exec.Command("go", "-C", "..", "build", "-o", path, "./cmd/lastgood").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	return path
}

// log keeps the last 64 KiB that a program printed.
type log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write appends.
func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.buf.Len() > 64<<10 {
		l.buf.Next(l.buf.Len() - 32<<10)
	}
	return l.buf.Write(p)
}

// String gives what is kept.
func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
