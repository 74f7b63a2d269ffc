package perquestion

import (
	"slices"
	"testing"
	"time"
)

// said is what dnsperf 2.10 writes at its end.
const said = `Statistics:

  Queries sent:         15000
  Queries completed:    14998 (99.99%)
  Queries lost:         2 (0.01%)

  Response codes:       NOERROR 14990 (99.95%), SERVFAIL 3 (0.02%), NXDOMAIN 5 (0.03%)
  Average packet size:  request 43, response 201
  Run time (s):         1.250000
  Queries per second:   11998.400000

  Average Latency (s):  0.000752 (min 0.000048, max 0.009571)
  Latency StdDev (s):   0.000184
`

func TestParse(t *testing.T) {
	for rcode, wrong := range map[string]int{"NOERROR": 8, "NXDOMAIN": 14993} {
		l, err := parse(said, rcode)
		if want := (Loaded{Answered: 14998, Lost: 2, Wrong: wrong, Rate: 11998.4, Mean: 752 * time.Microsecond}); err != nil || l != want {
			t.Errorf("%s: %+v, %v; want %+v", rcode, l, err, want)
		}
	}
	if l, err := parse(said, "REFUSED"); err == nil {
		t.Errorf("no reply was REFUSED, and that is no error: %+v", l)
	}
}

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		v              []float64
		least, mid, hi float64
	}{{nil, 0, 0, 0}, {[]float64{3}, 3, 3, 3}, {[]float64{5, 1, 3}, 1, 3, 5}, {[]float64{4, 1, 3, 9}, 1, 3.5, 9}} {
		if a, b, d := Spread(c.v); a != c.least || b != c.mid || d != c.hi {
			t.Errorf("%v: %v %v %v", c.v, a, b, d)
		}
	}
}

// drift are rounds on a machine that gets twice as slow, and one that lacks Unbound.
var drift = []Result{
	{Server: "unbound", Workload: "hot", Round: 0, Micros: 2, Rate: 1000, Memory: 50},
	{Server: "lastgood", Workload: "hot", Round: 0, Micros: 1.5, Rate: 1000, Memory: 50},
	{Server: "unbound", Workload: "hot", Round: 1, Micros: 4, Rate: 500, Memory: 50},
	{Server: "lastgood", Workload: "hot", Round: 1, Micros: 3.2, Rate: 500, Memory: 50, P99: time.Millisecond},
	{Server: "lastgood", Workload: "hot", Round: 2, Micros: 9, Rate: 500, Memory: 50},
	{Server: "unbound", Workload: "cold", Round: 1, Micros: 40},
}

// Ratios are of the same round: it does not matter how fast the machine was then.
func TestRatios(t *testing.T) {
	if got := Ratios(drift, "hot", "lastgood", "unbound"); !slices.Equal(got, []float64{0.75, 0.8}) {
		t.Errorf("%v", got)
	}
	if got := Differences(drift, "hot", "lastgood", "unbound"); len(got) != 2 || got[0] != -0.5 {
		t.Errorf("%v", got)
	}
	if got := Ratios(drift, "cold", "lastgood", "unbound"); got != nil {
		t.Errorf("%v without a run", got)
	}
}

func TestTable(t *testing.T) {
	const want = `| server | µs/question: least | median | most | of unbound in the same round: least | median | most | questions/s | core busy | p50 | p99 | mean | asked upstream | RSS MiB |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|
| unbound | 2.00 | 3.00 | 4.00 | 1.00 | 1.00 | 1.00 | 750 | 0 % | – | – | – | 0.00 | 50 |
| lastgood | 1.50 | 3.20 | 9.00 | 0.75 | 0.78 | 0.80 | 500 | 0 % | – | – | – | 0.00 | 50 |
`
	if got := Table(drift, "hot", "unbound", []string{"unbound", "nobody", "lastgood"}); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for v, want := range map[float64]string{2.345: "2.35", 23.45: "23.4", 234.5: "234"} {
		if got := Micros(v); got != want {
			t.Errorf("%v is written %s", v, got)
		}
	}
}
