package iterator

import (
	"net/netip"
	"testing"

	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/wire"
)

// What a client is told of a failure says once who it was.
func TestSentence(t *testing.T) {
	asked := event.Question{Name: dnsname.MustParse("web.consul."), Type: wire.TypeA}
	for _, c := range []struct {
		f    failure
		want string
	}{
		{failure{addr: netip.MustParseAddrPort("192.0.2.1:53"), text: "did not answer"}, "192.0.2.1 did not answer for web.consul. A"},
		{failure{addr: netip.MustParseAddrPort("192.0.2.1:853"), text: "192.0.2.1:853 over tls: connect: EOF"}, "192.0.2.1:853 over tls: connect: EOF for web.consul. A"},
		{failure{addr: netip.MustParseAddrPort("192.0.2.1:53"), host: dnsname.MustParse("ns1.consul."), text: "192.0.2.1:53 over tcp: connect: connection refused"},
			"ns1.consul. 192.0.2.1 over tcp: connect: connection refused for web.consul. A"},
	} {
		c.f.asked = asked
		if got := c.f.sentence(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
