package iterator

import (
	"slices"
	"testing"
	"testing/synctest"
)

// small is a root, two top-level domains and some domains under them.
const small = `
@192.0.2.1 .
.                 86400 SOA a.root. host.root. 86400
.                 86400 NS a.root.
a.root.           86400 A 192.0.2.1
com.              86400 NS a.gtld.net.
a.gtld.net.       86400 A 192.0.2.2
net.              86400 NS a.gtld.net.

@192.0.2.2 com.
com.                   900 SOA a.gtld.net. host.com. 900
com.                 86400 NS a.gtld.net.
example.com.          3600 NS ns1.example.com.
example.com.          3600 NS ns2.example.com.
ns1.example.com.      3600 A 192.0.2.11
ns2.example.com.      3600 A 192.0.2.12
glueless.com.         3600 NS ns.other.net.

@192.0.2.2 net.
net.                   900 SOA a.gtld.net. host.net. 900
net.                 86400 NS a.gtld.net.
a.gtld.net.          86400 A 192.0.2.2
other.net.            3600 NS ns.other.net.
ns.other.net.         3600 A 192.0.2.21

@192.0.2.11 example.com.
example.com.           300 SOA ns1.example.com. host.example.com. 60
example.com.          3600 NS ns1.example.com.
example.com.          3600 NS ns2.example.com.
ns1.example.com.      3600 A 192.0.2.11
ns2.example.com.      3600 A 192.0.2.12
www.example.com.       300 A 198.51.100.1
alias.example.com.     300 CNAME www.example.com.
away.example.com.      300 CNAME www.glueless.com.
nowhere.example.com.   300 CNAME none.example.com.
deep.a.b.example.com.  300 A 198.51.100.2
dn.example.com.        300 DNAME example.com.
loop.example.com.      300 CNAME loop.example.com.

@192.0.2.12 example.com.
example.com.           300 SOA ns1.example.com. host.example.com. 60
example.com.          3600 NS ns1.example.com.
example.com.          3600 NS ns2.example.com.
ns1.example.com.      3600 A 192.0.2.11
ns2.example.com.      3600 A 192.0.2.12
www.example.com.       300 A 198.51.100.1
alias.example.com.     300 CNAME www.example.com.
away.example.com.      300 CNAME www.glueless.com.
nowhere.example.com.   300 CNAME none.example.com.
deep.a.b.example.com.  300 A 198.51.100.2
dn.example.com.        300 DNAME example.com.
loop.example.com.      300 CNAME loop.example.com.

@192.0.2.21 other.net.
other.net.             300 SOA ns.other.net. host.other.net. 60
other.net.            3600 NS ns.other.net.
ns.other.net.         3600 A 192.0.2.21

@192.0.2.21 glueless.com.
glueless.com.          300 SOA ns.other.net. host.glueless.com. 60
glueless.com.         3600 NS ns.other.net.
www.glueless.com.      300 A 198.51.100.3
`

func TestResolve(t *testing.T) {
	for _, c := range []struct{ name, typ, want string }{
		{"www.example.com.", "A", "www.example.com. A 300 198.51.100.1"},
		{"alias.example.com.", "A", "alias.example.com. CNAME 300 www.example.com.\nwww.example.com. A 300 198.51.100.1"},
		{"alias.example.com.", "CNAME", "alias.example.com. CNAME 300 www.example.com."},
		{"away.example.com.", "A", "away.example.com. CNAME 300 www.glueless.com."},
		{"nowhere.example.com.", "A", "nowhere.example.com. CNAME 300 none.example.com.\nnone.example.com. NXDOMAIN 60"},
		{"www.example.com.", "AAAA", "www.example.com. NODATA AAAA 60"},
		{"alias.example.com.", "AAAA", "alias.example.com. CNAME 300 www.example.com.\nwww.example.com. NODATA AAAA 60"},
		{"b.example.com.", "A", "b.example.com. NODATA A 60"},
		{"deep.a.b.example.com.", "A", "deep.a.b.example.com. A 300 198.51.100.2"},
		{"none.example.com.", "A", "none.example.com. NXDOMAIN 60"},
		{"none.com.", "A", "none.com. NXDOMAIN 900"},
		{"www.glueless.com.", "A", "www.glueless.com. A 300 198.51.100.3"},
		{"www.dn.example.com.", "A", "dn.example.com. DNAME 300 example.com.\nwww.example.com. A 300 198.51.100.1"},
		{"loop.example.com.", "A", "loop.example.com. CNAME 300 loop.example.com."},
		{"example.com.", "DS", "example.com. NODATA DS 900"},
		{"example.com.", "NS", "example.com. NS 3600 ns1.example.com.\nexample.com. NS 3600 ns2.example.com."},
		{".", "NS", ". NS 86400 a.root."},
		{".", "DS", ". NODATA DS 86400"},
	} {
		for _, mode := range []Mode{Relaxed, Strict, Off} {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, small)
				w.opts.Minimise = mode
				w.start()
				for range 2 { // cold, and from what is known then
					got := w.resolve(c.name, c.typ)
					if show(got) != c.want {
						t.Errorf("%s %s, mode %d: got\n%s\nwant\n%s", c.name, c.typ, mode, show(got), c.want)
					}
				}
			})
		}
	}
}

func TestMinimisedPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, small).start()
		w.server("192.0.2.12").rtt = 11 * 1e6
		w.resolve("deep.a.b.example.com.", "TXT")
		got := w.asked()
		for i := range got { // either server of example.com.
			if got[i][:10] == "192.0.2.12" {
				got[i] = "192.0.2.11" + got[i][10:]
			}
		}
		want := []string{
			"192.0.2.1 . NS",
			"192.0.2.1 com. A",
			"192.0.2.2 example.com. A",
			"192.0.2.11 b.example.com. A",
			"192.0.2.11 a.b.example.com. A",
			"192.0.2.11 deep.a.b.example.com. TXT",
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %q\nwant %q", got, want)
		}
	})
}
