package conformance

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"lastgood/conformance/front"
)

const (
	consulDNS  = "127.0.0.31:8600"
	consulHTTP = "127.0.0.31:8500"
	consulTLS  = "127.0.0.32:853"
	consulName = "consul.example"
	service    = "web.service.consul."

	consulLatency = 200 * time.Millisecond
	staleWithin   = 3 * time.Second // with a client timeout of 500 ms, on a machine that does much else
	consulTTL     = 30 * time.Second
	// recheckedWithin is how soon the agent's return is noticed: a recheck a second,
	// on a machine that does much else.
	recheckedWithin = 10 * time.Second
)

// consulBinary is the program, which is not among those that a system has:
// CONSUL_BIN names it.
func consulBinary(t *testing.T) string {
	t.Helper()
	path := os.Getenv("CONSUL_BIN")
	if path == "" {
		missing := t.Skipf // at a desk; in CI nothing may be left out
		if os.Getenv("CI") != "" {
			missing = t.Fatalf
		}
		missing("SKIPPED: CONSUL_BIN does not name a consul (.ci/consul builds one)")
	}
	if _, err := exec.LookPath(path); err != nil {
		t.Fatalf("CONSUL_BIN: %v", err)
	}
	return path
}

// startConsul runs an agent that has the service at an address.
func (n *namespace) startConsul(binary, address string) *process {
	n.t.Helper()
	conf := n.write("consul.json", fmt.Sprintf(`{
  "node_name": "n1", "disable_update_check": true, "log_level": "warn",
  "addresses": {"dns": %q, "http": %q}, "ports": {"grpc": -1},
  "dns_config": {"service_ttl": {"*": %q}, "node_ttl": %[3]q, "soa": {"min_ttl": 5}},
  "service": {"name": "web", "address": %[4]q, "port": 80}
}`, host(consulDNS), host(consulHTTP), consulTTL, address))
	return n.start(consulDNS, "consul.", binary, "agent", "-dev", "-bind=127.0.0.1", "-config-file="+conf)
}

// move gives the service another address while the agent runs.
func (n *namespace) move(address string) {
	n.t.Helper()
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true, Dial: func(network, addr string) (net.Conn, error) { return n.dial(network, addr) },
	}}
	body := fmt.Sprintf(`{"Name": "web", "Address": %q, "Port": 80}`, address)
	req, err := http.NewRequest(http.MethodPut, "http://"+consulHTTP+"/v1/agent/service/register", strings.NewReader(body))
	if err != nil {
		n.t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	defer resp.Body.Close()
	if said, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		n.t.Fatalf("consul: %s: %s", resp.Status, said)
	}
}

// startFront puts TLS before the agent and gives the file of its issuer.
func (n *namespace) startFront() (*front.Front, string) {
	n.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		n.t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Consul's issuer"}, DNSNames: []string{consulName},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		n.t.Fatal(err)
	}
	var l net.Listener
	if n.inside(func() { l, err = net.Listen("tcp", consulTLS) }); err != nil {
		n.t.Fatal(err)
	}
	f := front.New(front.Config{
		Listener: l, Latency: consulLatency, Dial: func() (net.Conn, error) { return n.dial("tcp", consulDNS) },
		TLS: &tls.Config{NextProtos: []string{"dot"}, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
	})
	f.Run()
	n.t.Cleanup(f.Close)
	return f, n.write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
}

// reply is what the resolver said of the service.
type consulReply struct {
	address string
	ttl     uint32
	rcode   string
	errors  string // extended ones
	took    time.Duration
}

func (n *namespace) askConsul() consulReply {
	n.t.Helper()
	conn, err := n.dial("udp", resolverAt)
	if err != nil {
		n.t.Fatal(err)
	}
	defer conn.Close()
	q := new(dns.Msg)
	q.SetQuestion(service, dns.TypeA)
	q.SetEdns0(1232, false)
	c := dns.Conn{Conn: conn}
	c.SetDeadline(time.Now().Add(12 * time.Second))
	start := time.Now()
	if err := c.WriteMsg(q); err != nil {
		n.t.Fatal(err)
	}
	m, err := c.ReadMsg()
	if err != nil {
		n.t.Fatal(err)
	}
	r := consulReply{rcode: dns.RcodeToString[m.Rcode], took: time.Since(start)}
	for _, rr := range m.Answer {
		if a, ok := rr.(*dns.A); ok {
			r.address, r.ttl = a.A.String(), a.Hdr.Ttl
		}
	}
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if e, ok := o.(*dns.EDNS0_EDE); ok {
				r.errors += fmt.Sprintf("%d %s;", e.InfoCode, e.ExtraText)
			}
		}
	}
	return r
}

