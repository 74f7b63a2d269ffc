package anchor

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// rootXML is IANA's file, a key of which is given whole.
var rootXML = `<?xml version="1.0" encoding="UTF-8"?>
<TrustAnchor id="0C05FDD6-422C-4910-8ED6-430ED15E11C2" source="http://data.iana.org/root-anchors/root-anchors.xml">
    <Zone>.</Zone>
    <KeyDigest id="Kjqmt7v" validFrom="2010-07-15T00:00:00+00:00" validUntil="2019-01-11T00:00:00+00:00">
        <KeyTag>19036</KeyTag>
        <Algorithm>8</Algorithm>
        <DigestType>2</DigestType>
        <Digest>49AAC11D7B6F6446702E54A1607371607A1A41855200FD2CE1CDDE32F24E8FB5</Digest>
    </KeyDigest>
    <KeyDigest id="Klajeyz" validFrom="2017-02-02T00:00:00+00:00">
        <KeyTag>20326</KeyTag>
        <Algorithm>8</Algorithm>
        <DigestType>2</DigestType>
        <Digest>
            E06D44B80B8F1D39A95C0B0D7C65D084
            58E880409BBC683457104237C7F8EC8D
        </Digest>
        <PublicKey>` + strings.Fields(ksk2017)[7] + `</PublicKey>
        <Flags>257</Flags>
    </KeyDigest>
    <KeyDigest id="Kmyv6jo" validFrom="2024-07-18T00:00:00+00:00">
        <KeyTag>38696</KeyTag>
        <Algorithm>8</Algorithm>
        <DigestType>2</DigestType>
        <Digest>683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16</Digest>
    </KeyDigest>
</TrustAnchor>
`

func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t
}

// TestXML: what is valid at a moment counts, to the second.
func TestXML(t *testing.T) {
	for _, c := range []struct{ at, want string }{
		{"2010-07-15T00:00:00Z", "19036"},
		{"2017-02-01T23:59:59Z", "19036"},
		{"2017-02-02T00:00:00Z", "19036 20326"},
		{"2019-01-10T23:59:59Z", "19036 20326"},
		{"2019-01-11T00:00:00Z", "20326"},
		{"2026-05-05T12:00:00Z", "20326 38696"},
	} {
		list, err := Parse("f", rootXML, at(c.at))
		if err != nil || len(list) != 1 || !list[0].Zone.IsRoot() {
			t.Fatalf("%s: %v, %v", c.at, list, err)
		}
		var tags []string
		for _, d := range list[0].DS {
			tags = append(tags, fmt.Sprint(d.Tag))
		}
		if got := strings.Join(tags, " "); got != c.want {
			t.Errorf("%s: %s, want %s", c.at, got, c.want)
		}
	}
	list, err := Parse("f", rootXML, noon)
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range Builtin().DS {
		if got := list[0].DS[i]; got.Tag != d.Tag || string(got.Digest) != string(d.Digest) {
			t.Errorf("IANA's file and the built-in anchors differ in %d", d.Tag)
		}
	}
}

// TestXMLErrors: each names file and line and says what to do.
func TestXMLErrors(t *testing.T) {
	change := func(old, new string) string {
		if !strings.Contains(rootXML, old) {
			t.Fatalf("no %q", old)
		}
		return strings.Replace(rootXML, old, new, 1)
	}
	for _, c := range []struct{ text, want string }{
		{"<", "f:1: no sound XML"},
		{"<RootAnchors/>", `f:1: the element "RootAnchors" is no TrustAnchor`},
		{"<TrustAnchor>\n</TrustAnchor>", "no element Zone in TrustAnchor"},
		{rootXML[:len(rootXML)/2], "no sound XML"},
		{change("<Zone>.</Zone>", "<Zone>.</Zone><Zone>example.</Zone>"), `f:3: "example." is no zone's name, or a second one`},
		{change("<KeyTag>20326", "<KeyTag>20327"), `f:10: KeyDigest "Klajeyz": the digest is of another key`},
		{change("<Flags>257", "<Flags>385"), `f:10: KeyDigest "Klajeyz": flags 385: the key is revoked`},
		{change("<KeyTag>38696", "<KeyTag>many"), `KeyDigest "Kmyv6jo": no key tag, algorithm, digest type and hexadecimal digest`},
		{change("683D2D0A", "683D2D"), `KeyDigest "Kmyv6jo": malformed DS record`},
		{change("2024-07-18T00:00:00+00:00", "soon"), `KeyDigest "Kmyv6jo": "soon" is no moment`},
		{change("UTF-8", "KOI8-R"), "no sound XML"},
	} {
		list, err := Parse("f", c.text, noon)
		says(t, err, c.want, "; fetch the file from IANA again")
		if list != nil {
			t.Errorf("%.60q: %v in spite of the error", c.text, list)
		}
	}
	_, err := Parse("f", rootXML, at("2009-01-01T00:00:00Z"))
	says(t, err, "f: none of its trust anchors is valid", "2009-01-01T00:00:00Z", "or set the clock")
}

// TestXMLLeavesOut: keys of algorithms that are not known, and elements.
func TestXMLLeavesOut(t *testing.T) {
	text := strings.Replace(rootXML, "<Zone>", "<!-- kept --><Certificate issuer='x'><a><b/></a></Certificate><Zone>", 1)
	text = strings.Replace(text, "</TrustAnchor>", `<KeyDigest id="x" validFrom="2024-07-18T00:00:00"><KeyTag>1</KeyTag><Algorithm>200</Algorithm><DigestType>2</DigestType><Digest>`+
		strings.Repeat("00", 32)+`</Digest></KeyDigest></TrustAnchor>`, 1)
	list, err := Parse("f", text, noon)
	if err != nil || len(list) != 1 || len(list[0].DS) != 2 {
		t.Fatalf("%v, %v", list, err)
	}
}
