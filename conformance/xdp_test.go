package conformance

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// Addresses on both ends of the virtual cable.
const (
	xdpServer4, xdpClient4 = "192.0.2.1", "192.0.2.7"
	xdpServer6, xdpClient6 = "2001:db8::1", "2001:db8::7"
	xdpOther4              = "192.0.2.8" // of the client, and not allowed to ask
	xdpPort                = 53
)

// cable is two namespaces with a virtual Ethernet cable between them: the server's
// end, with the program, is v0, the client's v1.
type cable struct {
	t              *testing.T
	server, client *namespace
	binary, config string
	proc           *process
}

// newCable lays the cable, with an authority for the zone x. beside the server. With an
// MTU of the client above what a driver takes, the program comes into the generic way.
func newCable(t *testing.T, clientMTU int) *cable {
	t.Helper()
	c := &cable{t: t, server: newNamespace(t), client: newNamespace(t), binary: build(t)}
	var tid int
	c.client.inside(func() { tid = unix.Gettid() })
	c.server.run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", strconv.Itoa(tid))
	for _, end := range []struct {
		n               *namespace
		link, four, six string
	}{{c.server, "v0", xdpServer4, xdpServer6}, {c.client, "v1", xdpClient4, xdpClient6}} {
		end.n.run("ip", "addr", "add", end.four+"/24", "dev", end.link)
		end.n.run("ip", "addr", "add", end.six+"/64", "dev", end.link, "nodad")
		end.n.run("ip", "link", "set", end.link, "up")
	}
	c.client.run("ip", "link", "set", "v1", "mtu", strconv.Itoa(clientMTU))
	c.client.run("ip", "addr", "add", xdpOther4+"/24", "dev", "v1")
	c.authority()
	c.config = c.server.write("lastgood.yaml", `listen: ["xdp://v0", "dns://0.0.0.0", "dns://[::]"]
clients: {allow: ["`+xdpClient4+`", "192.0.2.0/29", "`+xdpClient6+`", "127.0.0.0/8"]}
control: {listen: "127.0.0.1:8053"}
cache: {snapshot: "off"}
recursion: {do-not-query: []}
dnssec: {validation: false}
limits: {udp-size: 4KiB}
stub: [{zone: "x.", servers: ["127.0.0.1:5391"]}]
log: {level: error}
`)
	canXDP(t, c.server, c.binary, c.config)
	c.start()
	return c
}

// canXDP sees whether this kernel can do it at all. In one that is stuck nothing would
// end a process that waits for it, so it is not waited for.
func canXDP(t *testing.T, n *namespace, binary, config string) {
	t.Helper()
	if os.Getenv("LASTGOOD_TEST_XDP") == "" {
		// Loading BPF programs has stuck a kernel (6.18) for good.
		t.Skip("SKIPPED: AF_XDP is tested with LASTGOOD_TEST_XDP=1 only")
	}
	cmd, _ := n.command(binary, "config", "check", config)
	out, err := os.Create(filepath.Join(n.dir, "check.out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out // no pipe, which would be waited for
	if err := n.begin(cmd); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if text, _ := os.ReadFile(out.Name()); err != nil {
			unable(t)("SKIPPED: no AF_XDP here: %s", text)
		}
	case <-time.After(30 * time.Second):
		cmd.Process.Kill()
		unable(t)("SKIPPED: loading a BPF program takes longer than 30 s: this kernel is stuck")
	}
}

// authority answers for every name below x.: "slow…" after 300 ms, "big…" with much.
func (c *cable) authority() {
	c.t.Helper()
	answer := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.Authoritative = true
		name := q.Question[0].Name
		hdr := dns.RR_Header{Name: name, Rrtype: q.Question[0].Qtype, Class: dns.ClassINET, Ttl: 3600}
		switch {
		case q.Question[0].Qtype == dns.TypeTXT:
			for i := range 12 {
				m.Answer = append(m.Answer, &dns.TXT{Hdr: hdr, Txt: []string{fmt.Sprintf("%0200d", i)}})
			}
		case q.Question[0].Qtype == dns.TypeA:
			m.Answer = []dns.RR{&dns.A{Hdr: hdr, A: net.IP{203, 0, 113, 9}}}
		case name == "x." && q.Question[0].Qtype == dns.TypeSOA:
			m.Answer = []dns.RR{&dns.SOA{Hdr: hdr, Ns: "ns.x.", Mbox: "h.x.", Serial: 1, Minttl: 60}}
		}
		if strings.HasPrefix(name, "slow") {
			time.Sleep(300 * time.Millisecond)
		}
		if _, udp := w.LocalAddr().(*net.UDPAddr); udp {
			m.Truncate(1232)
		}
		w.WriteMsg(m)
	})
	var udp net.PacketConn
	var tcp net.Listener
	var err error
	c.server.inside(func() {
		if udp, err = net.ListenPacket("udp", "127.0.0.1:5391"); err == nil {
			tcp, err = net.Listen("tcp", "127.0.0.1:5391")
		}
	})
	if err != nil {
		c.t.Fatal(err)
	}
	for _, s := range []*dns.Server{{PacketConn: udp, Handler: answer}, {Listener: tcp, Handler: answer}} {
		go s.ActivateAndServe()
		c.t.Cleanup(func() { s.Shutdown() })
	}
}

