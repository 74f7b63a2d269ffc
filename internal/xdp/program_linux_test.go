package xdp

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// TestLoads is what a process of its own does for testProgram.
func TestLoads(t *testing.T) {
	if os.Getenv("XDP_TEST_LOADS") == "" {
		t.Skip("run by testProgram")
	}
	p, err := loadProgram(server4.Port())
	if err != nil {
		t.Fatal(err)
	}
	p.close()
}

// loads tells whether programs can be loaded here. A process of its own finds out:
// in a kernel that is stuck, nothing would end one that tries.
func loads() error {
	cmd := exec.Command(os.Args[0], "-test.run=^TestLoads$")
	cmd.Env = append(os.Environ(), "XDP_TEST_LOADS=1")
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-time.After(20 * time.Second):
		cmd.Process.Kill()
		return errors.New("it takes longer than 20 s: this kernel is stuck")
	}
}

var loadsOnce = sync.OnceValue(loads)

// testProgram loads the program with the test's addresses, and a socket for queue 0.
// At a desk a test that may not is skipped; in CI, where the tests run as root, it fails.
func testProgram(t testing.TB) *program {
	t.Helper()
	unable := t.Skipf
	if os.Getenv("CI") != "" && os.Geteuid() == 0 {
		unable = t.Fatalf
	}
	if os.Getenv("LASTGOOD_TEST_XDP") == "" {
		// Loading programs and ending them again and again has stuck a kernel (6.18)
		// for good, so nobody does it by running all tests.
		t.Skip("SKIPPED: BPF programs are loaded with LASTGOOD_TEST_XDP=1 only")
	}
	if os.Geteuid() != 0 {
		unable("SKIPPED: BPF programs are loaded by root alone")
	}
	if err := loadsOnce(); err != nil {
		unable("SKIPPED: BPF programs cannot be loaded here: %v", err)
	}
	p, err := loadProgram(server4.Port())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		unable("SKIPPED: no AF_XDP sockets here: %v", err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.SetsockoptInt(fd, unix.SOL_XDP, unix.XDP_RX_RING, 64); err != nil {
		t.Fatal(err)
	}
	if err := p.sockets.Put(uint32(0), uint32(fd)); err != nil {
		t.Fatal(err)
	}
	mac := place{}
	copy(mac[:], serverMAC[:])
	if err := p.serve(nil, map[netip.Addr]place{server4.Addr(): mac, server6.Addr(): mac}); err != nil {
		t.Fatal(err)
	}
	return p
}

// Verdicts of the kernel.
const (
	toKernel = 2 // XDP_PASS
	toUs     = 4 // XDP_REDIRECT
)

func verdict(t testing.TB, p *program, frame []byte) uint32 {
	t.Helper()
	v, err := p.prog.Run(&ebpf.RunOptions{Data: frame})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestProgram runs the program in the kernel, on frames of all kinds.
func TestProgram(t *testing.T) {
	p := testProgram(t)
	payload := make([]byte, 30)
	v4, v6 := packet(client4, server4, payload), packet(client6, server6, payload)
	for _, c := range []struct {
		name  string
		frame []byte
		want  uint32
	}{
		{"a question over IPv4", v4, toUs},
		{"a question over IPv6", v6, toUs},
		{"the longest that fits", packet(client4, server4, make([]byte, maxFrame-udpV4-udpLen)), toUs},
		{"an octet longer", packet(client4, server4, make([]byte, maxFrame-udpV4-udpLen+1)), toKernel},
		{"the longest that fits, IPv6", packet(client6, server6, make([]byte, maxFrame-udpV6-udpLen)), toUs},
		{"an octet longer, IPv6", packet(client6, server6, make([]byte, maxFrame-udpV6-udpLen+1)), toKernel},
		{"no payload", packet(client4, server4, nil), toUs},
		{"no payload, IPv6", packet(client6, server6, nil), toUs},
		{"an octet short of the headers, IPv6", packet(client6, server6, nil)[:udpV6+udpLen-1], toKernel},
		{"an octet short of the headers", packet(client4, server4, nil)[:udpV4+udpLen-1], toKernel},
		{"another port", changed(v4, udpV4+2, 0, 54), toKernel},
		{"another port, IPv6", changed(v6, udpV6+2, 0, 54), toKernel},
		{"the port the wrong way round", changed(v4, udpV4+2, 53, 0), toKernel},
		{"from port 53 to another", changed(v4, udpV4, 0, 53, 0x9c, 0x40), toKernel},
		{"another address", changed(v4, fromV4+4, 192, 0, 2, 2), toKernel},
		{"another address, IPv6", changed(v6, fromV6+16+15, 2), toKernel},
		{"the IPv4 address mapped into IPv6", changed(v6, fromV6+16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1), toKernel},
		{"broadcast", changed(v4, fromV4+4, 255, 255, 255, 255), toKernel},
		{"multicast", changed(v6, fromV6+16, 0xff, 2), toKernel},
		{"another's MAC", changed(v4, 5, 9), toKernel},
		{"another's MAC, in its first part", changed(v4, 0, 6), toKernel},
		{"everybody's MAC", changed(v4, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), toKernel},
		{"TCP", changed(v4, protoV4, 6), toKernel},
		{"TCP over IPv6", changed(v6, protoV6, 6), toKernel},
		{"ICMP", changed(v4, protoV4, 1), toKernel},
		{"IP options", changed(v4, ipAt, 0x46), toKernel},
		{"IP version 6 in a frame of type IPv4", changed(v4, ipAt, 0x65), toKernel},
		{"IP version 4 in a frame of type IPv6", changed(v6, ipAt, 0x45), toKernel},
		{"a first fragment", changed(v4, ipAt+6, 0x20, 0), toKernel},
		{"a later fragment", changed(v4, ipAt+6, 0, 4), toKernel},
		{"the reserved bit", changed(v4, ipAt+6, 0x80, 0), toKernel},
		{"may be fragmented, and is not", changed(v4, ipAt+6, 0, 0), toUs},
		{"a fragment over IPv6", changed(v6, protoV6, 44), toKernel},
		{"hop-by-hop options", changed(v6, protoV6, 0), toKernel},
		{"VLAN", append(append(append([]byte{}, v4[:12]...), 0x81, 0, 0, 5), v4[12:]...), toKernel},
		{"VLAN, IPv6", append(append(append([]byte{}, v6[:12]...), 0x81, 0, 0, 5), v6[12:]...), toKernel},
		{"ARP", changed(append(append([]byte{}, v4[:12]...), make([]byte, 46)...), typeAt, 0x08, 0x06), toKernel},
	} {
		if got := verdict(t, p, c.frame); got != c.want {
			t.Errorf("%s: verdict %d, want %d", c.name, got, c.want)
		}
	}
}

// TestProgramWithoutSocket passes up what comes on a queue that has none.
func TestProgramWithoutSocket(t *testing.T) {
	p := testProgram(t)
	if err := p.sockets.Delete(uint32(0)); err != nil {
		t.Fatal(err)
	}
	if got := verdict(t, p, packet(client4, server4, make([]byte, 30))); got != toKernel {
		t.Errorf("verdict %d", got)
	}
}

// TestServe follows an interface that gains and loses addresses, and gets another MAC.
func TestServe(t *testing.T) {
	p := testProgram(t)
	frame := packet(client4, server4, make([]byte, 30))
	mac := place{}
	copy(mac[:], serverMAC[:])
	first := map[netip.Addr]place{server4.Addr(): mac, server6.Addr(): mac}
	second := map[netip.Addr]place{server6.Addr(): mac}
	if err := p.serve(first, second); err != nil {
		t.Fatal(err)
	}
	if got := verdict(t, p, frame); got != toKernel {
		t.Errorf("an address that is gone: verdict %d", got)
	}
	mac[5] = 9
	if err := p.serve(second, map[netip.Addr]place{server4.Addr(): mac}); err != nil {
		t.Fatal(err)
	}
	if got := verdict(t, p, frame); got != toKernel {
		t.Errorf("to the MAC of before: verdict %d", got)
	}
	if got := verdict(t, p, changed(frame, 5, 9)); got != toUs {
		t.Errorf("to the new MAC: verdict %d", got)
	}
}

// TestProgramAgreesWithParse compares the two on frames of which octets were replaced
// at random: what is a question of ours the program must give us, and what it gives us
// must be one, if no length or checksum is wrong.
func TestProgramAgreesWithParse(t *testing.T) {
	p := testProgram(t)
	r := rand.New(rand.NewPCG(3, 4))
	seeds := [][]byte{packet(client4, server4, make([]byte, 20)), packet(client6, server6, make([]byte, 20))}
	values := []byte{0, 1, 4, 5, 6, 8, 17, 20, 44, 53, 0x40, 0x45, 0x60, 0x80, 0x81, 0x86, 0xdd, 0xff}
	taken, passed := 0, 0
	for range 20_000 {
		frame := bytes.Clone(seeds[r.IntN(2)])
		for range r.IntN(3) {
			at := r.IntN(min(len(frame), udpV6+udpLen))
			frame = changed(frame, at, values[r.IntN(len(values))])
		}
		if r.IntN(10) > 0 {
			frame = summed(frame)
		}
		frame = frame[:len(frame)-r.IntN(2)*r.IntN(len(frame)-ethernetLen)]
		given := verdict(t, p, frame) == toUs
		if d, why := parse(frame); why == fine && given != ours(d) {
			t.Fatalf("given: %v, ours: %v: %x", given, ours(d), frame)
		}
		if given {
			taken++
		} else {
			passed++
		}
	}
	if taken < 1000 || passed < 1000 {
		t.Errorf("%d were taken, %d passed up", taken, passed)
	}
}

// ours tells whether a datagram is to the test's server.
func ours(d datagram) bool {
	to, port := d.headers[fromV4+4:udpV4], d.headers[udpV4+2:]
	want := server4.Addr().AsSlice()
	if d.from.Is6() {
		to, port, want = d.headers[fromV6+16:udpV6], d.headers[udpV6+2:], server6.Addr().AsSlice()
	}
	return bytes.Equal(to, want) && port[0] == 0 && port[1] == 53 && [6]byte(d.headers) == serverMAC
}
