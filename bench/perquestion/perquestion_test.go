package perquestion

import "testing"

// said is what dnsperf 2.10 writes at its end.
const said = `Statistics:

  Queries sent:         15000
  Queries completed:    14998 (99.99%)
  Queries lost:         2 (0.01%)

  Response codes:       NOERROR 14990 (99.95%), SERVFAIL 3 (0.02%), NXDOMAIN 5 (0.03%)
  Average packet size:  request 43, response 201
  Run time (s):         1.250000
  Queries per second:   11998.400000
`

func TestParse(t *testing.T) {
	for rcode, wrong := range map[string]int{"NOERROR": 8, "NXDOMAIN": 14993} {
		l, err := parse(said, rcode)
		if want := (loaded{answered: 14998, lost: 2, wrong: wrong, rate: 11998.4}); err != nil || l != want {
			t.Errorf("%s: %+v, %v; want %+v", rcode, l, err, want)
		}
	}
	if l, err := parse(said, "REFUSED"); err == nil {
		t.Errorf("no reply was REFUSED, and that is no error: %+v", l)
	}
}

func TestTable(t *testing.T) {
	var results []Result
	for _, micros := range []float64{30, 10, 20} { // in whatever order
		results = append(results, Result{"lastgood", "cold", micros, 1000, 0, 50}, Result{"unbound", "cold", 2 * micros, 500, 0, 25})
	}
	const want = `| workload | server | µs/question: least | median | most | of Unbound's median | questions/s (median) | RSS MiB |
|---|---|---|---|---|---|---|---|
| cold | unbound | 20.0 | 40.0 | 60.0 | 1.00 | 500 | 25 |
| cold | lastgood | 10.0 | 20.0 | 30.0 | 0.50 | 1000 | 50 |
`
	if got := Table(results, []string{"cold"}, 1); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