func (c *cable) start() {
	c.t.Helper()
	c.proc = c.server.start("127.0.0.1:53", "x.", c.binary, "serve", "--config", c.config)
}

// count reads a metric of the server: the sum over its labels but those given.
func (c *cable) count(name string) float64 {
	c.t.Helper()
	conn, err := c.server.dial("tcp", "127.0.0.1:8053")
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	fmt.Fprintf(conn, "GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n")
	var all strings.Builder
	buf := make([]byte, 1<<16)
	for {
		n, err := conn.Read(buf)
		all.Write(buf[:n])
		if err != nil {
			break
		}
	}
	sum, found := 0.0, false
	for _, m := range regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(name)+`.* ([0-9.e+]+)$`).FindAllStringSubmatch(all.String(), -1) {
		v, _ := strconv.ParseFloat(m[1], 64)
		sum, found = sum+v, true
	}
	if !found {
		c.t.Fatalf("no metric %s", name)
	}
	return sum
}

const xdpReceived = `lastgood_xdp_received_total{interface="v0"}`

// ask sends a question over UDP and waits for its reply; nil when none comes. It tells
// how many datagrams came past the kernel's stack.
func (c *cable) ask(server string, q *dns.Msg) (*dns.Msg, int) {
	c.t.Helper()
	before := c.count(xdpReceived)
	var reply *dns.Msg
	conn, err := c.client.dial("udp", net.JoinHostPort(server, strconv.Itoa(xdpPort)))
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close()
	d := dns.Conn{Conn: conn, UDPSize: 8192}
	d.SetDeadline(time.Now().Add(3 * time.Second))
	if err := d.WriteMsg(q); err != nil {
		c.t.Fatal(err)
	}
	if m, err := d.ReadMsg(); err == nil && m.Id == q.Id {
		reply = m
	}
	return reply, int(c.count(xdpReceived) - before)
}

func xdpQuestion(name string, typ uint16) *dns.Msg { return new(dns.Msg).SetQuestion(name, typ) }

// padded is a question with so many octets of padding.
func padded(n int) *dns.Msg {
	q := xdpQuestion("padded.x.", dns.TypeA)
	q.SetEdns0(1232, false)
	q.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_PADDING{Padding: make([]byte, n)}}
	return q
}

