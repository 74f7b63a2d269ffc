package ask

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
)

func TestParse(t *testing.T) {
	msg := Append(nil, 7, "a.b.", false)
	end := len(msg) - 11                               // the question's
	msg = append([]byte(nil), msg[:end]...)            // without the OPT record
	msg[2], msg[3], msg[7], msg[11] = 0x81, 0xa0, 2, 0 // QR, RD; RA, AD; two answers
	msg = append(msg, 0xc0, 12, 0, typeCNAME, 0, 1, 0, 0, 1, 0, 0, 2, 0xc0, 14)
	msg = append(msg, 0xc0, 14, 0, typeA, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 7)
	r, err := Parse(msg)
	if err != nil || r.ID != 7 || r.Rcode != 0 || !r.AD || r.Aliases != 1 || r.TTL != 9 || len(r.Addrs) != 1 || r.Addrs[0] != netip.MustParseAddr("192.0.2.7") {
		t.Errorf("%+v, %v", r, err)
	}
	for n := range msg {
		if _, err := Parse(msg[:n]); err == nil {
			t.Errorf("%d octets of %d are no error", n, len(msg))
		}
	}
}

// All asks for each name once, whatever the window, and tells which reply is wrong.
func TestAll(t *testing.T) {
	server, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go func() {
		for buf := make([]byte, 512); ; {
			n, from, err := server.ReadFrom(buf)
			if err != nil {
				return
			}
			buf[2] |= flagResponse
			buf[3] = buf[14] & 1 // names of one label and a digit: odd ones fail
			server.WriteTo(buf[:n], from)
		}
	}()
	names := func(yield func(string) bool) {
		for i := range 500 {
			if !yield(fmt.Sprintf("n%d", i%10)) {
				return
			}
		}
	}
	seen, odd := 0, 0
	err = All(t.Context(), server.LocalAddr().String(), 16, true, names, func(name string, r Reply) error {
		seen++
		if want := int(name[1] & 1); want != r.Rcode {
			return fmt.Errorf("rcode %d", r.Rcode)
		}
		odd += r.Rcode
		return nil
	})
	if err != nil || seen != 500 || odd != 250 {
		t.Errorf("%d replies, %d of them odd, %v", seen, odd, err)
	}
	err = All(t.Context(), server.LocalAddr().String(), 16, true, names, func(string, Reply) error { return errMessage })
	if err == nil {
		t.Error("a wrong reply is no error")
	}
}
