package anchor

import (
	"encoding/hex"

	"lastgood/internal/dnsname"
	"lastgood/internal/dnssec"
)

// rootKeys are the keys of the root zone that IANA publishes as trust anchors, by
// their SHA-256 digests (RFC 9718): KSK-2017 and KSK-2024.
var rootKeys = [...]struct {
	tag    uint16
	digest string
}{
	{20326, "E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"},
	{38696, "683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16"},
}

// Builtin is the anchor of the root zone that the program brings with it.
func Builtin() *Anchor {
	a := &Anchor{Zone: dnsname.Root}
	for _, k := range rootKeys {
		digest, err := hex.DecodeString(k.digest)
		if err != nil {
			panic("anchor: built-in digest: " + err.Error()) // a constant of the program
		}
		a.DS = append(a.DS, dnssec.DS{Tag: k.tag, Algorithm: dnssec.RSASHA256, Type: dnssec.SHA256, Digest: digest})
	}
	return a
}
