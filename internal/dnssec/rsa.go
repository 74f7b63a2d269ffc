package dnssec

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"math"
	"math/big"
)

// Moduli in bits. The standard library verifies nothing with shorter ones than
// leastRSA5, nor with exponents above 2^31, which RFC 5702 §2.1 allows all the same.
const (
	leastRSA  = 512
	leastRSA5 = 1024 // of RSASHA512 (§2.2), and of the library
)

// prefixes stand before a digest in a PKCS #1 signature (RFC 3110 §3, RFC 5702 §3).
var prefixes = map[crypto.Hash][]byte{
	crypto.SHA1:   {0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14},
	crypto.SHA512: {0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40},
	crypto.SHA256: {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20},
}

// verifiesRSA is RFC 3110 §3 and RFC 5702 §3. Short keys are weak, but whoever
// signs with one is not to be told that his signatures are wrong.
func verifiesRSA(k *rsa.PublicKey, kind crypto.Hash, digest, value []byte) bool {
	bits := k.N.BitLen()
	if bits >= leastRSA5 && k.E <= math.MaxInt32 {
		return rsa.VerifyPKCS1v15(k, kind, digest, value) == nil
	}
	prefix, n := prefixes[kind], k.Size()
	fill := n - 3 - len(prefix) - len(digest)
	s := new(big.Int).SetBytes(value)
	if bits < leastRSA || kind == crypto.SHA512 && bits < leastRSA5 || len(value) != n || fill < 8 || s.Cmp(k.N) >= 0 {
		return false
	}
	want := append([]byte{0, 1}, bytes.Repeat([]byte{0xff}, fill)...)
	want = append(append(append(want, 0), prefix...), digest...)
	return bytes.Equal(want, s.Exp(s, big.NewInt(int64(k.E)), k.N).FillBytes(make([]byte, n)))
}
