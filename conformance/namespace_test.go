package conformance

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// namespace is a network namespace of the test's own, in which all addresses
// are local: nothing that runs in it reaches anything outside.
type namespace struct {
	t    *testing.T
	name string
	dir  string
}

// newNamespace makes one, with the given addresses on its loopback interface.
func newNamespace(t *testing.T, addrs ...string) *namespace {
	t.Helper()
	missing := t.Skipf // at a desk; in CI nothing may be left out
	if os.Getenv("CI") != "" {
		missing = t.Fatalf
	}
	if os.Geteuid() != 0 {
		missing("SKIPPED: network namespaces need root")
	}
	for _, tool := range []string{"ip", "dig", "nsd", "knotd"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing("SKIPPED: %s is not installed (.ci/run installs it)", tool)
		}
	}
	n := &namespace{t: t, name: fmt.Sprintf("lastgood-%d", os.Getpid()), dir: t.TempDir()}
	n.must("ip", "netns", "add", n.name)
	t.Cleanup(func() { n.must("ip", "netns", "del", n.name) })
	n.must("ip", "-n", n.name, "link", "set", "lo", "up")
	for _, a := range addrs {
		args := []string{"-n", n.name, "addr", "add", a, "dev", "lo"}
		if strings.Contains(a, ":") {
			args = append(args, "nodad")
		}
		n.must("ip", args...)
	}
	return n
}

func (n *namespace) must(name string, args ...string) {
	n.t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		n.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
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

// start runs a program in the namespace until the test ends, and waits until
// it takes TCP connections on addr.
func (n *namespace) start(addr string, args ...string) {
	n.t.Helper()
	cmd := exec.Command("ip", append([]string{"netns", "exec", n.name}, args...)...)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	n.t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(15 * time.Second):
			cmd.Process.Kill()
			<-ended
			n.t.Errorf("%s did not end on SIGTERM", args[0])
		}
		if n.t.Failed() {
			n.t.Logf("%s said:\n%s", args[0], log.String())
		}
	})
	n.waitFor(addr, args[0], ended)
}

// waitFor polls until a TCP connection succeeds, for at most ten seconds.
func (n *namespace) waitFor(addr, who string, ended <-chan error) {
	n.t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		n.t.Fatal(err)
	}
	probe := fmt.Sprintf("exec 3<>/dev/tcp/%s/%s", host, port)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for exec.CommandContext(ctx, "ip", "netns", "exec", n.name, "bash", "-c", probe).Run() != nil {
		select {
		case err := <-ended:
			n.t.Fatalf("%s ended: %v", who, err)
		case <-ctx.Done():
			n.t.Fatalf("%s does not listen on %s", who, addr)
		default:
		}
	}
}

// dig asks the resolver and gives what it printed.
func (n *namespace) dig(args ...string) string {
	n.t.Helper()
	out, err := exec.Command("ip", append([]string{"netns", "exec", n.name, "dig", "+tries=1", "+timeout=12", "@127.0.0.1", "-p", "5300"}, args...)...).CombinedOutput()
	if err != nil {
		n.t.Errorf("dig %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
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
