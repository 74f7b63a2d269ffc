package cli

import (
	"strings"
	"testing"
	"time"

	"lastgood/internal/control"
)

// What is shown of the root zone says which servers are asked, and what is wrong.
func TestPrintRootZone(t *testing.T) {
	now := time.Date(2026, 5, 5, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		zone control.RootZone
		want []string
	}{
		{control.RootZone{Mode: "hints"}, []string{"the root servers are asked: root-zone.mode is hints"}},
		{control.RootZone{Mode: "local", NextCheck: now.Add(time.Minute), Fallbacks: 3, Failures: 1, Sources: []control.RootSource{{Source: "/root.zone", Failure: "/root.zone:7: a\tbad record"}}},
			[]string{"there is no usable copy: the root servers are asked", "next check in 1m", "not kept on disk", "0 questions answered from it, 3 left to the root servers", "1 failed", "/root.zone  /root.zone:7: a"}},
		{control.RootZone{Mode: "local", Usable: true, Serial: 2026050500, Records: 25000, Stored: true, ConfirmedAt: now.Add(-time.Hour), Expires: now.Add(100 * time.Hour), NextCheck: now, Answers: 1, Sources: []control.RootSource{{Source: "tcp://192.0.2.1:53"}}},
			[]string{"serial 2026050500 of 25000 records, from the disk", "confirmed 1h", "expires in", "next check now, kept on disk", "1 question answered from it", "tcp://192.0.2.1:53  -"}},
	} {
		var b strings.Builder
		printRootZone(&b, &test.zone, now)
		for _, want := range test.want {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%q is not in:\n%s", want, b.String())
			}
		}
	}
}