// TestConsul forwards consul. over TLS to a real agent that is 200 ms away, whose
// records have a TTL of 30 s.
func TestConsul(t *testing.T) {
	consul := consulBinary(t)
	binary := build(t)
	n := newNamespace(t)
	agent := n.startConsul(consul, "203.0.113.1")
	f, ca := n.startFront()
	conf := n.write("lastgood.yaml", fmt.Sprintf(`listen: ["dns://%s"]
control: {listen: "off"}
cache: {snapshot: "off"}
recursion: {do-not-query: []}
dnssec: {validation: false}
forward: [{zone: "consul.", to: ["tls://%s#%s"], tls-ca: %q}]
stale: {zones: [{zone: "consul.", client-timeout: 500ms, max-stale: 1h, positive-only: true}]}
`, resolverAt, consulTLS, consulName, ca))
	n.start(resolverAt, "consul.", binary, "serve", "--config", conf)

	t.Run("the front itself", func(t *testing.T) { frontCases(t, n, ca) })
	want := func(what, address string, errors bool) consulReply {
		t.Helper()
		r := n.askConsul()
		t.Logf("%s: %+v", what, r)
		if r.address != address || r.ttl > uint32(consulTTL/time.Second) || (r.errors != "") != errors {
			t.Errorf("%s: want %s", what, address)
		}
		return r
	}
	// Settled: one connection carries what is asked, and the cache the rest.
	if r := want("first", "203.0.113.1", false); r.took < consulLatency {
		t.Errorf("took %v", r.took)
	}
	if r := want("cached", "203.0.113.1", false); r.took > consulLatency/2 {
		t.Errorf("took %v", r.took)
	}
	before := f.Stats().Connections
	n.move("203.0.113.2")
	eventually(t, "the new address", consulTTL+5*time.Second, func() bool { return n.askConsul().address == "203.0.113.2" })
	if f.Stats().Connections > before+1 {
		t.Errorf("%d connections for one question", f.Stats().Connections-before)
	}

	agent.stop()
	<-time.After(consulTTL + time.Second)
	if r := want("the agent is gone", "203.0.113.2", true); !strings.HasPrefix(r.errors, "3 ") || r.took > staleWithin {
		t.Errorf("no stale answer in time: %+v", r)
	}
	if r := want("again", "203.0.113.2", true); r.took > consulLatency {
		t.Errorf("waited for what is known to be gone: %v", r.took)
	}
	n.startConsul(consul, "203.0.113.3")
	back := time.Now()
	eventually(t, "the agent that is back", recheckedWithin, func() bool { r := n.askConsul(); return r.address == "203.0.113.3" && r.errors == "" })
	t.Logf("fresh %v after the agent answered; %+v", time.Since(back), f.Stats())
}

// frontCases sees by other means that TLS and the agent are as the test believes.
func frontCases(t *testing.T, n *namespace, ca string) {
	t.Helper()
	ask := func(name string) string {
		cmd, said := n.command("kdig", "@"+host(consulTLS), "-p", "853", "+tls", "+tls-ca="+ca, "+tls-hostname="+name, "+timeout=5", "+retry=0", service, "A")
		if err := n.begin(cmd); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		return said.String()
	}
	if out := ask(consulName); !strings.Contains(out, "TLS session") || !strings.Contains(out, "203.0.113.1") {
		t.Errorf("kdig over TLS:\n%s", out)
	}
	if out := ask("other.example"); strings.Contains(out, "203.0.113.1") {
		t.Errorf("kdig believes a certificate for another name:\n%s", out)
	}
}

// eventually asks again and again until something holds.
func eventually(t *testing.T, what string, patience time.Duration, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); <-time.After(200 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Errorf("not within %v: %s", patience, what)
}
