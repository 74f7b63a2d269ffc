package app

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"lastgood/internal/cache"
	"lastgood/internal/control"
	"lastgood/internal/ede"
	"lastgood/internal/event"
	"lastgood/internal/infra"
	"lastgood/internal/listener"
	"lastgood/internal/resolver"
	"lastgood/internal/upstream"
	"lastgood/internal/wire"
	"lastgood/internal/xdp"
)

// filler gives every number in a struct a value of its own and notes whose it is.
type filler struct {
	next  int64
	owner map[float64]string
}

func (f *filler) fill(v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f.fill(v.Field(i), path+"."+v.Type().Field(i).Name)
		}
	case reflect.Array:
		for i := range v.Len() {
			f.fill(v.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			n := reflect.New(v.Type().Elem()).Elem()
			f.fill(n, fmt.Sprintf("%s[%v]", path, k.Interface()))
			v.SetMapIndex(k, n)
		}
	case reflect.Int, reflect.Int64:
		v.SetInt(f.value(path))
	case reflect.Uint64:
		v.SetUint(uint64(f.value(path)))
	case reflect.Bool:
		v.SetBool(false)
	}
}

func (f *filler) value(path string) int64 {
	f.next += 7
	f.owner[float64(f.next)] = path
	return f.next
}

// exported lists every count that a metric shows.
func exported() string {
	f := &filler{next: 1000, owner: map[float64]string{}}
	var lines []string
	g := gatherer{func(m control.Metric) {
		if path, ok := f.owner[m.Value]; ok && m.Kind != control.Histogram {
			delete(f.owner, m.Value)
			lines = append(lines, fmt.Sprintf("%s %s = %s", m.Name, strings.Join(m.Labels, " "), path))
		}
	}}
	in := listener.Stats{
		Types: map[wire.Type]uint64{wire.TypeA: 0}, Dropped: map[listener.Drop]uint64{},
		Replies: [2]map[wire.Rcode]uint64{{wire.RcodeServFail: 0}, {wire.RcodeNXDomain: 0}},
	}
	for d := listener.DropShort; d <= listener.DropUnanswered; d++ {
		in.Dropped[d] = 0
	}
	flights, up, known, entries := resolver.Stats{Stale: map[resolver.StaleCount]uint64{
		{Why: event.StaleTimeout, Cause: -1}: 0, {Why: event.StaleTrouble, Cause: int(ede.NoReachableAuthority)}: 0}}, upstream.Stats{}, infra.Stats{}, cache.Stats{}
	frames := xdp.Stats{}
	f.fill(reflect.ValueOf(&in).Elem(), "listener")
	f.fill(reflect.ValueOf(&frames).Elem(), "xdp")
	f.fill(reflect.ValueOf(&flights).Elem(), "resolver")
	f.fill(reflect.ValueOf(&up).Elem(), "upstream")
	f.fill(reflect.ValueOf(&known).Elem(), "infra")
	f.fill(reflect.ValueOf(&entries).Elem(), "cache")
	g.queries(in)
	g.connections(in.TCP)
	g.frames(frames)
	g.flights(flights)
	g.freshness(0, flights)
	g.refreshes(flights)
	g.transport(up)
	g.servers(known)
	g.cache(entries)
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n"
}

// Which count is shown as which metric stands in a file: a count that is lost or
// shown under another's label changes it.
func TestCountsAreShownUnderTheirNames(t *testing.T) {
	const file = "testdata/counts.txt"
	want, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if got := exported(); got != string(want) {
		if os.Getenv("UPDATE_COUNTS") != "" {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		for _, line := range strings.Split(got, "\n") {
			if !strings.Contains(string(want), line+"\n") {
				t.Errorf("new:  %s", line)
			}
		}
		for _, line := range strings.Split(string(want), "\n") {
			if !strings.Contains(got, line+"\n") {
				t.Errorf("gone: %s", line)
			}
		}
		t.Logf("if that is meant, read it and run the test with UPDATE_COUNTS=1 (it writes %s)", file)
	}
}