// TestXDP asks the built program over a virtual cable, with the BPF program in the
// driver and in the generic way.
func TestXDP(t *testing.T) {
	for _, mode := range []struct {
		name, shown string
		mtu         int
	}{{"native", " xdp ", 1500}, {"generic", " xdpgeneric ", 9000}} {
		t.Run(mode.name, func(t *testing.T) {
			c := newCable(t, mode.mtu)
			if out := c.server.run("ip", "link", "show", "v0"); !strings.Contains(out, mode.shown) {
				t.Fatalf("the program is not there, or not in the mode that is tested:\n%s", out)
			}
			t.Run("questions", func(t *testing.T) { c.on(t).questions() })
			t.Run("to the kernel", func(t *testing.T) { c.on(t).toKernel() })
			t.Run("frames", func(t *testing.T) { c.on(t).frames() })
			t.Run("addresses", func(t *testing.T) { c.on(t).changes() })
			t.Run("load", func(t *testing.T) { c.on(t).load() })
			t.Run("checksums", func(t *testing.T) { c.on(t).checksums() })
			t.Run("end", func(t *testing.T) { c.on(t).end() })
		})
	}
}

// on is the same cable for a part of the test.
func (c *cable) on(t *testing.T) *cable {
	part := *c
	part.t = t
	return &part
}

// questions are what comes past the kernel's stack, and how it is answered.
func (c *cable) questions() {
	for _, server := range []string{xdpServer4, xdpServer6} {
		for i, what := range []string{"not cached", "cached"} {
			m, taken := c.ask(server, xdpQuestion("www.x.", dns.TypeA))
			if m == nil || len(m.Answer) != 1 || taken != 1 {
				c.t.Errorf("%s, %s (%d): %v, %d taken", server, what, i, m, taken)
			}
		}
		if m, taken := c.ask(server, xdpQuestion("slow"+strings.ReplaceAll(server, ":", "-")+".x.", dns.TypeA)); m == nil || len(m.Answer) != 1 || taken != 1 {
			c.t.Errorf("%s, a slow one: %v, %d taken", server, m, taken)
		}
		if m, taken := c.ask(server, padded(1300)); m == nil || len(m.Answer) != 1 || taken != 1 {
			c.t.Errorf("%s, a large question: %v, %d taken", server, m, taken)
		}
		big := xdpQuestion("big.x.", dns.TypeTXT)
		big.SetEdns0(4096, false)
		if m, taken := c.ask(server, big); m == nil || !m.Truncated || taken != 1 {
			c.t.Errorf("%s, more than fits into a frame: want TC: %v, %d taken", server, m, taken)
		}
		for _, args := range [][]string{{"dig", "+tries=1", "+short"}, {"kdig", "+retry=0", "+short"}} {
			out := c.client.run(append(args, "@"+server, "www.x.")...)
			if strings.TrimSpace(out) != "203.0.113.9" {
				c.t.Errorf("%s at %s: %q", args[0], server, out)
			}
		}
	}
	out := c.client.run("dig", "+tries=1", "-b", xdpOther4, "@"+xdpServer4, "www.x.")
	if !strings.Contains(out, "status: REFUSED") {
		c.t.Errorf("who may not ask was told:\n%s", out)
	}
}

// toKernel is what goes up, and is answered by the kernel's sockets.
func (c *cable) toKernel() {
	for _, server := range []string{xdpServer4, xdpServer6} {
		before := c.count(xdpReceived)
		if out := c.client.run("dig", "+tries=1", "+tcp", "+short", "@"+server, "www.x."); strings.TrimSpace(out) != "203.0.113.9" {
			c.t.Errorf("TCP at %s: %q", server, out)
		}
		if n := c.count(xdpReceived) - before; n != 0 {
			c.t.Errorf("TCP at %s: %v frames were taken", server, n)
		}
		if out := c.client.run("dig", "+tries=1", "@"+server, "big.x.", "TXT"); !strings.Contains(out, "retrying in TCP mode") || !strings.Contains(out, "ANSWER: 12,") {
			c.t.Errorf("TC and TCP at %s:\n%s", server, out)
		}
		// More than a frame holds: in fragments, or, where the cable takes it, in one.
		c.client.run("ip", "link", "set", "v1", "mtu", "1500")
		if m, taken := c.ask(server, padded(3000)); m == nil || len(m.Answer) != 1 || taken != 0 {
			c.t.Errorf("%s, a question in fragments: %v, %d taken", server, m, taken)
		}
	}
	// An address that the interface does not have itself.
	c.server.run("ip", "addr", "add", "192.0.2.200/32", "dev", "lo")
	if m, taken := c.ask("192.0.2.200", xdpQuestion("www.x.", dns.TypeA)); m == nil || taken != 0 {
		c.t.Errorf("another interface's address: %v, %d taken", m, taken)
	}
}

