// Command siege measures what other clients notice of many TCP connections that
// are idle, slow or greedy. See bench/README.md for the method.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"os/signal"
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

const dnsPort = 5399

const labConf = `listen: ["dns://127.0.0.1:%d"]
control: {listen: "off"}
limits: {tcp-connections: %d, tcp-connections-per-client: 50}
`

const eachClient = 50 // connections from one address, 127.0.2.1 and up

func main() {
	binary := flag.String("lastgood", "", "the lastgood binary; built from the parent folder when empty")
	connections := flag.Int("connections", 10000, "of the besiegers, up to 12000")
	seconds := flag.Int("seconds", 15, "how long is measured, before and during the siege")
	out := flag.String("out", "", "also write the report to this file")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	text, err := run(ctx, *binary, min(*connections, 12000), time.Duration(*seconds)*time.Second)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(text)
	if *out != "" {
		if err := os.WriteFile(*out, []byte(text), 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

func run(ctx context.Context, binary string, connections int, length time.Duration) (string, error) {
	dir, err := os.MkdirTemp("", "lastgood-siege-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	if binary, err = machine.Build(ctx, dir, binary); err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Siege\n\n%d cores, %s; %d connections, a fifth each: idle, half a length, an octet a second, never reading, one question after the other; %v each.\n\n",
		runtime.NumCPU(), runtime.Version(), connections, length)
	b.WriteString("| limits.tcp-connections | siege | UDP answered | p50 | p99 | TCP, kept connection | p99 | TCP, new connections | p99 | besiegers open |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, room := range []int{connections + 100, 1000} {
		if err := measure(ctx, &b, dir, binary, room, connections, length); err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

// measure runs a lab with room for some connections, before and during a siege.
func measure(ctx context.Context, b *strings.Builder, dir, binary string, room, connections int, length time.Duration) error {
	conf := filepath.Join(dir, "lastgood.yaml")
	if err := os.WriteFile(conf, fmt.Appendf(nil, labConf, dnsPort, room), 0o644); err != nil {
		return err
	}
	cmd := exec.Command(binary, "lab", "--config", conf, "--socket", filepath.Join(dir, "lab.sock"))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // whose end would send the death signal
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() { cmd.Process.Signal(syscall.SIGTERM); cmd.Wait() }()
	if err := ready(ctx); err != nil {
		return err
	}
	for _, besieged := range []bool{false, true} {
		var open atomic.Int64
		siege, end := context.WithCancel(ctx)
		var all sync.WaitGroup
		if besieged {
			besiege(siege, &all, &open, connections)
		}
		p := probeAll(length)
		fmt.Fprintf(b, "| %d | %v | %s | %v | %v | %s | %v | %s | %v | %d |\n", room, besieged, p[0].share(), p[0].quantile(0.5), p[0].quantile(0.99),
			p[1].share(), p[1].quantile(0.99), p[2].share(), p[2].quantile(0.99), open.Load())
		end()
		all.Wait()
	}
	return nil
}

func ready(ctx context.Context) error {
	for range 100 {
		var p probe
		if p.udp(time.Second); p.good > 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return fmt.Errorf("the lab does not answer")
}

// besiege opens the connections; each is opened again when it was closed, after
// a second. They end with ctx.
func besiege(ctx context.Context, all *sync.WaitGroup, open *atomic.Int64, connections int) {
	for i := range connections {
		all.Go(func() {
			for ctx.Err() == nil {
				hold(ctx, i, open)
				select {
				case <-ctx.Done():
				case <-time.After(time.Second):
				}
			}
		})
		if i%100 == 99 {
			time.Sleep(20 * time.Millisecond) // the backlog of the listening socket is short
		}
	}
	time.Sleep(5 * time.Second) // the storm is over, the siege begins
}

// hold holds one connection in the way of its number until it is closed.
func hold(ctx context.Context, i int, open *atomic.Int64) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 2, byte(1+i/eachClient))}, Timeout: 5 * time.Second}
	conn, err := d.DialContext(ctx, "tcp4", fmt.Sprintf("127.0.0.1:%d", dnsPort))
	if err != nil {
		return
	}
	open.Add(1)
	defer open.Add(-1)
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	q := framed(question("many.big.example.org", 1))
	switch i % 5 {
	case 1:
		conn.Write(q[:1])
	case 2:
		for k := range q {
			if _, err := conn.Write(q[k : k+1]); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	case 3:
		conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
		for range 200 {
			if _, err := conn.Write(q); err != nil {
				break
			}
		}
		<-ctx.Done()
		return
	case 4:
		for buf := make([]byte, 64<<10); ; time.Sleep(time.Second) {
			if _, err := conn.Write(q); err != nil {
				return
			}
			if _, err := conn.Read(buf); err != nil {
				return
			}
		}
	}
	io.Copy(io.Discard, conn) // until it is closed
}

// quantile is the value below which the share q lies.
func quantile(v []time.Duration, q float64) time.Duration {
	if len(v) == 0 {
		return 0
	}
	v = slices.Sorted(slices.Values(v))
	return v[min(int(q*float64(len(v))), len(v)-1)].Round(10 * time.Microsecond)
}
