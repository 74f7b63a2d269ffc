package machine

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// Program is a server to be started.
type Program struct {
	Args  []string // the program first, by its path, or by a name to be looked for as Locate does
	Core  string   // as taskset names it: 0, or 0,1
	Ready string   // an address that takes TCP connections when it is ready; empty: it is not waited for
	Log   string   // the file for what it says; empty: errors go where ours go
	Env   []string // besides our own, and GOMAXPROCS, which is the number of its cores
}

// Process is a running server.
type Process struct {
	cmd *exec.Cmd
}

// Start starts a program on one core and waits until it takes TCP connections at
// addr.
func Start(ctx context.Context, core string, args []string, addr string) (*Process, error) {
	return Program{Args: args, Core: core, Ready: addr}.Start(ctx)
}

// Start starts it. It is killed when ctx ends, or this program.
func (p Program) Start(ctx context.Context) (*Process, error) {
	path, err := Locate(p.Args[0])
	if err != nil {
		return nil, err
	}
	if conn, err := net.DialTimeout("tcp", p.Ready, 100*time.Millisecond); p.Ready != "" && err == nil {
		conn.Close()
		return nil, fmt.Errorf("%s: something else listens at %s", filepath.Base(path), p.Ready)
	}
	cores := strings.Count(p.Core, ",") + 1
	cmd := exec.CommandContext(ctx, "taskset", append([]string{"-c", p.Core, path}, p.Args[1:]...)...)
	cmd.Env = append(append(os.Environ(), fmt.Sprintf("GOMAXPROCS=%d", cores)), p.Env...)
	// A group of its own, so that Pause reaches its children too.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	cmd.Stderr = os.Stderr
	if p.Log != "" {
		said, err := os.Create(p.Log)
		if err != nil {
			return nil, err
		}
		defer said.Close()
		cmd.Stdout, cmd.Stderr = said, said
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	running := &Process{cmd}
	if p.Ready == "" {
		return running, nil
	}
	if err := awaitPort(ctx, p.Ready); err != nil {
		running.Stop()
		said, _ := os.ReadFile(p.Log)
		return nil, fmt.Errorf("%s: %w\n%s", filepath.Base(path), err, said)
	}
	return running, nil
}

// awaitPort waits until something listens at an address, for ten seconds and more.
func awaitPort(ctx context.Context, addr string) error {
	for range 200 {
		conn, err := net.DialTimeout("tcp", addr, 100*time.Millisecond)
		if err == nil {
			return conn.Close()
		}
		if err := Wait(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("it does not listen at %s", addr)
}

// Locate finds a program in a folder, unless that is empty, in PATH, or where Debian
// keeps daemons.
func Locate(program string, folders ...string) (string, error) {
	for _, folder := range folders {
		if path, err := exec.LookPath(filepath.Join(folder, program)); err == nil && folder != "" {
			return filepath.Abs(path)
		}
	}
	path, err := exec.LookPath(program)
	if err == nil {
		return filepath.Abs(path)
	}
	if filepath.IsAbs(program) {
		return "", err
	}
	return exec.LookPath("/usr/sbin/" + program)
}

// Build gives the lastgood binary: the one that is named, or one built into the
// folder from the tree that this module is part of.
func Build(ctx context.Context, dir, named string) (string, error) {
	if named != "" {
		return filepath.Abs(named)
	}
	path := filepath.Join(dir, "lastgood")
	msg, err := exec.CommandContext(ctx, "go", "-C", "..", "build", "-o", path, "./cmd/lastgood").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building lastgood: %w\n%s", err, msg)
	}
	return path, nil
}

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Pause stops it and its children where they are, until Resume.
func (p *Process) Pause() error { return syscall.Kill(-p.PID(), syscall.SIGSTOP) }

// Resume lets it go on.
func (p *Process) Resume() error { return syscall.Kill(-p.PID(), syscall.SIGCONT) }

// Stop ends it, and waits for its end.
func (p *Process) Stop() {
	p.Resume()
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

// CPU is the process's user and system time, see CPUOf.
func (p *Process) CPU() (time.Duration, error) { return CPUOf(p.PID()) }

// CPUOf is the user and system time of a process, all threads, those that ended too.
// It counts nanoseconds: it is the clock of clock_getcpuclockid(3), where
// /proc/PID/stat counts hundredths of a second.
func CPUOf(pid int) (time.Duration, error) {
	// The kernel's MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED).
	const sched = 2
	clock := ^int32(pid)<<3 | sched
	var t syscall.Timespec
	// The kernel writes the time into t, which lives until the call is over.
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, uintptr(clock), uintptr(unsafe.Pointer(&t)), 0); errno != 0 {
		return 0, fmt.Errorf("CPU clock of process %d: %w", pid, errno)
	}
	return time.Duration(t.Nano()), nil
}

// Memory is the process's resident set in MiB.
func (p *Process) Memory() float64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.PID()))
	if err != nil {
		return 0
	}
	pages, err := strconv.ParseFloat(strings.Fields(string(data))[1], 64)
	if err != nil {
		return 0
	}
	return pages * float64(os.Getpagesize()) / (1 << 20)
}
