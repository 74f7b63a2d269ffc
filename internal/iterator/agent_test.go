package iterator

import (
	"testing"

	"lastgood/internal/wire"
)

// TestAgentOf: whom a server wants errors reported to is a whole name, and no root.
func TestAgentOf(t *testing.T) {
	for _, c := range []struct{ option, want string }{
		{"\x05Agent\x07example\x00", "agent.example."},
		{"\x05agent\x07example", ""},
		{"\x05agent\x07example\x00\x00", ""},
		{"\xc0\x0c", ""},
		{"\x00", ""},
		{"", ""},
	} {
		var b wire.Builder
		b.Reset(nil, 512, wire.Header{Response: true})
		b.OPT(wire.EDNS{UDPSize: 1232, Options: wire.AppendOption(nil, wire.OptionReportChannel, []byte(c.option))}, 0)
		v, err := wire.Read(b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if name := agentOf(v); name != "" {
			got = name.String()
		}
		if got != c.want {
			t.Errorf("%q: %q, want %q", c.option, got, c.want)
		}
	}
	var b wire.Builder
	b.Reset(nil, 512, wire.Header{Response: true})
	if v, err := wire.Read(b.Bytes()); err != nil || agentOf(v) != "" {
		t.Errorf("without EDNS: %v", err)
	}
}
