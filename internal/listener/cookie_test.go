package listener

import (
	"encoding/hex"
	"net/netip"
	"testing"
	"time"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestSipHashVectors has values of the reference implementation's
// vectors_sip64: key 00 01 … 0f, messages 00 01 ….
func TestSipHashVectors(t *testing.T) {
	var key [16]byte
	msg := make([]byte, 64)
	for i := range msg {
		msg[i] = byte(i)
		if i < 16 {
			key[i] = byte(i)
		}
	}
	for n, want := range map[int]uint64{0: 0x726fdb47dd0e0e31, 1: 0x74f839c593dc67fd, 8: 0x93f5f5799a932462, 15: 0xa129ca6149be45e5, 63: 0x958a324ceb064572} {
		if got := sipHash(&key, msg[:n]); got != want {
			t.Errorf("%d octets: %#x, want %#x", n, got, want)
		}
	}
}

// TestCookieRFC9018 has the examples of RFC 9018 appendix A.
func TestCookieRFC9018(t *testing.T) {
	const first, second, rolled = "e5e973e5a6b2a43f48e7dc849e37bfcf", "445536bcd2513298075a5d379663c962", "dd3bdf9344b678b185a6f5cb60fca715"
	for _, c := range []struct {
		name    string
		secrets [][16]byte
		client  string
		query   string
		now     int64
		valid   bool
		reply   string
	}{
		{"A.1", [][16]byte{secret(first)}, "198.51.100.100", "2464c4abcf10c957", 1559731985, false, "2464c4abcf10c957010000005cf79f111f8130c3eee29480"},
		{"A.2", [][16]byte{secret(first)}, "198.51.100.100", "2464c4abcf10c957010000005cf79f111f8130c3eee29480", 1559734385, true, "2464c4abcf10c957010000005cf7a871d4a564a1442aca77"},
		// A.3: the reserved octets count as they come; the answer there is given
		// when the cookie is older than the hour of §4.3, so not by its worth.
		{"A.3", [][16]byte{secret(first)}, "203.0.113.203", "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5", 1559734700, false, "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e"},
		{"A.3 in time", [][16]byte{secret(first)}, "203.0.113.203", "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5", 1559727985, true, "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5"},
		{"A.4", [][16]byte{secret(second), secret(rolled)}, "2001:db8:220:1:59de:d0f4:8769:82b8", "22681ab97d52c298010000005cf7c57926556bd0934c72f8", 1559741961, true, "22681ab97d52c298010000005cf7c57926556bd0934c72f8"},
		{"A.4, secret forgotten", [][16]byte{secret(second)}, "2001:db8:220:1:59de:d0f4:8769:82b8", "22681ab97d52c298010000005cf7c57926556bd0934c72f8", 1559741961, false, "22681ab97d52c298010000005cf7c609a6bb79d16625507a"},
	} {
		got, ok := newBakery(c.secrets).read(unhex(t, c.query), netip.MustParseAddr(c.client), time.Unix(c.now, 0))
		if !ok || got.valid != c.valid || hex.EncodeToString(got.value[:]) != c.reply {
			t.Errorf("%s: ok %v, valid %v, %x; want valid %v, %s", c.name, ok, got.valid, got.value, c.valid, c.reply)
		}
	}
}

func TestCookieLife(t *testing.T) {
	k := newBakery(nil)
	client := netip.MustParseAddr("192.0.2.7")
	made := time.Unix(1<<32-100, 0) // the timestamp wraps meanwhile
	c, ok := k.read(make([]byte, 8), client, made)
	if !ok || c.valid || c.foreign {
		t.Fatalf("client cookie: %+v, %v", c, ok)
	}
	for _, s := range []struct {
		after          time.Duration
		valid, renewed bool
	}{
		{-6 * time.Minute, false, true}, {-5 * time.Minute, true, false}, {0, true, false},
		{29 * time.Minute, true, false}, {30 * time.Minute, true, true}, {time.Hour, true, true}, {time.Hour + time.Second, false, true},
	} {
		got, _ := k.read(c.value[:], client, made.Add(s.after))
		if got.valid != s.valid || (got.value != c.value) != s.renewed {
			t.Errorf("after %v: valid %v, renewed %v", s.after, got.valid, got.value != c.value)
		}
	}
	if got, _ := k.read(c.value[:], netip.MustParseAddr("192.0.2.8"), made); got.valid {
		t.Error("somebody else's cookie is valid")
	}
	if got, _ := newBakery(nil).read(c.value[:], client, made); got.valid {
		t.Error("two random secrets are the same")
	}
}

func TestCookieLengths(t *testing.T) {
	k := newBakery(nil)
	for n := range 60 {
		want := n == 8 || n >= 16 && n <= 40
		if _, ok := k.read(make([]byte, n), netip.MustParseAddr("192.0.2.7"), time.Unix(1, 0)); ok != want {
			t.Errorf("%d octets: %v, want %v", n, ok, want)
		}
	}
}
