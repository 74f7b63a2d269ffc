package anchor

import (
	"fmt"
	"strings"
	"testing"

	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
)

// ksk2017 and ksk2024 are the root's keys as the root zone has them.
const (
	ksk2017 = ". 172800 IN DNSKEY 257 3 8 AwEAAaz/tAm8yTn4Mfeh5eyI96WSVexTBAvkMgJzkKTOiW1vkIbzxeF3+/4RgWOq7HrxRixHlFlExOLAJr5emLvN7SWXgnLh4+B5xQlNVz8Og8kvArMtNROxVQuCaSnIDdD5LKyWbRd2n9WGe2R8PzgCmr3EgVLrjyBxWezF0jLHwVN8efS3rCj/EWgvIWgb9tarpVUDK/b58Da+sqqls3eNbuv7pr+eoZG+SrDK6nWeL3c6H5Apxz7LjVc1uTIdsIXxuOLYA4/ilBmSVIzuDWfdRUfhHdY6+cn8HFRm+2hM8AnXGXws9555KrUB5qihylGa8subX2Nn6UwNR1AkUTV74bU= ; KSK"
	ksk2024 = ". 172800 IN DNSKEY 257 3 8 AwEAAa96jeuknZlaeSrvyAJj6ZHv28hhOKkx3rLGXVaC6rXTsDc449/cidltpkyGwCJNnOAlFNKF2jBosZBU5eeHspaQWOmOElZsjICMQMC3aeHbGiShvZsx4wMYSjH8e7Vrhbu6irwCzVBApESjbUdpWWmEnhathWu1jo+siFUiRAAxm9qyJNg/wOZqqzL/dL/q8PkcRU5oUKEpUge71M3ej2/7CPqpdVwuMoTvoB+ZOT4YeGyxMvHmbrxlFzGOHOijtzN+u1TQNatX2XBuzZNQ1K+s2CXkPIZo7s6JgZyvaBevYtxPvYLw4z9mR7K2vaF18UYH9Z9GNUUeayffKC73PYc= ; KSK"
)

// TestBuiltin holds the built-in digests against the keys themselves.
func TestBuiltin(t *testing.T) {
	a := Builtin()
	if a.Zone != dnsname.Root || len(a.DS) != 2 {
		t.Fatalf("anchor of %s with %d digests", a.Zone, len(a.DS))
	}
	for i, want := range []struct {
		tag  uint16
		text string
	}{{20326, ksk2017}, {38696, ksk2024}} {
		list, err := Parse("root.key", want.text, noon)
		if err != nil || len(list) != 1 || len(list[0].Keys) != 1 {
			t.Fatalf("%v, %v", list, err)
		}
		k := list[0].Keys[0]
		if k.Tag != want.tag || a.DS[i].Tag != want.tag {
			t.Errorf("tags %d and %d, want %d", k.Tag, a.DS[i].Tag, want.tag)
		}
		if !a.DS[i].Matches(dnsname.Root, k) || !a.Trusts(k) {
			t.Errorf("the digest of %d is of another key", want.tag)
		}
		if a.DS[1-i].Matches(dnsname.Root, k) {
			t.Errorf("both digests match %d", want.tag)
		}
	}
	if a.Trusts(newKey(t, 1, entryPoint)) {
		t.Error("any key is trusted")
	}
	if !a.Usable(&dnssec.Policy{}) {
		t.Error("not usable without SHA-1")
	}
}

// TestTrustsNothingRevoked: not even a key that was given revoked.
func TestTrustsNothingRevoked(t *testing.T) {
	k := newKey(t, 1, givenUp)
	a := &Anchor{Zone: zone, Keys: []*dnssec.Key{k}, DS: []dnssec.DS{digestOf(zone, k)}}
	if a.Trusts(k) {
		t.Error("a revoked key is trusted")
	}
}

// TestMerge: anchors of one zone add up, also in a table, and tell their tags.
func TestMerge(t *testing.T) {
	var all []*Anchor
	for _, text := range []string{ksk2024, ". DS " + someDS, "example. DS " + someDS, ksk2017, ". DS " + someDS, ksk2024} {
		list, err := Parse("f", text, noon)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, list...)
	}
	merged := Merge(all)
	if len(merged) != 2 || merged[0].Zone != dnsname.Root || len(merged[0].DS) != 1 || len(merged[0].Keys) != 2 || merged[1].Zone != zone {
		t.Fatalf("%+v", merged)
	}
	if got := merged[0].Tags(); fmt.Sprint(got) != "[20326 38696]" {
		t.Errorf("tags %v", got)
	}
	if len(all[0].Keys) != 1 || len(all[0].DS) != 0 {
		t.Error("an anchor was changed")
	}
	if g := NewTable(all, nil).Ground(dnsname.Root, noon); fmt.Sprint(g.Anchor.Tags()) != "[20326 38696]" {
		t.Errorf("the table has %v", g.Anchor.Tags())
	}
}

const someDS = "20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"

