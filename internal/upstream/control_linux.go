package upstream

import "syscall"

// pmtudiscOmit is IP_PMTUDISC_OMIT and IPV6_PMTUDISC_OMIT of the kernel's
// headers: no DF, and forged "fragmentation needed" messages are not believed.
const pmtudiscOmit = 5

// setUDPOptions sets a UDP socket's options. A kernel that does not know them
// does without: they harden, nothing depends on them.
func setUDPOptions(v6 bool, fd int) {
	if v6 {
		_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_IPV6, syscall.IPV6_MTU_DISCOVER, pmtudiscOmit)
		return
	}
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_IP, syscall.IP_MTU_DISCOVER, pmtudiscOmit)
}

func udpControl(network, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) { setUDPOptions(network == "udp6", int(fd)) })
}
