package conformance

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// verdict is one question with what the three resolvers said.
type verdict struct {
	question
	ours, unbound, kresd outcome
	again                outcome // ours, from the cache
}

// agreement counts with how many oracles we agree.
func (v verdict) agreement() (with string) {
	key := v.ours.key()
	switch {
	case key == v.unbound.key() && key == v.kresd.key():
		return "both"
	case key == v.unbound.key():
		return "Unbound only"
	case key == v.kresd.key():
		return "Knot Resolver only"
	}
	return "neither"
}

// open says that the difference, if there is one, is not explained.
func (v verdict) open() bool {
	with := v.agreement()
	oneOfTwo := with != "neither" && v.unbound.key() != v.kresd.key()
	return with != "both" && !oneOfTwo && explain(v) == ""
}

// wrong says what is wrong with our own answer, whatever others say.
func (v verdict) wrong() string {
	switch {
	case v.ours.fault != "":
		return v.ours.fault
	case v.ours.rcode == dns.RcodeServerFailure && len(v.ours.answers) != 0:
		return "SERVFAIL is not empty"
	case !v.ours.failed() && v.again.key() != v.ours.key():
		return "from the cache: " + v.again.String()
	case v.again.fault != "":
		return "from the cache: " + v.again.fault
	}
	return ""
}

func (v verdict) String() string {
	return fmt.Sprintf("%s (%s)\n\tours    %s\n\tunbound %s\n\tkresd   %s", v.question, v.kind, v.ours, v.unbound, v.kresd)
}

// seed is printed, and can be given.
func seed(t *testing.T) uint64 {
	t.Helper()
	s := uint64(20261121)
	if text := os.Getenv("CONFORMANCE_SEED"); text != "" {
		var err error
		if s, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("CONFORMANCE_SEED=%d", s)
	return s
}

// TestDifferential asks lastgood, Unbound and Knot Resolver the same questions
// about the same world. Every difference must be explained in explained_test.go
// and docs/divergences.md.
func TestDifferential(t *testing.T) {
	binary, s := build(t), seed(t)
	n := newNamespace(t, addrs()...)
	w := makeWorld()
	qs, err := questions(w, s, 8000)
	if err != nil {
		t.Fatal(err)
	}
	n.startWorld(w, s)
	hints := n.write("hints", w.hints())
	n.startUnbound(hints)
	n.startKresd(w.roots())
	n.startResolver(binary, hints)

	began := time.Now()
	verdicts, err := n.askAll(qs, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("asked in %v", time.Since(began).Round(time.Second))
	n.askAgain(t, verdicts, s)
	t.Logf("done in %v", time.Since(began).Round(time.Second))
	judge(t, verdicts)
}

// askers is how many questions are under way at once.
const askers = 12

// askAll asks everything once.
func (n *namespace) askAll(qs []question, seed uint64) ([]verdict, error) {
	out := make([]verdict, len(qs))
	var wg sync.WaitGroup
	for i := range askers {
		trio, err := n.trio(seed + uint64(i)*10)
		if err != nil {
			return nil, err
		}
		wg.Go(func() {
			for j := i; j < len(qs); j += askers {
				out[j] = trio.ask(qs[j])
			}
		})
	}
	wg.Wait()
	return out, nil
}

// askAgain asks once more where a failure makes a difference and may be chance:
// an oracle's on a busy machine, ours behind a bad path. Where the path is good
// ours stands: a second try could succeed by what the first left in the cache.
func (n *namespace) askAgain(t *testing.T, verdicts []verdict, seed uint64) {
	t.Helper()
	var again []int
	for i, v := range verdicts {
		if v.ours.failed() && faulty[v.kind] || v.open() && !v.ours.failed() && (v.unbound.failed() || v.kresd.failed()) {
			again = append(again, i)
		}
	}
	qs := make([]question, len(again))
	for i, at := range again {
		qs[i] = verdicts[at].question
	}
	second, err := n.askAll(qs, seed+5)
	if err != nil {
		t.Fatal(err)
	}
	for i, at := range again {
		verdicts[at] = second[i]
	}
	t.Logf("asked again: %d", len(again))
}

// trio asks all three.
type trio struct{ ours, unbound, kresd *client }

func (n *namespace) trio(seed uint64) (t trio, err error) {
	for i, c := range []struct {
		to   **client
		addr string
	}{{&t.ours, resolverAt}, {&t.unbound, unboundAt}, {&t.kresd, kresdAt}} {
		if *c.to, err = n.client(c.addr, seed+uint64(i)); err != nil {
			return t, err
		}
	}
	return t, nil
}

func (t trio) ask(q question) verdict {
	v := verdict{question: q}
	var wg sync.WaitGroup
	wg.Go(func() { v.unbound = t.unbound.ask(q) })
	wg.Go(func() { v.kresd = t.kresd.ask(q) })
	v.ours = t.ours.ask(q)
	v.again = t.ours.ask(q)
	wg.Wait()
	return v
}

// judge sorts the verdicts, prints the figures, and fails on what is not
// explained.
func judge(t *testing.T, verdicts []verdict) {
	t.Helper()
	agreed, matched := map[string]int{}, map[string]int{}
	var open []string
	report, recased := &strings.Builder{}, 0
	for _, v := range verdicts {
		if wrong := v.wrong(); wrong != "" {
			open = append(open, wrong+": "+v.String())
		}
		with := v.agreement()
		agreed[with]++
		if v.ours.key() == v.unbound.key() && !sameCase(v.ours.exact, v.unbound.exact) {
			recased++
			fmt.Fprintf(report, "case: %s\n", v)
		}
		if with != "both" {
			fmt.Fprintf(report, "%s: %s\n", with, v)
		}
		if v.open() {
			open = append(open, v.String())
		} else if with == "neither" { // so not open: there is a rule
			matched[explain(v)]++
		}
	}
	if path := os.Getenv("CONFORMANCE_REPORT"); path != "" { // every difference, for reading
		if err := os.WriteFile(path, []byte(report.String()), 0o644); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d answers like Unbound's but for the case of letters", recased)
	if recased > len(verdicts)/100 { // a few come of compression (RFC 4343 §4.1); more, of our own random case
		t.Errorf("the case of letters changed in %d answers", recased)
	}
	t.Logf("%d questions; agreed with both %d, Unbound only %d, Knot Resolver only %d, neither %d", len(verdicts),
		agreed["both"], agreed["Unbound only"], agreed["Knot Resolver only"], agreed["neither"])
	for _, r := range explained {
		t.Logf("explained %5d: %s (%s)", matched[r.name], r.name, r.clause)
		if matched[r.name] == 0 {
			t.Errorf("nothing differs any more by the rule %q: remove it", r.name)
		}
	}
	for i, text := range open {
		if i == 60 {
			t.Errorf("and %d more", len(open)-i)
			break
		}
		t.Error("not explained: " + strings.TrimSpace(text))
	}
}
