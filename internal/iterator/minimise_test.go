package iterator

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

// asksFor gives the names that are asked for, were there no cut below the first.
func asksFor(m minimiser, cut, name dnsname.Name) (out []string) {
	m.enter(cut)
	for {
		q, minimised := m.question(name, wire.TypeTXT)
		out = append(out, fmt.Sprintf("%d %s", q.Name.Labels(), q.Type))
		if !minimised {
			return out
		}
		m.count++
		m.passed(q.Name)
	}
}

func TestMinimiser(t *testing.T) {
	deep := n(strings.Repeat("1.", 32) + "ip6.arpa.")
	for _, c := range []struct {
		m    minimiser
		cut  string
		name dnsname.Name
		want []string
	}{
		{minimiser{}, ".", n("a.b.example."), []string{"1 A", "2 A", "3 TXT"}},
		{minimiser{}, "example.", n("a.b.example."), []string{"2 A", "3 TXT"}},
		{minimiser{}, "b.example.", n("a.b.example."), []string{"3 TXT"}},
		{minimiser{}, "a.b.example.", n("a.b.example."), []string{"3 TXT"}},
		{minimiser{}, ".", dnsname.Root, []string{"0 TXT"}},
		{minimiser{full: true}, ".", n("a.b.example."), []string{"3 TXT"}},
		{minimiser{count: 10}, ".", n("a.b.example."), []string{"3 TXT"}},
		{minimiser{}, "example.", n("_443._tcp.www.example."), []string{"2 A", "4 TXT"}},
		{minimiser{}, "example.", n("www._sites.b.example."), []string{"2 A", "4 TXT"}},
		// Four labels one by one, the rest spread over six more questions and the last.
		{minimiser{}, "ip6.arpa.", deep, []string{"3 A", "4 A", "5 A", "6 A", "10 A", "14 A", "18 A", "22 A", "26 A", "30 A", "34 TXT"}},
	} {
		if got := asksFor(c.m, n(c.cut), c.name); !slices.Equal(got, c.want) {
			t.Errorf("%s below %s: got %q, want %q", c.name, c.cut, got, c.want)
		}
	}
}
