package config

import (
	"slices"
	"testing"

	"lastgood/internal/dnsname"
	"lastgood/internal/rrset"
)

// FuzzRecord: no line makes the parser of local data panic, and what it takes is
// one record of a type and name that can be answered with.
func FuzzRecord(f *testing.F) {
	for _, line := range []string{
		"printer.corp.example. 300 IN A 192.0.2.9", "*.dev.example. CNAME web.corp.example.", `a TXT "two words" more ; comment`,
		"a.example. HTTPS 1 . alpn=h2 ipv4hint=192.0.2.1", `\052.example. AAAA ::1`, `a TYPE65280 \# 2 abcd`,
		"$ORIGIN example.\na A 192.0.2.1", "$GENERATE 1-3 a$ A 192.0.2.1", "$INCLUDE x", "a CH TXT x", "a ( A\n192.0.2.1 )", "a DNAME b", " CNAME ", "a A ", "a SOA b c 1 2 3 4 5",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		s, bad := parseRecord(line)
		if bad != nil {
			if bad.msg == "" || bad.hint == "" {
				t.Errorf("%q: no words: %+v", line, bad)
			}
			return
		}
		if s.Data.Len() != 1 || s.Type.IsMeta() || localType(s.Type) != nil {
			t.Errorf("%q: accepted %v", line, s)
		}
		if name, err := dnsname.FromWire([]byte(s.Name)); err != nil || name != s.Name {
			t.Errorf("%q: the owner is %q, %v", line, s.Name, err)
		}
		text := rrset.Line(s.Name, s.TTL, s.Type, s.Data.First())
		again, bad := parseRecord(text)
		if bad != nil || again.Name != s.Name || again.Type != s.Type || string(again.Data) != string(s.Data) {
			t.Errorf("%q is read as %v, and written as %q, %v", line, s, text, bad)
		}
	})
}

// FuzzValues: no text makes the parser of a value panic, and what it takes can be
// written and read again.
func FuzzValues(f *testing.F) {
	for _, text := range []string{
		"dns://192.0.2.1:53", "[2001:db8::1]:5353", "tcp://ns1.example.:53", "tls://192.0.2.1#x", "tls://[2001:db8::1]:8853#Dns.Example.", "tls://dns.example.#192.0.2.1", "tls://192.0.2.1", "tls://a#*.example", "tls://a#", "TLS://::ffff:192.0.2.1#_x.y", "fe80::1%eth0", "::ffff:192.0.2.1", "10.0.0.0/8",
		"unix:/run/x.sock", "127.0.0.1:8053", "off", "1d12h", "256MiB", "corp.example.", `\000\.a.`, "2026-12-01T00:00:00Z", "no", "50", "[::1", "a:b:1",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for i := range table {
			o := &table[i]
			if !slices.Contains(o.Values, "dns") {
				continue
			}
			if e, bad := o.parseEndpoint(text); bad == nil {
				if again, bad := o.parseEndpoint(e.String()); bad != nil || again != e {
					t.Errorf("%s: %q is %+v, and again %+v, %v", o.Key, text, e, again, bad)
				}
			}
		}
		if a, bad := parseControl(text); bad == nil {
			if again, bad := parseControl(a.String()); bad != nil || again != a {
				t.Errorf("%q is %+v, and again %+v, %v", text, a, again, bad)
			}
		}
		if p, bad := parsePrefix(text); bad == nil {
			if again, bad := parsePrefix(p.String()); bad != nil || again != p || !p.IsValid() {
				t.Errorf("%q is %v, and again %v, %v", text, p, again, bad)
			}
		}
		if n, bad := parseName(text); bad == nil {
			if again, bad := parseName(n.String()); bad != nil || again != n {
				t.Errorf("%q is %v, and again %v, %v", text, n, again, bad)
			}
		}
		if d, bad := parseDuration(text); bad == nil && d < 0 {
			t.Errorf("%q is %v", text, d)
		}
		if s, bad := parseSize(text); bad == nil && s < 0 {
			t.Errorf("%q is %v", text, s)
		}
		parseTime(text)
		parseBool(text)
		parseInt(text)
	})
}
