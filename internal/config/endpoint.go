package config

import (
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"lastgood/internal/dnsname"
)

// Endpoint is where to listen, or which server to ask.
type Endpoint struct {
	// Scheme is dns (UDP, and TCP where needed), tcp or, of a server to forward to,
	// tls; where to listen also xdp; https and quic are known but not in this version.
	Scheme string
	// Addr always has a port. Its address is the zero netip.Addr when Host or
	// Interface is given.
	Addr netip.AddrPort
	// Host is the name of a server whose addresses have to be looked up, ""
	// when there is an address.
	Host dnsname.Name
	// Interface is the network interface whose questions xdp takes, else "".
	Interface string
	// TLSName is the name or address that the certificate has to have, in lower case
	// without a final dot; "" without TLS.
	TLSName string
}

// String writes the endpoint as a configuration file does.
func (e Endpoint) String() string {
	s := e.Scheme + "://"
	switch {
	case e.Host != "":
		s += e.Host.String() + ":" + strconv.Itoa(int(e.Addr.Port()))
	case e.Interface != "":
		s += e.Interface + ":" + strconv.Itoa(int(e.Addr.Port()))
	default:
		s += e.Addr.String()
	}
	if e.TLSName != "" {
		s += "#" + e.TLSName
	}
	return s
}

// ControlAddr is where the control API listens; the zero value is nowhere.
type ControlAddr struct {
	Addr   netip.AddrPort // invalid when Socket is given or the API is off
	Socket string         // path of a unix socket
}

// Enabled tells whether there is anything to listen on.
func (a ControlAddr) Enabled() bool { return a.Socket != "" || a.Addr.IsValid() }

// String writes the address as a configuration file does.
func (a ControlAddr) String() string {
	switch {
	case a.Socket != "":
		return "unix:" + a.Socket
	case a.Addr.IsValid():
		return a.Addr.String()
	default:
		return "off"
	}
}

// portOf gives a scheme's port when none is written.
func portOf(scheme string) uint16 {
	switch scheme {
	case "https":
		return 443
	case "tls", "quic":
		return 853
	default:
		return 53
	}
}

// parseEndpoint reads "dns://192.0.2.1:53", "192.0.2.1", "[2001:db8::1]:53",
// where TLS is allowed "tls://192.0.2.1#name", and "ns1.example." where hosts are allowed.
func (o *Option) parseEndpoint(text string) (Endpoint, *problem) {
	e := Endpoint{Scheme: o.Values[0]}
	rest := text
	if scheme, after, ok := strings.Cut(text, "://"); ok {
		e.Scheme, rest = strings.ToLower(scheme), after
		if slices.Contains(o.Later, e.Scheme) {
			return e, &problem{e.Scheme + ":// is not in this version", "write " + o.schemes()}
		}
		if !slices.Contains(o.Values, e.Scheme) {
			return e, &problem{quote(text) + " has an unknown scheme", "write " + o.schemes()}
		}
	}
	rest, bad := o.cutTLSName(&e, text, rest)
	if bad != nil {
		return e, bad
	}
	if e.Scheme == "xdp" {
		return e, parseInterface(&e, text, rest)
	}
	if addr, ok := parseAddrPort(rest, portOf(e.Scheme)); ok {
		e.Addr = addr
		return e, o.checkPort(text, e.Scheme, addr.Port())
	}
	if !o.hosts {
		return e, &problem{quote(text) + " is no address and port", `write one such as "dns://192.0.2.1:53"`}
	}
	host, port, ok := cutPort(rest, portOf(e.Scheme))
	name, bad := parseName(host)
	if !ok || bad != nil || numericEnd(name) {
		return e, &problem{quote(text) + " is neither an address nor a server's name", `write one such as "192.0.2.1", "[2001:db8::1]:5353" or "ns1.example."`}
	}
	e.Host, e.Addr = name, netip.AddrPortFrom(netip.Addr{}, port)
	return e, o.checkPort(text, e.Scheme, port)
}

// maxInterfaceLen is how long an interface's name can be on Linux.
const maxInterfaceLen = 15

// parseInterface reads "eth0" and "eth0:5353".
func parseInterface(e *Endpoint, text, rest string) *problem {
	name, port, ok := cutPort(rest, portOf(e.Scheme))
	if _, isAddr := parseAddrPort(rest, 0); isAddr {
		return &problem{quote(text) + " names an address, and xdp:// takes what an interface receives", `write its name, such as "xdp://eth0" (ip address lists them)`}
	}
	if !ok || port == 0 || name == "" || len(name) > maxInterfaceLen || strings.ContainsAny(name, "/ \t\n%[]") {
		return &problem{quote(text) + " is no interface and port", `write one such as "xdp://eth0" or "xdp://eth0:5353"`}
	}
	e.Interface, e.Addr = name, netip.AddrPortFrom(netip.Addr{}, port)
	return nil
}

