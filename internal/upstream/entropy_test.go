package upstream

import "testing"

// Octets are handed out once, whatever the sizes, and are not all alike.
func TestEntropyIsHandedOutOnce(t *testing.T) {
	var e entropy
	seen := map[[8]byte]bool{}
	for i := range 1000 {
		var b [8]byte
		e.Read(b[:1+i%8]) // pieces of all sizes in between
		e.Read(b[:])
		if seen[b] || b == [8]byte{} {
			t.Fatalf("%x came twice, or nothing did", b)
		}
		seen[b] = true
	}
	large := make([]byte, 2*len(e.buf))
	e.Read(large)
	zeros := 0
	for _, c := range large {
		if c == 0 {
			zeros++
		}
	}
	if zeros > len(large)/8 {
		t.Errorf("%d of %d octets are zero", zeros, len(large))
	}
}
