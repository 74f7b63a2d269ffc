package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

// beProgram makes the test's binary the program itself: what signals and full
// disks do to a process can be seen only from outside.
const beProgram = "LASTGOOD_TEST_BE_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(beProgram) != "" {
		os.Exit(Main(os.Args[1:]))
	}
	os.Exit(runApart(m))
}

// runApart runs the tests with a state directory of their own: a cache of
// another run is none of theirs.
func runApart(m *testing.M) int {
	dir, err := os.MkdirTemp("", "lastgood-state-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	os.Unsetenv("STATE_DIRECTORY")
	os.Setenv("XDG_STATE_HOME", dir)
	return m.Run()
}

// running is a lastgood process with its own configuration.
type running struct {
	*exec.Cmd
	addr  string
	ended chan int // its exit code; 100 and the signal's number when that ended it
}

// launch starts `serve` or `lab`, which listens on a port of its own; prepare
// may redirect its output.
func launch(t *testing.T, command string, prepare func(*exec.Cmd)) *running {
	t.Helper()
	dir := t.TempDir()
	r := &running{addr: fmt.Sprintf("127.0.0.1:%d", freePort(t)), ended: make(chan int, 1)}
	file := filepath.Join(dir, "lastgood.yaml")
	text := fmt.Sprintf("listen: [\"dns://%s\"]\ncontrol: {listen: \"off\"}\n", r.addr)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{command, "--config", file}
	if command == "lab" {
		args = append(args, "--socket", filepath.Join(dir, "lab.sock"))
	}
	r.Cmd = program(args...)
	r.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no terminal, as a service
	prepare(r.Cmd)
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		r.Wait()
		status := r.ProcessState.Sys().(syscall.WaitStatus)
		if status.Signaled() {
			r.ended <- 100 + int(status.Signal())
			return
		}
		r.ended <- status.ExitStatus()
	}()
	t.Cleanup(func() { r.Process.Kill() })
	waitListening(t, r.addr, r.ended)
	return r
}

func program(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), beProgram+"=1")
	return cmd
}

// ends waits for the end and gives the exit code.
func (r *running) ends(t *testing.T) int {
	t.Helper()
	select {
	case code := <-r.ended:
		return code
	case <-time.After(20 * time.Second):
		t.Fatal("it does not end")
		return 0
	}
}

// answers tells whether it still answers; localhost. needs nobody else.
func (r *running) answers(t *testing.T) {
	t.Helper()
	if got := lastgood(t, "query", "--server", r.addr, "localhost"); got.code != 0 || !strings.Contains(got.out, "127.0.0.1") {
		t.Errorf("it does not answer: exit %d\n%s%s", got.code, got.out, got.errors)
	}
}

func (r *running) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := r.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// Output that cannot be written, for a full disk or because its reader is gone,
// neither ends the program nor keeps it from answering and from ending well.
func TestOutputThatCannotBeWritten(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full here")
	}
	defer full.Close()
	for name, prepare := range map[string]func(*exec.Cmd){
		"full disk": func(c *exec.Cmd) { c.Stdout, c.Stderr = full, full },
		"closed pipe": func(c *exec.Cmd) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			r.Close()
			c.Stdout, c.Stderr = w, w
			t.Cleanup(func() { w.Close() })
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := launch(t, "serve", prepare)
			r.answers(t)
			r.signal(t, syscall.SIGHUP) // logs, into the void
			time.Sleep(50 * time.Millisecond)
			r.answers(t)
			r.signal(t, syscall.SIGTERM)
			if code := r.ends(t); code != exitOK {
				t.Errorf("exit %d", code)
			}
		})
	}
}

// SIGHUP does not end a service, and says what it does not do.
func TestHangup(t *testing.T) {
	var errs buffer
	r := launch(t, "serve", func(c *exec.Cmd) { c.Stderr = &errs })
	r.signal(t, syscall.SIGHUP)
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(errs.String(), "SIGHUP changes nothing"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the log says %q", errs.String())
		}
	}
	r.answers(t)
	r.signal(t, syscall.SIGTERM)
	if code := r.ends(t); code != exitOK {
		t.Errorf("exit %d", code)
	}
}