// changes are addresses that come and go.
func (c *cable) changes() {
	until := func(what string, want int) {
		deadline := time.Now().Add(5 * time.Second)
		for {
			m, taken := c.ask("192.0.2.99", xdpQuestion("www.x.", dns.TypeA))
			if m != nil && taken == want {
				return
			}
			if time.Now().After(deadline) {
				c.t.Errorf("%s: %v, %d taken", what, m, taken)
				return
			}
		}
	}
	c.server.run("ip", "addr", "add", "192.0.2.99/24", "dev", "v0")
	until("an address that the interface has gained", 1)
	c.server.run("ip", "addr", "del", "192.0.2.99/24", "dev", "v0")
	c.server.run("ip", "addr", "add", "192.0.2.99/32", "dev", "lo")
	until("an address that the interface has lost to another", 0)
}

// load asks as fast as it can for some seconds.
func (c *cable) load() {
	var names strings.Builder
	for i := range 500 {
		fmt.Fprintf(&names, "n%d.x. A\n", i)
	}
	file := c.client.write("names", names.String())
	for _, server := range []string{xdpServer4, xdpServer6} {
		before := c.count(xdpReceived)
		out := c.client.run("dnsperf", "-s", server, "-d", file, "-l", "2", "-q", "100", "-c", "4", "-t", "5")
		m := regexp.MustCompile(`Queries completed: +(\d+) \(100\.00%\)`).FindStringSubmatch(out)
		if m == nil || !strings.Contains(out, "NOERROR "+m[1]+" (100.00%)") {
			c.t.Fatalf("%s:\n%s", server, out)
		}
		if taken := strconv.Itoa(int(c.count(xdpReceived) - before)); taken != m[1] {
			c.t.Errorf("%s: %s were answered, %s taken", server, m[1], taken)
		}
	}
}

// checksums looks at what the client's kernel thought of all the replies.
func (c *cable) checksums() {
	out := c.client.run("cat", "/proc/thread-self/net/snmp", "/proc/thread-self/net/snmp6")
	lines := regexp.MustCompile(`(?m)^Udp: .*$`).FindAllString(out, -1)
	if len(lines) != 2 {
		c.t.Fatal(out)
	}
	names, values := strings.Fields(lines[0]), strings.Fields(lines[1])
	seen := 0
	for i, name := range names {
		if name == "InErrors" || name == "InCsumErrors" {
			seen++
			if values[i] != "0" {
				c.t.Errorf("%s: %s", name, values[i])
			}
		}
	}
	for _, name := range []string{"Udp6InErrors", "Udp6InCsumErrors", "Ip6InHdrErrors"} {
		if m := regexp.MustCompile(name + `\s+(\d+)`).FindStringSubmatch(out); m == nil || m[1] != "0" {
			c.t.Errorf("%s: %v", name, m)
		} else {
			seen++
		}
	}
	if seen != 5 {
		c.t.Errorf("%d counts were found", seen)
	}
}