// TestParse reads what is written in many ways.
func TestParse(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{". DS " + someDS, ". 1+0"},
		{". IN DS " + someDS, ". 1+0"},
		{". 3600 IN DS " + someDS, ". 1+0"},
		{". IN 1h30m DS " + someDS + "\r\n", ". 1+0"},
		{"  . in ds " + strings.ToLower(someDS), ". 1+0"},
		{". DS 20326 RSASHA256 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC68345710 4237C7F8EC8D", ". 1+0"},
		{"; from the registry\n$TTL 3600\n\nExample. IN DS " + someDS + " ; one\n\tIN DS 1 8 1 E06D44B80B8F1D39A95C0B0D7C65D08458E88040\n", "example. 2+0"},
		{". DS " + someDS + "\n. IN DS " + someDS, ". 1+0"},
		{". IN DS (20326 8 ; tag and algorithm\n 2\n E06D44B80B8F1D39A95C0B0D7C65D084 58E880409BBC683457104237C7F8EC8D )\nexample DS " + someDS, ". 1+0, example. 1+0"},
		{ksk2017 + "\n" + ksk2024, ". 0+2"},
		{ksk2017 + "\n. DS " + someDS, ". 1+1"},
		// The unknown is left out where there is something known.
		{". DS 1 200 99 AA\n. DS 1 8 99 AA\n. DS " + someDS, ". 1+0"},
		{`ex\;am\(ple. DS ` + someDS, `ex\;am\(ple. 1+0`},
		{"\ufeff. DS " + someDS, ". 1+0"},
	} {
		list, err := Parse("f", c.text, noon)
		var got []string
		for _, a := range list {
			got = append(got, fmt.Sprintf("%s %d+%d", a.Zone, len(a.DS), len(a.Keys)))
		}
		if err != nil || strings.Join(got, ", ") != c.want {
			t.Errorf("%q: %v, %v, want %s", c.text, got, err, c.want)
		}
	}
}

// TestParseErrors: each names file and line and says what to do.
func TestParseErrors(t *testing.T) {
	const remedy = `; write a record such as ". IN DS 20326 8 2 E06D…"`
	for _, c := range []struct{ text, want string }{
		{"", "f: no trust anchor" + remedy},
		{" \n; nothing\n", "f: no trust anchor" + remedy},
		{". DS " + someDS + "\n. IN A 192.0.2.1 1 1 1", `f:2: "A" is neither a DS nor a DNSKEY record` + remedy},
		{". CH DS " + someDS, `f:1: "CH" is neither a DS nor a DNSKEY record` + remedy},
		{"\n. DS 1 2", "f:2: no complete DS or DNSKEY record" + remedy},
		{". DS 65536 8 2 00", "f:1: no DS record: key tag, algorithm, digest type, hexadecimal digest" + remedy},
		{". DS 1 NOSUCH 2 00", "f:1: no DS record: key tag, algorithm, digest type, hexadecimal digest" + remedy},
		{". DS 1 8 2 0", "f:1: no DS record: key tag, algorithm, digest type, hexadecimal digest" + remedy},
		{". DS 1 8 2 00", "f:1: 1 octets are no digest of type 2" + remedy},
		{". DNSKEY 257 3 8 ?!", "f:1: no DNSKEY record: flags, protocol, algorithm, key in base64" + remedy},
		{". DNSKEY 257 2 8 AAAA", "f:1: malformed DNSKEY record" + remedy},
		{". DNSKEY 1 3 8 AAAA", "f:1: flags 1: no key of a zone (RFC 4034 §2.1.1)" + remedy},
		{strings.Replace(ksk2017, "257", "385", 1), "f:1: flags 385: the key is revoked (RFC 5011 §2.1)" + remedy},
		{". DNSKEY 257 3 ED25519 AAAA", "is none of the algorithm ED25519" + remedy},
		{"a..b. DS " + someDS, `f:1: "a..b." is no name (empty label)` + remedy},
		{"@ DS " + someDS, `f:1: "@" is not read here: names are written in full` + remedy},
		{"$ORIGIN example.", `f:1: "$ORIGIN" is not read here: names are written in full` + remedy},
		{". DS ( " + someDS, "f:1: a parenthesis is not closed; close it, or restore what the file lost"},
		{"; one\n. DS ) " + someDS, "f:2: a parenthesis has no other that belongs to it; delete it, or write both"},
		{". DS " + someDS + "\nexample. DS 1 200 99 AA", "f:2: no algorithm or digest of the anchor of example. is known here; write one of its other keys, with a digest of type 2"},
		{strings.Repeat(". DS "+someDS+"\n", mostRecords+1), "f:1001: more than 1000 records; keep the trust anchors alone"},
		{strings.Repeat(" ", mostText+1), "f: more than 1048576 octets; keep the trust anchors alone"},
	} {
		list, err := Parse("f", c.text, noon)
		if err == nil || !strings.HasSuffix(err.Error(), c.want) || list != nil {
			t.Errorf("%.80q: %v, %v, want %s", c.text, list, err, c.want)
		}
	}
}
