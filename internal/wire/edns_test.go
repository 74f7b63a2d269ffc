package wire

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestOptions(t *testing.T) {
	var o []byte
	o = AppendOption(o, OptionCookie, []byte("12345678"))
	o = AppendOption(o, OptionNSID, nil)
	o = AppendEDE(o, 22, "no server answered")
	o = AppendOption(o, OptionCookie, []byte("second"))
	e := EDNS{Options: o}
	if got, ok := e.Option(OptionCookie); !ok || string(got) != "12345678" {
		t.Errorf("cookie %q", got)
	}
	if got, ok := e.Option(OptionNSID); !ok || len(got) != 0 {
		t.Errorf("NSID %q", got)
	}
	if got, ok := e.Option(OptionPadding); ok {
		t.Errorf("padding %q", got)
	}
	ede, _ := e.Option(OptionEDE)
	if code, text, ok := ReadEDE(ede); !ok || code != 22 || string(text) != "no server answered" {
		t.Errorf("EDE %d %q", code, text)
	}
	var codes []OptionCode
	for code := range e.All() {
		codes = append(codes, code)
	}
	if len(codes) != 4 || codes[1] != OptionNSID || codes[3] != OptionCookie {
		t.Errorf("%v", codes)
	}
	for range e.All() {
		break // an iterator that cannot be left panics here
	}
}

// TestOptionsCut: options that were not checked by Read are safe too.
func TestOptionsCut(t *testing.T) {
	whole := AppendOption(AppendOption(nil, 1, []byte("ab")), 2, []byte("cd"))
	for n := range whole {
		e := EDNS{Options: whole[:n:n]}
		if _, ok := e.Option(2); ok {
			t.Errorf("second option in %d of %d octets", n, len(whole))
		}
		if validOptions(e.Options) != (n == 0 || n == 6) {
			t.Errorf("%d octets: wrong verdict", n)
		}
	}
}

func TestReadEDE(t *testing.T) {
	for _, tc := range []struct {
		data string
		code uint16
		text string
		ok   bool
	}{
		{"", 0, "", false}, {"\x00", 0, "", false}, {"\x00\x03", 3, "", true},
		{"\x00\x03old", 3, "old", true}, {"\x01\x00old\x00", 256, "old", true},
	} {
		if code, text, ok := ReadEDE([]byte(tc.data)); code != tc.code || string(text) != tc.text || ok != tc.ok {
			t.Errorf("%q: %d %q %v", tc.data, code, text, ok)
		}
	}
}

func TestEDETextIsCut(t *testing.T) {
	for _, text := range []string{strings.Repeat("x", 255), strings.Repeat("x", 256), strings.Repeat("ü", 200), strings.Repeat("\x80", 99999)} {
		o := AppendEDE([]byte("x"), 6, text)[1:]
		_, got, ok := ReadEDE(o[4:])
		if !validOptions(o) || !ok || len(got) > maxExtraText || !bytes.HasPrefix([]byte(text), got) || utf8.ValidString(text) && (!utf8.Valid(got) || len(got) < min(len(text), 254)) {
			t.Errorf("text of %d octets became %d", len(text), len(got))
		}
	}
}
