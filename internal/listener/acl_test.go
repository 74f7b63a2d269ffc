package listener

import (
	"math/rand/v2"
	"net/netip"
	"testing"
)

func TestACLEdges(t *testing.T) {
	a := newACL([]netip.Prefix{
		netip.MustParsePrefix("192.0.2.64/26"), netip.MustParsePrefix("192.0.2.96/27"), // inside the first
		netip.MustParsePrefix("198.51.100.7/32"), netip.MustParsePrefix("2001:db8:1::/48"),
		netip.MustParsePrefix("2001:db8:2::5/128"), netip.MustParsePrefix("::ffff:203.0.113.0/120"), {},
	})
	for addr, want := range map[string]bool{
		"192.0.2.63": false, "192.0.2.64": true, "192.0.2.127": true, "192.0.2.128": false,
		"198.51.100.6": false, "198.51.100.7": true, "198.51.100.8": false,
		"203.0.113.0": true, "203.0.113.255": true, "203.0.114.0": false,
		"2001:db8::ffff": false, "2001:db8:1::": true, "2001:db8:1:ffff:ffff:ffff:ffff:ffff": true, "2001:db8:2::": false,
		"2001:db8:2::5": true, "2001:db8:2::6": false, "::": false, "::c000:240": false,
	} {
		if got := a.contains(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v, want %v", addr, got, want)
		}
	}
	all := newACL([]netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")})
	for _, addr := range []string{"0.0.0.0", "255.255.255.255", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"} {
		if !all.contains(netip.MustParseAddr(addr)) {
			t.Errorf("%s is not in everything", addr)
		}
	}
	if none := newACL(nil); none.contains(netip.MustParseAddr("127.0.0.1")) {
		t.Error("the empty list lets somebody in")
	}
}

// TestACLAgainstLinearSearch compares with what netip says, on narrow random
// prefixes so that hits and misses are both common.
func TestACLAgainstLinearSearch(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	hits := 0
	for range 200 {
		var prefixes []netip.Prefix
		for range r.IntN(20) {
			if r.IntN(2) == 0 {
				prefixes = append(prefixes, netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(r.Uint32())}), 24+r.IntN(9)))
			} else {
				prefixes = append(prefixes, netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0x20, 7: byte(r.Uint32()), 8: byte(r.Uint32())}), 56+r.IntN(17)))
			}
		}
		a := newACL(prefixes)
		for range 100 {
			addr := netip.AddrFrom4([4]byte{192, 0, 2, byte(r.Uint32())})
			if r.IntN(2) == 0 {
				addr = netip.AddrFrom16([16]byte{0: 0x20, 7: byte(r.Uint32()), 8: byte(r.Uint32()), 15: byte(r.Uint32())})
			}
			want := false
			for _, p := range prefixes {
				want = want || p.Contains(addr)
			}
			if want {
				hits++
			}
			if got := a.contains(addr); got != want {
				t.Fatalf("%s in %v: %v, want %v", addr, prefixes, got, want)
			}
		}
	}
	if hits < 1000 || hits > 19000 {
		t.Errorf("%d hits of 20,000: the test does not test", hits)
	}
}

func TestClientKey(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::", "2001:db8:1:2::": "2001:db8:1:2::",
	} {
		if got := clientKey(netip.MustParseAddr(addr)).String(); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}
