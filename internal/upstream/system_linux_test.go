package upstream

import (
	"net"
	"net/netip"
	"syscall"
	"testing"
)

// RFC 9715 §3.1: no DF, and path MTU is not believed.
func TestPathMTUIsIgnored(t *testing.T) {
	c, err := System{Random: func([]byte) {}}.DialUDP(t.Context(), netip.MustParseAddrPort("127.0.0.1:9"))
	if err != nil {
		t.Skipf("no loopback: %v", err)
	}
	defer c.Close()
	raw, err := c.(*net.UDPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var got int
	if err := raw.Control(func(fd uintptr) {
		got, err = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_MTU_DISCOVER)
	}); err != nil {
		t.Fatal(err)
	}
	if err != nil || got != pmtudiscOmit {
		t.Errorf("IP_MTU_DISCOVER is %d, %v", got, err)
	}
}