// end sees that the program goes with the process, however that ends.
func (c *cable) end() {
	gone := func(after string) {
		if out := c.server.run("ip", "link", "show", "v0"); strings.Contains(out, "xdp") {
			c.t.Errorf("after %s:\n%s", after, out)
		}
	}
	c.proc.stop()
	if c.proc.err != nil {
		c.t.Errorf("SIGTERM: %v\n%s", c.proc.err, c.proc.said)
	}
	gone("SIGTERM")
	c.start()
	c.proc.kill()
	for range 50 { // the kernel clears up behind a process that was killed
		if !strings.Contains(c.server.run("ip", "link", "show", "v0"), "xdp") {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	gone("SIGKILL")
	c.start()
	if m, taken := c.ask(xdpServer4, xdpQuestion("www.x.", dns.TypeA)); m == nil || taken != 1 {
		c.t.Errorf("started again: %v, %d taken", m, taken)
	}
	c.gone()
}

// gone takes the interface away under a server that is running.
func (c *cable) gone() {
	if again, _ := c.server.command(c.binary, "serve", "--config", c.config); c.server.begin(again) != nil || again.Wait() == nil {
		c.t.Error("a second one could take the interface, too")
	}
	c.server.run("ip", "link", "del", "v0")
	for range 50 {
		if c.count(`lastgood_xdp_addresses{interface="v0"}`) == 0 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	before := c.count("lastgood_receive_errors_total")
	time.Sleep(time.Second)
	if n := c.count("lastgood_receive_errors_total"); n != before || c.count(`lastgood_xdp_addresses{interface="v0"}`) != 0 {
		c.t.Errorf("the interface is gone, and is read on: %v errors", n)
	}
	if _, err := c.server.once("127.0.0.1:53", xdpQuestion("www.x.", dns.TypeA), 3*time.Second); err != nil {
		c.t.Errorf("the interface is gone: %v", err)
	}
}

// TestXDPRefused is what one is told who lacks what it needs.
func TestXDPRefused(t *testing.T) {
	n := newNamespace(t)
	binary := build(t)
	n.run("chmod", "a+rx", n.dir, n.dir+"/..", filepath.Dir(binary), filepath.Dir(binary)+"/..") // for nobody
	for _, c := range []struct {
		name, link string
		nobody     bool
		want       string
	}{
		{"no such interface", "v9", false, "there is no such network interface"},
		{"no Ethernet", "lo", false, "not an Ethernet interface"},
		{"no privilege", "v0", true, "CAP_NET_RAW, CAP_NET_ADMIN and CAP_BPF"},
	} {
		if c.link == "v0" {
			n.run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1")
		}
		file := n.write("refused.yaml", fmt.Sprintf(`{listen: ["xdp://%s", "dns://0.0.0.0"], control: {listen: "off"}, cache: {snapshot: "off"}}`, c.link))
		for _, args := range [][]string{{"config", "check", file}, {"serve", "--config", file}} {
			cmd, said := n.command(append([]string{binary}, args...)...)
			cmd.Dir = "/"
			if c.nobody {
				cmd.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
			}
			err := n.begin(cmd)
			if err == nil {
				err = cmd.Wait()
			}
			var exit *exec.ExitError
			if e, ok := err.(*exec.ExitError); ok {
				exit = e
			}
			if exit == nil || exit.ExitCode() != 2 || !strings.Contains(said.String(), c.want) {
				t.Errorf("%s, %s: %v\n%s", c.name, args[0], err, said)
			}
		}
	}
}

// TestXDPPrivileges starts it with those that its documentation names, and no more.
func TestXDPPrivileges(t *testing.T) {
	n := newNamespace(t)
	binary := build(t)
	n.run("chmod", "a+rx", n.dir, n.dir+"/..", filepath.Dir(binary), filepath.Dir(binary)+"/..") // for nobody
	n.run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1")
	n.run("ip", "link", "set", "v0", "up")
	file := n.write("lastgood.yaml", `{listen: ["xdp://v0", "dns://0.0.0.0"], control: {listen: "off"}, cache: {snapshot: "off"}}`)
	canXDP(t, n, binary, file)
	cmd, said := n.command(binary, "serve", "--config", file)
	cmd.Dir = "/"
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
	cmd.SysProcAttr.AmbientCaps = []uintptr{unix.CAP_NET_BIND_SERVICE, unix.CAP_NET_RAW, unix.CAP_NET_ADMIN, unix.CAP_BPF}
	// As LimitMEMLOCK= in the unit does; what the test has is inherited.
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}); err != nil {
		t.Fatal(err)
	}
	if err := n.begin(cmd); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Signal(syscall.SIGTERM)
	for range 100 {
		if strings.Contains(n.run("ip", "link", "show", "v0"), " xdp ") {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("the program is not there:\n%s", said)
}
