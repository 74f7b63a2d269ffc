package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Ports of the run, all on 127.0.0.1.
const (
	resolverPort  = 5490
	frontPort     = 5491
	authorityPort = 5492
)

// The resolver has the first core to itself; questions, front and authority
// share the last one.
const resolverCore = "0"

func loadCore() string { return strconv.Itoa(runtime.NumCPU() - 1) }

// process is one that the benchmark started, in a process group of its own.
type process struct {
	cmd   *exec.Cmd
	log   string // the file with what it said
	ended chan struct{}
}

// start starts a program on a core. It must be called from the thread that
// main holds, since the death signal is sent when the thread ends that started
// a process.
func start(core, log string, args ...string) (*process, error) {
	cmd := exec.Command("taskset", append([]string{"-c", core}, args...)...)
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	return begin(cmd, log)
}

func begin(cmd *exec.Cmd, log string) (*process, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd, log, make(chan struct{})}
	go func() {
		cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// signal sends a signal to the process and those that it started.
func (p *process) signal(s syscall.Signal) error {
	select {
	case <-p.ended:
		return errors.New("the process has ended: " + p.said())
	default:
		return syscall.Kill(-p.cmd.Process.Pid, s)
	}
}

// kill ends the process as a crash does.
func (p *process) kill() {
	if p.signal(syscall.SIGKILL) == nil {
		<-p.ended
	}
}

// stop ends the process in order, within 5 s.
func (p *process) stop() {
	if p == nil || p.signal(syscall.SIGCONT) != nil {
		return
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(5 * time.Second):
		p.kill()
	}
	// What it started and left behind.
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
}

// said is the end of what the process wrote.
func (p *process) said() string {
	data, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(data[max(0, len(data)-2000):]))
}

// part is a process of the benchmark itself, which takes commands.
type part struct {
	*process
	in    io.WriteCloser
	out   io.ReadCloser
	lines *bufio.Reader
}

// parts are those processes by name: the program's first argument.
var parts = map[string]func(args []string) error{
	"@authority": authorityPart,
	"@front":     frontPart,
	"@echo":      echoPart,
}

// startPart starts a part with numbers as its arguments and waits until it listens.
func startPart(core, name string, numbers ...int) (*part, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := []string{"-c", core, self, name}
	for _, n := range numbers {
		args = append(args, strconv.Itoa(n))
	}
	cmd := exec.Command("taskset", args...)
	cmd.Stderr = os.Stderr
	p := new(part)
	if p.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if p.out, err = cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	if p.process, err = begin(cmd, os.DevNull); err != nil {
		return nil, err
	}
	p.lines = bufio.NewReader(p.out)
	if said, err := p.line(); err != nil || said != "ready" {
		p.stop()
		return nil, fmt.Errorf("%s is not ready: %q, %v", name, said, err)
	}
	return p, nil
}

// line reads one line, for at most 10 s.
func (p *part) line() (string, error) {
	if d, ok := p.out.(interface{ SetReadDeadline(time.Time) error }); ok {
		d.SetReadDeadline(time.Now().Add(10 * time.Second))
	}
	text, err := p.lines.ReadString('\n')
	return strings.TrimSpace(text), err
}

// ask gives a command and reads the first line of its answer.
func (p *part) ask(command string) (string, error) {
	if _, err := io.WriteString(p.in, command+"\n"); err != nil {
		return "", err
	}
	return p.line()
}

// order gives a command that must be obeyed.
func (p *part) order(command string) error {
	said, err := p.ask(command)
	if err == nil && said != "ok" {
		err = fmt.Errorf("%s: %q", command, said)
	}
	return err
}

// arrivals is the front's log.
func (p *part) arrivals() (list []arrival, err error) {
	said, err := p.ask("log")
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(said)
	if err != nil {
		return nil, err
	}
	for range n {
		text, err := p.line()
		if err != nil {
			return nil, err
		}
		a, err := parseArrival(text)
		if err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	return list, nil
}
