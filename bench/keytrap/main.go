// Command keytrap measures what clients whose names are cached notice of an attack on
// a validator's processor. See bench/README.md for the method.
package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"lastgood/bench/machine"
)

const conf = `listen: ["dns://127.0.0.1:5397"]
control: {listen: "off"}
stub: [{zone: trap., servers: ["127.0.0.1:5396"]}, {zone: good., servers: ["127.0.0.1:5396"]}]
recursion: {do-not-query: []}
dnssec: {validation: true, trust-anchors: [%q]}
`

func main() {
	binary := flag.String("lastgood", "", "the lastgood binary; built from the parent folder when empty")
	seconds := flag.Int("seconds", 6, "how long each part is measured")
	rate := flag.Int("rate", 300, "questions of the attackers a second")
	out := flag.String("out", "", "also write the report to this file")
	flag.Parse()
	text, err := run(*binary, time.Duration(*seconds)*time.Second, *rate)
	if err == nil && *out != "" {
		err = os.WriteFile(*out, []byte(text), 0o644)
	}
	fmt.Print(text)
	if err != nil {
		log.Fatal(err)
	}
}

func run(binary string, length time.Duration, rate int) (string, error) {
	dir, err := os.MkdirTemp("", "lastgood-keytrap-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	if binary, err = machine.Build(context.Background(), dir, binary); err != nil {
		return "", err
	}
	t, err := newTrap()
	if err != nil {
		return "", err
	}
	udp, err := net.ListenPacket("udp4", "127.0.0.1:5396")
	if err != nil {
		return "", err
	}
	defer udp.Close()
	tcp, err := net.Listen("tcp4", "127.0.0.1:5396")
	if err != nil {
		return "", err
	}
	defer tcp.Close()
	go t.serve(udp, tcp)
	file := filepath.Join(dir, "lastgood.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, conf, t.anchor()), 0o644); err != nil {
		return "", err
	}
	cmd := exec.Command(binary, "serve", "--config", file)
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // whose end would send the death signal
	if err := cmd.Start(); err != nil {
		return "", err
	}
	defer func() { cmd.Process.Signal(syscall.SIGTERM); cmd.Wait() }()
	return measure(cmd.Process.Pid, length, rate)
}

// attack is a way to make work.
type attack struct {
	what string
	name func(i int) string
}

var attacks = []attack{
	{"none", nil},
	{"6 wrong P-384 signatures, 4 keys of one tag", func(i int) string { return fmt.Sprintf("x%d.sig.trap.", i) }},
	{"113 labels, NSEC3 with 50 iterations and 255 octets of salt", deep},
	{"none", nil},
}

func measure(pid int, length time.Duration, rate int) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "# KeyTrap and hashes\n\n%d cores, %s; %d questions a second from 16 addresses, each for a name of its own; %v each.\n\n", runtime.NumCPU(), runtime.Version(), rate, length)
	b.WriteString("| attack | asked | answered | CPU of the resolver | CPU a question | cached: answered | p50 | p99 | p99.9 | most |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for range 50 {
		if _, err := ask("127.0.0.1", "www.good.", time.Second); err == nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	for part, a := range attacks {
		var asked, answered atomic.Int64
		before, err := machine.CPUOf(pid)
		if err != nil {
			return "", err
		}
		ctx, end := context.WithTimeout(context.Background(), length)
		var all sync.WaitGroup
		if a.name != nil {
			all.Go(func() { flood(ctx, rate, func(i int) string { return a.name(part*1_000_000 + i) }, &asked, &answered) })
		}
		good, bad, took := probe(ctx)
		end()
		all.Wait()
		after, err := machine.CPUOf(pid)
		if err != nil {
			return "", err
		}
		used := after - before
		each := time.Duration(0)
		if n := asked.Load(); n > 0 {
			each = used / time.Duration(n)
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %v (%.0f %%) | %v | %d of %d | %v | %v | %v | %v |\n", a.what, asked.Load(), answered.Load(), used.Round(time.Millisecond),
			100*used.Seconds()/length.Seconds(), each.Round(10*time.Microsecond), good, good+bad, at(took, 0.5), at(took, 0.99), at(took, 0.999), at(took, 1))
	}
	return b.String(), nil
}

// flood asks at a rate, from many addresses, whether or not answers come.
func flood(ctx context.Context, rate int, name func(int) string, asked, answered *atomic.Int64) {
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	var all sync.WaitGroup
	defer all.Wait()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		asked.Add(1)
		all.Go(func() {
			if _, err := ask(fmt.Sprintf("127.0.3.%d", 1+i%16), name(i), 2*time.Second); err == nil {
				answered.Add(1)
			}
		})
	}
}

// probe asks a cached name every 2 ms.
func probe(ctx context.Context) (good, bad int, took []time.Duration) {
	for ctx.Err() == nil {
		start := time.Now()
		rcode, err := ask("127.0.0.1", "www.good.", time.Second)
		if err == nil && rcode == 0 {
			good++
			took = append(took, time.Since(start))
		} else {
			bad++
		}
		time.Sleep(2 * time.Millisecond)
	}
	slices.Sort(took)
	return good, bad, took
}

func at(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))].Round(10 * time.Microsecond)
}

// ask sends one question from an address and gives the reply's rcode.
func ask(from, name string, within time.Duration) (rcode byte, err error) {
	d := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("udp4", "127.0.0.1:5397")
	if err != nil {
		return 0, err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(within))
	q := make([]byte, 12, 300)
	_, _ = rand.Read(q[:2])
	q[2], q[5], q[11] = 1, 1, 1
	q = append(q, wireName(name)...)
	q = append(q, 0, typeA, 0, 1)
	q = append(q, 0, 0, 41, 0x04, 0xd0, 0, 0, 0x80, 0, 0, 0)
	if _, err := c.Write(q); err != nil {
		return 0, err
	}
	reply := make([]byte, 1500)
	n, err := c.Read(reply)
	if err != nil || n < 12 || binary.BigEndian.Uint16(reply) != binary.BigEndian.Uint16(q) {
		return 0, fmt.Errorf("no reply: %w", err)
	}
	return reply[3] & 15, nil
}
