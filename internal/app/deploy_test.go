package app

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"lastgood/internal/control"
)

// The alert rules and the dashboard ask for metrics and labels that there are.
func TestDeployedQueries(t *testing.T) {
	labels := map[string][]string{ // of those that need traffic before there is one
		"lastgood_replies_total": {"rcode"},
	}
	for _, m := range gathered(t) {
		for k := 0; k < len(m.Labels); k += 2 {
			labels[m.Name] = append(labels[m.Name], m.Labels[k])
		}
		if m.Kind == control.Histogram {
			labels[m.Name+"_bucket"] = []string{"le"}
		} else if labels[m.Name] == nil {
			labels[m.Name] = []string{}
		}
	}
	for _, file := range []string{"../../deploy/alerts.yaml", "../../deploy/dashboard.json"} {
		exprs := expressions(t, file)
		if len(exprs) < 10 {
			t.Errorf("%s: %d queries were found", file, len(exprs))
		}
		for _, expr := range exprs {
			askedFor(t, file, expr, labels)
			bucketed(t, file, expr)
		}
	}
}

// expressions finds the queries of a file.
func expressions(t *testing.T, file string) (list []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(file, ".json") {
		for _, m := range regexp.MustCompile(`(?m)^ +expr: (.+)$`).FindAllStringSubmatch(string(text), -1) {
			list = append(list, m[1])
		}
		return list
	}
	var board struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	for _, p := range board.Panels {
		for _, q := range p.Targets {
			list = append(list, q.Expr)
		}
	}
	return list
}

// bucketed checks that what a quantile is compared with is a bound of its buckets:
// between two of them a quantile is made up.
func bucketed(t *testing.T, file, expr string) {
	t.Helper()
	m := regexp.MustCompile(`^histogram_quantile\(.* > ([0-9]+)$`).FindStringSubmatch(expr)
	if m == nil {
		return
	}
	for _, b := range gathered(t) {
		if b.Kind == control.Histogram && strings.Contains(expr, b.Name+"_bucket") {
			for _, bound := range b.Bounds {
				if strconv.FormatFloat(bound, 'f', -1, 64) == m[1] {
					return
				}
			}
		}
	}
	t.Errorf("%s: no bucket ends at %s: %s", file, m[1], expr)
}

// askedFor compares one query with the metrics and the labels that they have.
func askedFor(t *testing.T, file, expr string, labels map[string][]string) {
	t.Helper()
	found := regexp.MustCompile(`(lastgood_[a-z0-9_]+)(?:\{([^}]*)\})?`).FindAllStringSubmatch(expr, -1)
	if len(found) == 0 {
		t.Errorf("%s asks for no metric: %s", file, expr)
	}
	for _, m := range found {
		have, ok := labels[m[1]]
		if !ok {
			t.Errorf("%s asks for %s, which there is not", file, m[1])
		}
		wanted := regexp.MustCompile(`([a-z_]+)=`).FindAllStringSubmatch(strings.ReplaceAll(m[2], "=~", "="), -1)
		if by := regexp.MustCompile(`by \(([a-z_, ]+)\)`).FindStringSubmatch(expr); by != nil {
			for name := range strings.SplitSeq(by[1], ", ") {
				wanted = append(wanted, []string{"", name})
			}
		}
		for _, w := range wanted {
			if w[1] != "instance" && !slices.Contains(have, w[1]) {
				t.Errorf("%s: %s has no label %s: %s", file, m[1], w[1], expr)
			}
		}
	}
}
