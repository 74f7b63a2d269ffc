package config

import (
	"fmt"
	"strings"
	"testing"

	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

func TestLocalData(t *testing.T) {
	c, err := Parse("f", []byte(`local-data:
  - "printer.corp.example. 300 IN A 192.0.2.9"
  - 'Web.Corp.Example TXT "two words" more ; a comment'
  - "*.dev.example. CNAME web.corp.example."
local-zones: [{zone: corp.example, type: static}]
`))
	if err != nil {
		t.Fatal(err)
	}
	type want struct {
		name string
		typ  wire.Type
		ttl  uint32
		data string
	}
	for i, w := range []want{
		{"printer.corp.example.", wire.TypeA, 300, "\xc0\x00\x02\x09"},
		{"web.corp.example.", wire.TypeTXT, 3600, "\x09two words\x04more"},
		{"*.dev.example.", wire.TypeCNAME, 3600, string(dnsname.MustParse("web.corp.example."))},
	} {
		got := c.LocalData[i]
		if got.Name != dnsname.MustParse(w.name) || got.Type != w.typ || got.TTL != w.ttl || string(got.Data.First()) != w.data || got.Data.Len() != 1 {
			t.Errorf("record %d: %v %v %d %q", i, got.Name, got.Type, got.TTL, got.Data)
		}
	}
	if z := c.LocalZones[0]; z.Zone != dnsname.MustParse("corp.example.") || z.Type != "static" {
		t.Errorf("zone %v", z)
	}
}

// Each mistake has a line and a remedy.
func TestLocalDataMessages(t *testing.T) {
	for _, c := range []struct{ file, want string }{
		{"local-data:\n- a.example. A 192.0.2.256", `f:2: local-data: "a.example. A 192.0.2.256" is no record (bad A A: "192.0.2.256"); write one such as "printer.corp.example. 300 IN A 192.0.2.9"`},
		{"local-data: [a.example.]", `f:1: local-data: "a.example." is no record (`},
		{`local-data: [""]`, `f:1: local-data: "" is not one record; write one such as`},
		{`local-data: ["$GENERATE 1-2 a$ A 192.0.2.$"]`, `is not one record; write one such as`},
		{`local-data: ["$INCLUDE /etc/passwd"]`, `is no record (`},
		{`local-data: ["a. CH TXT x"]`, `f:1: local-data: "a. CH TXT x" is no record (class is not IN)`},
		{`local-data: ["a. DNAME b."]`, `f:1: local-data: DNAME is not answered locally; write a local zone of the type redirect with a CNAME at its apex`},
		{`local-data: ["a. DS 1 8 2 00"]`, `f:1: local-data: DS is not answered locally; local data is not signed; serve the zone elsewhere and name its servers under stub`},
		{`local-data: ["x.*.a. A 192.0.2.1"]`, `f:1: local-data: "x.*.a. A 192.0.2.1" has an asterisk that is not its first label`},
		{"local-data:\n- a. CNAME b.\n- A. CNAME c.", `f:3: local-data: a. has two CNAME records; delete one`},
		{"local-data:\n- a. CNAME b.\n- a. A 192.0.2.1", `f:3: local-data: a. has a CNAME record and others; delete one: an alias stands alone (RFC 2181 §10.1)`},
		{"local-zones:\n- {zone: a, type: static}\n- {zone: a., type: refuse}", `f:3: local-zones: zone "a." is already in local-zones on line 2; delete one`},
		{"local-zones: [{zone: a, type: statik}]", `f:1: local-zones[].type: "statik" is not allowed; did you mean "static"? Allowed are transparent, type-transparent, static, refuse, nxdomain, redirect`},
		{"local-zones: [{zone: a, type: nxdomain}]\nlocal-data: [x.a. A 192.0.2.1]", `f:2: local-data: nothing exists in the local zone "a."; delete the record, or make the zone static`},
		{"local-zones: [{zone: a, type: redirect}]\nlocal-data: [a. A 192.0.2.1, x.a. A 192.0.2.1]", `f:2: local-data: all names of the local zone "a." have the data of its apex; move the record there, or make the zone static`},
	} {
		_, err := Parse("f", []byte(c.file+"\n"))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s:\ngot  %v\nwant %s", c.file, err, c.want)
		}
	}
	const fine = "local-zones: [{zone: a, type: nxdomain}, {zone: b.a, type: static}]\nlocal-data: [x.b.a. A 192.0.2.1]\n"
	if _, err := Parse("f", []byte(fine)); err != nil {
		t.Errorf("a zone within a zone: %v", err)
	}
}

// A blank too many, and a record without data: once the first ended the program,
// and the second was answered with.
func TestRecordsWithoutNameOrData(t *testing.T) {
	for text, want := range map[string]string{
		" CNAME ": "no owner name", " A 192.0.2.1": "no owner name", "a.example. A ": "A", "a.example. 300 IN CNAME ": "CNAME", "a.example. TXT ": "TXT",
		"a.example. SOA ": "SOA", "a.example. HTTPS ": "HTTPS", `a.example. A \# 0`: "", `a.example. A \# 3 010203`: "",
	} {
		_, err := Parse("f", []byte(fmt.Sprintf("local-data: [%q]\n", text)))
		if err == nil || !strings.Contains(err.Error(), "f:1: local-data: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A zone covers all that is below it; an asterisk would cover nothing.
func TestLocalZoneIsNoWildcard(t *testing.T) {
	_, err := Parse("f", []byte("local-zones:\n  - {zone: ads.example., type: nxdomain}\n  - {zone: \"*.ads.example.\", type: nxdomain}\n"))
	if err == nil || !strings.Contains(err.Error(), "f:3: ") || !strings.Contains(err.Error(), `write "ads.example."`) {
		t.Error(err)
	}
}
