package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"lastgood/bench/machine"
	"lastgood/bench/openloop"
)

// Where the lab's resolver is, on loopback.
const (
	dnsPort     = 5395
	controlPort = 8395
)

const labConf = `listen: ["dns://127.0.0.1:%d"]
control: {listen: "127.0.0.1:%d"}
cache: {size: %s}
`

// lab is a running `lastgood lab`.
type lab struct {
	cmd    *exec.Cmd
	binary string
	socket string
	output bytes.Buffer // written by the process until it ended
	ended  chan struct{}
	client http.Client
}

// startLab starts the lab on all cores but the last and waits until it is ready.
func startLab(ctx context.Context, dir, binary, cache string) (*lab, error) {
	conf := filepath.Join(dir, "lastgood.yaml")
	if err := os.WriteFile(conf, fmt.Appendf(nil, labConf, dnsPort, controlPort, cache), 0o644); err != nil {
		return nil, err
	}
	l := &lab{binary: binary, socket: filepath.Join(dir, "lab.sock"), ended: make(chan struct{}), client: http.Client{Timeout: 20 * time.Second}}
	args := []string{binary, "lab", "--config", conf, "--socket", l.socket}
	if n := runtime.NumCPU(); n > 1 {
		args = append([]string{"taskset", "-c", fmt.Sprintf("0-%d", n-2)}, args...)
	}
	l.cmd = exec.Command(args[0], args[1:]...)
	l.cmd.Stdout, l.cmd.Stderr = io.Discard, &l.output
	l.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	// The death signal is sent when the thread that started the process ends.
	runtime.LockOSThread()
	if err := l.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		l.cmd.Wait()
		close(l.ended)
	}()
	for range 100 {
		if _, err := l.get("/health/ready"); err == nil {
			return l, nil
		}
		if err := machine.Wait(ctx, 100*time.Millisecond); err != nil {
			break
		}
	}
	l.kill()
	return nil, fmt.Errorf("the lab is not ready: %s", l.output.String())
}

func (l *lab) get(path string) (string, error) {
	resp, err := l.client.Get("http://127.0.0.1:" + strconv.Itoa(controlPort) + path)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	return string(text), err
}

// faultTries is how often a fault is tried to be set: the lab is busy.
const faultTries = 3

// fault sets a fault as an operator would.
func (l *lab) fault(ctx context.Context, target, fault string) (err error) {
	for range faultTries {
		var out []byte
		if out, err = exec.CommandContext(ctx, l.binary, "lab", "fault", "--socket", l.socket, target, fault).CombinedOutput(); err == nil {
			return nil
		}
		err = fmt.Errorf("lab fault %s %s: %w: %s", target, fault, err, out)
	}
	return err
}

// faultsOff ends every fault that the schedule may have set.
func (l *lab) faultsOff(ctx context.Context) error {
	for _, target := range targets {
		if err := l.fault(ctx, target, "off"); err != nil {
			return err
		}
	}
	return nil
}

// stop ends the lab with SIGTERM and tells whether it ended well in time.
func (l *lab) stop() bool {
	l.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-l.ended:
		return l.cmd.ProcessState.ExitCode() == 0
	case <-time.After(15 * time.Second):
		l.kill()
		return false
	}
}

func (l *lab) kill() {
	select {
	case <-l.ended:
	default:
		l.cmd.Process.Kill()
		<-l.ended
	}
}

// said is what the lab's log says when it has ended, as an error; nil otherwise.
func (l *lab) said() error {
	select {
	case <-l.ended:
		return fmt.Errorf("the lab ended: %s", strings.TrimSpace(l.output.String()))
	default:
		return nil
	}
}

// sample is the state of the server at a moment.
type sample struct {
	at time.Duration // since the soak began

	rss, heap             float64 // MiB
	goroutines, fds       float64
	questions, servfail   float64 // in all so far
	dropped, kernelDrops  float64
	waiting, sockets      float64
	cacheUsed, cacheSize  float64
	panics, cpu           float64 // seconds of CPU so far
	flights, tcpConns     float64
	asked, answered, lost uint64  // by the client, in all so far
	rate                  float64 // questions a second since the sample before
	hist                  [classes]openloop.Histogram
	window                [classes]openloop.Histogram // since the sample before
}

// sample reads the metrics and what the kernel says.
func (l *lab) sample() (sample, error) {
	var s sample
	text, err := l.get("/metrics")
	if err != nil {
		return s, err
	}
	into := map[string]*float64{
		"process_resident_memory_bytes": &s.rss, "go_memstats_heap_inuse_bytes": &s.heap,
		"go_goroutines": &s.goroutines, "process_open_fds": &s.fds, "process_cpu_seconds_total": &s.cpu,
		"lastgood_queries_total": &s.questions, "lastgood_dropped_total": &s.dropped,
		"lastgood_questions_waiting": &s.waiting, "lastgood_upstream_sockets": &s.sockets,
		"lastgood_cache_used_bytes": &s.cacheUsed, "lastgood_cache_size_bytes": &s.cacheSize,
		"lastgood_panics_total": &s.panics, "lastgood_flights": &s.flights, "lastgood_tcp_connections": &s.tcpConns,
	}
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		v, err := strconv.ParseFloat(value, 64)
		if strings.HasPrefix(line, "#") || !ok || err != nil {
			continue
		}
		base, labels, _ := strings.Cut(name, "{")
		if p := into[base]; p != nil {
			*p += v
		}
		if base == "lastgood_replies_total" && strings.Contains(labels, `rcode="SERVFAIL"`) {
			s.servfail += v
		}
	}
	s.rss, s.heap = s.rss/(1<<20), s.heap/(1<<20)
	s.kernelDrops, err = kernelDrops()
	return s, err
}

// kernelDrops counts the datagrams that the kernel dropped for full buffers, on
// the server's sockets and on the client's.
func kernelDrops() (float64, error) {
	data, err := os.ReadFile("/proc/net/udp")
	if err != nil {
		return 0, err
	}
	port, sum := fmt.Sprintf(":%04X", dnsPort), 0.0
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) < 13 || !strings.HasSuffix(f[1], port) && !strings.HasSuffix(f[2], port) {
			continue
		}
		if n, err := strconv.ParseFloat(f[12], 64); err == nil {
			sum += n
		}
	}
	return sum, nil
}