// SIGTERM in the middle of load loses nothing: what the kernel had received is
// answered, from the cache or not, over UDP and TCP.
func TestTermUnderLoad(t *testing.T) {
	r := launch(t, "lab", func(*exec.Cmd) {})
	const clients, each = 8, 60
	var all []net.Conn
	for c := range clients {
		conn, err := net.Dial([]string{"udp", "udp", "udp", "tcp"}[c%4], r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		all = append(all, conn)
	}
	r.answers(t) // the connections are accepted by now
	for i := range each {
		for c, conn := range all {
			a := asking{name: dnsname.MustParse(fmt.Sprintf("n%d-%d.wild.example.com.", c, i/2)), typ: wire.TypeA} // every other one is asked twice
			msg := a.build(uint16(i))
			if c%4 == 3 {
				msg = append([]byte{byte(len(msg) >> 8), byte(len(msg))}, msg...)
			}
			if _, err := conn.Write(msg); err != nil {
				t.Fatal(err)
			}
		}
	}
	r.signal(t, syscall.SIGTERM)
	for c, conn := range all {
		got := 0
		conn.SetDeadline(time.Now().Add(15 * time.Second))
		for buf := make([]byte, 64<<10); got < each; got++ {
			var err error
			if c%4 == 3 {
				if _, err = io.ReadFull(conn, buf[:2]); err == nil {
					_, err = io.ReadFull(conn, buf[:int(buf[0])<<8|int(buf[1])])
				}
			} else {
				_, err = conn.Read(buf)
			}
			if err != nil {
				t.Errorf("client %d got %d answers of %d: %v", c, got, each, err)
				break
			}
		}
	}
	if code := r.ends(t); code != exitOK {
		t.Errorf("exit %d", code)
	}
}

// A first signal waits for the questions in flight, a second does not.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	r := launch(t, "lab", func(*exec.Cmd) {})
	conn, err := net.Dial("udp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	a := asking{name: dnsname.MustParse("www.alldead.example.org."), typ: wire.TypeA}
	conn.Write(a.build(1))
	r.answers(t) // by now the question before is in flight
	r.signal(t, syscall.SIGTERM)
	again := time.NewTicker(50 * time.Millisecond) // the program is not ready for the second in the instant of the first
	defer again.Stop()
	late := time.After(20 * time.Second)
	for further := 0; ; further++ {
		select {
		case code := <-r.ended:
			if further == 0 || code != 100+int(syscall.SIGTERM) {
				t.Errorf("exit %d after %d further signals, with a question in flight", code, further)
			}
			return
		case <-again.C:
			_ = r.Process.Signal(syscall.SIGTERM) // it may just have ended
		case <-late:
			t.Fatal("it does not end")
		}
	}
}

// Without descriptors what is cached is answered on, and afterwards everything.
func TestNoDescriptorsLeftInTheProcess(t *testing.T) {
	r := launch(t, "lab", func(*exec.Cmd) {})
	ask := func(name string) int { return lastgood(t, "query", "--server", r.addr, name).code }
	if ask("www.example.com") != 0 {
		t.Fatal("the lab does not answer")
	}
	var before unix.Rlimit
	if err := unix.Prlimit(r.Process.Pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 1, Max: 4096}, &before); err != nil {
		t.Skip("the limit of another process cannot be set here:", err)
	}
	if ask("www.example.com") != 0 {
		t.Error("what is cached is not answered")
	}
	if ask("www.example.net") != exitFailed {
		t.Error("a question that needs a socket was answered without one")
	}
	if err := unix.Prlimit(r.Process.Pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 4096, Max: 4096}, nil); err != nil {
		t.Fatal(err)
	}
	if ask("mail.example.net") != 0 {
		t.Error("it does not recover")
	}
	r.signal(t, syscall.SIGTERM)
	if code := r.ends(t); code != exitOK {
		t.Errorf("exit %d", code)
	}
}

// A limit on open files that is too low for the configuration is said at the start.
func TestTooFewFilesAreSaid(t *testing.T) {
	var errs buffer
	r := launch(t, "serve", func(c *exec.Cmd) {
		c.Stderr = &errs
		c.Args = append([]string{"sh", "-c", `ulimit -n 500; exec "$0" "$@"`}, c.Args...)
		c.Path = "/bin/sh"
	})
	r.signal(t, syscall.SIGTERM)
	r.ends(t)
	if text := errs.String(); !strings.Contains(text, "too few files") || !strings.Contains(text, "limit=500") || !strings.Contains(text, "LimitNOFILE") {
		t.Errorf("the log says %q", text)
	}
}

// An address that is taken: exit code 1, the message says which and how to find
// its owner, and nothing is left half-started.
func TestAddressInUse(t *testing.T) {
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	socket := filepath.Join(t.TempDir(), "control.sock")
	for name, c := range map[string]struct{ text, says string }{
		"udp":     {fmt.Sprintf("listen: [\"%s\"]\ncontrol: {listen: \"unix:%s\"}\n", udp.LocalAddr(), socket), udp.LocalAddr().String() + " over UDP"},
		"tcp":     {fmt.Sprintf("listen: [\"%s\"]\ncontrol: {listen: \"unix:%s\"}\n", tcp.Addr(), socket), tcp.Addr().String() + " over TCP"},
		"control": {fmt.Sprintf("listen: [\"127.0.0.1:0\"]\ncontrol: {listen: \"%s\"}\n", tcp.Addr()), "control: cannot listen on " + tcp.Addr().String()},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "lastgood.yaml")
			if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			var out, errs bytes.Buffer
			code := Run(ctx, []string{"serve", "--config", file}, &out, &errs)
			if text := errs.String(); code != exitFailed || !strings.Contains(text, c.says) || !strings.Contains(text, "ss -l") {
				t.Errorf("exit %d: %s", code, text)
			}
			if out.Len() > 0 {
				t.Errorf("it claims to run: %s", out.String())
			}
			if _, err := os.Stat(socket); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the control socket is left behind: %v", err)
			}
		})
	}
}
