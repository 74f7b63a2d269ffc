package lab_test

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"lastgood/internal/authority"
	"lastgood/internal/lab"
	"lastgood/internal/simauth"
)

func start(t *testing.T, o lab.Options) *lab.Lab {
	t.Helper()
	l, err := lab.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func resolve(t *testing.T, l *lab.Lab, name string, qtype uint16) ([]dns.RR, error) {
	t.Helper()
	w := simauth.Walker{Network: l.Network(), Hints: l.RootHints()}
	chain, _, err := w.Resolve(t.Context(), name, qtype)
	return chain, err
}

// Real sockets from the root down, over UDP and, for what is large, TCP.
func TestLabAnswers(t *testing.T) {
	l := start(t, lab.Options{})
	for _, c := range []struct {
		name    string
		qtype   uint16
		records int
	}{
		{"www.example.com.", dns.TypeA, 1},
		{"many.big.example.org.", dns.TypeA, 200},
		{"two.alias.example.com.", dns.TypeA, 3},
		{"www.v6only.example.net.", dns.TypeA, 1},
		{"www.noedns.example.net.", dns.TypeA, 1},
	} {
		if chain, err := resolve(t, l, c.name, c.qtype); err != nil || len(chain) != c.records {
			t.Errorf("%s: %d records, %v", c.name, len(chain), err)
		}
	}
}

func TestLatencyIsReal(t *testing.T) {
	l := start(t, lab.Options{})
	began := time.Now()
	if _, err := ask(t, l, "198.51.100.116:53", "www.slow.example.org."); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 200*time.Millisecond {
		t.Errorf("answered in %v", took)
	}
}

// ask puts one question over UDP to one server.
func ask(t *testing.T, l *lab.Lab, server, name string) (*dns.Msg, error) {
	t.Helper()
	conn, err := l.Network().DialUDP(t.Context(), netip.MustParseAddrPort(server))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return nil, err
	}
	q := new(dns.Msg)
	q.SetQuestion(name, dns.TypeA)
	co := &dns.Conn{Conn: conn}
	if err := co.WriteMsg(q); err != nil {
		return nil, err
	}
	return co.ReadMsg()
}

func TestFaultsByZoneServerAndSocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "run", "lab.sock")
	l := start(t, lab.Options{Socket: socket})
	rcode := func() int {
		m, err := ask(t, l, "198.51.100.1:53", "www.example.com.")
		if err != nil {
			t.Fatal(err)
		}
		return m.Rcode
	}
	if got := rcode(); got != dns.RcodeSuccess {
		t.Fatalf("rcode %d before any fault", got)
	}
	for _, target := range []string{"example.com", "EXAMPLE.com.", "ns1.example.com", "198.51.100.1", "2001:db8:1::1"} {
		said, err := lab.SendFault(t.Context(), socket, target, "servfail")
		if err != nil || !strings.Contains(said, "servfail") {
			t.Errorf("%s: %q, %v", target, said, err)
		}
		if got := rcode(); got != dns.RcodeServerFailure {
			t.Errorf("%s: rcode %d with the fault", target, got)
		}
		if list, err := lab.FetchList(t.Context(), socket); err != nil || !strings.Contains(list, "servfail") {
			t.Errorf("%s: list says %q, %v", target, list, err)
		}
		if _, err := lab.SendFault(t.Context(), socket, target, "off"); err != nil {
			t.Error(err)
		}
		if got := rcode(); got != dns.RcodeSuccess {
			t.Errorf("%s: rcode %d after the fault", target, got)
		}
	}
}

func TestFaultErrorsHelp(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "lab.sock")
	if _, err := lab.SendFault(t.Context(), socket, "example.com", "off"); err == nil || !strings.Contains(err.Error(), "no lab is running") {
		t.Errorf("without a lab: %v", err)
	}
	start(t, lab.Options{Socket: socket})
	for _, c := range []struct{ target, fault, want string }{
		{"exmaple.com", "off", "near it are example.com."},
		{"shop.exampel.com.", "off", "shop.example.com."},
		{"example.com", "sloow", "slow=800ms"},
		{"192.0.2.200", "off", "no zone and no server"},
		{"a..b", "off", "empty label"},
		{"", "off", ""},
	} {
		if _, err := lab.SendFault(t.Context(), socket, c.target, c.fault); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v", c.target, c.fault, err)
		}
	}
	if _, err := lab.Start(t.Context(), lab.Options{Socket: socket}); err == nil || !strings.Contains(err.Error(), "another lab") {
		t.Errorf("second lab: %v", err)
	}
}

// A socket that a dead lab left does not keep the next from starting; one in a
// directory that everybody can write to is refused.
func TestControlSocketIsOurs(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "lab.sock")
	leave(t, socket)
	start(t, lab.Options{Socket: socket})
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	open := filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := lab.Start(t.Context(), lab.Options{Socket: filepath.Join(open, "lab.sock")}); err == nil || !strings.Contains(err.Error(), "others can write") {
		t.Errorf("open directory: %v", err)
	}
}

// A fault set while the lab runs comes on top of what a server has for good.
func TestLastingFaultsStay(t *testing.T) {
	l := start(t, lab.Options{})
	for _, f := range []authority.Fault{{Flaws: authority.ServFail}, {}} {
		if err := l.SetFault("onedead.example.com.", f); err != nil {
			t.Fatal(err)
		}
	}
	if m, err := ask(t, l, "198.51.100.101:53", "www.onedead.example.com."); err == nil {
		t.Errorf("the dead server said %v", m)
	}
	if m, err := ask(t, l, "198.51.100.102:53", "www.onedead.example.com."); err != nil || len(m.Answer) != 1 {
		t.Errorf("the good server: %v, %v", m, err)
	}
}

func TestDialTCP(t *testing.T) {
	l := start(t, lab.Options{})
	for addr, want := range map[string]string{
		"198.51.100.112:53": "",
		"198.51.100.114:53": "connection refused",
		"198.51.100.101:53": "deadline exceeded",
		"192.0.2.200:53":    "no route to host",
		"198.51.100.112:54": "no route to host",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		conn, err := l.Network().DialTCP(ctx, netip.MustParseAddrPort(addr))
		if err == nil {
			conn.Close()
		}
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

// leave makes a socket file on which nobody listens any more.
func leave(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
}

// The lab that brings its own world has it signed, and says what to trust.
func TestTrustAnchors(t *testing.T) {
	l := start(t, lab.Options{})
	anchors := l.TrustAnchors()
	if len(anchors) != 1 || !strings.HasPrefix(anchors[0], ". ") || !strings.Contains(anchors[0], " IN DS ") {
		t.Fatalf("anchors %q", anchors)
	}
	keys, err := resolve(t, l, ".", dns.TypeDNSKEY)
	if err != nil || len(keys) != 2 {
		t.Fatalf("%v, %v", keys, err)
	}
	anchor, err := dns.NewRR(anchors[0])
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, rr := range keys {
		ds := rr.(*dns.DNSKEY).ToDS(dns.SHA256)
		found = found || ds.KeyTag == anchor.(*dns.DS).KeyTag && strings.EqualFold(ds.Digest, anchor.(*dns.DS).Digest)
	}
	if !found {
		t.Errorf("%s is of none of %v", anchors[0], keys)
	}
	w, err := lab.NewWorld()
	if err != nil {
		t.Fatal(err)
	}
	if l := start(t, lab.Options{World: w}); len(l.TrustAnchors()) > 0 {
		t.Error("a world that was given has anchors")
	}
}