// cutTLSName takes what stands behind #: the name that the server's certificate
// must have. TLS without one would be TLS with anybody.
func (o *Option) cutTLSName(e *Endpoint, text, rest string) (string, *problem) {
	host, name, ok := strings.Cut(rest, "#")
	switch {
	case e.Scheme == "tls" && (!ok || name == ""):
		return rest, &problem{quote(text) + " does not say which name the server's certificate must have",
			"write it behind the address, such as " + strconv.Quote("tls://"+host+"#"+nameFor(host))}
	case !ok:
		return rest, nil
	case e.Scheme != "tls" && slices.Contains(o.Values, "tls"):
		return rest, &problem{quote(text) + " names a certificate (#" + name + "), which needs tls://",
			"write " + strconv.Quote("tls://"+host+"#"+name) + ", or " + strconv.Quote(host) + " for plain DNS"}
	case e.Scheme != "tls":
		return rest, &problem{quote(text) + " names a certificate (#" + name + "), which needs tls://, and that is not in this version",
			"write " + strconv.Quote(host)}
	}
	if e.TLSName, ok = certificateName(name); !ok {
		return rest, &problem{quote(name) + " is no name that a certificate can have", `write the server's name or address, such as "tls://192.0.2.1#dns.example"`}
	}
	return host, nil
}

// nameFor guesses the name of a server's certificate: its own, if it has one.
func nameFor(host string) string {
	if name, _, _ := cutPort(host, 0); name != "" && !strings.Contains(host, "[") {
		if n, ok := certificateName(name); ok && strings.Trim(n, "0123456789.") != "" {
			return n
		}
	}
	return "dns.example"
}

// certificateName reads a host's name, or an address, as certificates have them
// (RFC 9525 §6.3: no wildcard is asked for).
func certificateName(text string) (string, bool) {
	if a, err := netip.ParseAddr(text); err == nil {
		return a.Unmap().String(), a.Zone() == ""
	}
	name, bad := parseName(text)
	if bad != nil || name.IsRoot() || numericEnd(name) {
		return "", false
	}
	text = strings.ToLower(strings.TrimSuffix(name.String(), "."))
	for label := range strings.SplitSeq(text, ".") {
		if strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" || label[0] == '-' || label[len(label)-1] == '-' {
			return "", false
		}
	}
	return text, true
}

// checkPort refuses port 0 where a server has to be reached. Where the
// program listens itself, port 0 is any free port.
func (o *Option) checkPort(text, scheme string, port uint16) *problem {
	if port == 0 && o.hosts {
		return &problem{quote(text) + " has port 0", "write the port of the server, or none for " + strconv.Itoa(int(portOf(scheme)))}
	}
	return nil
}

// schemes lists what may stand before "://".
func (o *Option) schemes() string {
	return strings.Join(o.Values, ":// or ") + "://"
}

// parseAddrPort reads an address with or without a port; IPv6 needs brackets
// only when there is a port.
func parseAddrPort(text string, port uint16) (netip.AddrPort, bool) {
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), true
	}
	text = strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
	if addr, err := netip.ParseAddr(text); err == nil {
		return netip.AddrPortFrom(addr.Unmap(), port), true
	}
	return netip.AddrPort{}, false
}

// cutPort splits "name:port"; the port may be missing.
func cutPort(text string, port uint16) (string, uint16, bool) {
	host, digits, ok := strings.Cut(text, ":")
	if !ok {
		return host, port, true
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	return host, uint16(n), err == nil
}

// numericEnd tells whether the last label is all digits, as in a mistyped
// address; no host's name is so (RFC 1123 §2.1).
func numericEnd(name dnsname.Name) bool {
	if name.IsRoot() {
		return true
	}
	text := strings.TrimSuffix(name.String(), ".")
	last := text[strings.LastIndexByte(text, '.')+1:]
	return strings.Trim(last, "0123456789") == ""
}

// parseControl reads where the control API listens.
func parseControl(text string) (ControlAddr, *problem) {
	if text == "" || text == "off" {
		return ControlAddr{}, nil
	}
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		path = filepath.Clean(strings.TrimPrefix(path, "//"))
		if !strings.HasPrefix(path, "/") || path == "/" {
			return ControlAddr{}, &problem{quote(text) + " does not name a socket by its whole path", "write unix:/run/lastgood/control.sock"}
		}
		return ControlAddr{Socket: path}, nil
	}
	ap, err := netip.ParseAddrPort(text)
	if err != nil {
		return ControlAddr{}, &problem{quote(text) + " is no address and port", `write "127.0.0.1:8053", "unix:/run/lastgood/control.sock" or "off"`}
	}
	return ControlAddr{Addr: ap}, nil
}
