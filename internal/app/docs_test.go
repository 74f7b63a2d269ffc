package app

import (
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"lastgood/internal/config"
	"lastgood/internal/control"
	"lastgood/internal/ede"
	"lastgood/internal/event"
)

// gathered builds an app in which every conditional metric has something to
// say, and lists what it gathers.
func gathered(t *testing.T) []control.Metric {
	t.Helper()
	c := config.Default()
	c.Listen = append(c.Listen, config.Endpoint{Scheme: "xdp", Interface: "eth0"})
	a, err := New(Options{Config: c, Log: slog.New(slog.DiscardHandler), Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	a.counts.hear(event.Exchanged{})
	a.counts.hear(event.BudgetHit{Bound: "depth"})
	a.counts.hear(event.Priming{Failure: &ede.Error{}})
	a.counts.hear(event.Judged{Bogus: true, Failure: &ede.Error{Code: ede.SignatureExpired}})
	var list []control.Metric
	a.gather(func(m control.Metric) { list = append(list, m) })
	return list
}

// seldom lists the metrics that need traffic before there is one.
func seldom() []control.Metric {
	return []control.Metric{
		{Name: "lastgood_replies_total", Help: "Replies sent to clients."},
		{Name: "lastgood_questions_total", Help: "Questions by type."},
		{Name: "lastgood_validation_incident_names", Kind: control.Gauge},
		{Name: "lastgood_validation_incident_questions", Kind: control.Gauge},
		{Name: "lastgood_validation_incident_stale_names", Kind: control.Gauge},
	}
}

// The metrics that operators read about are those that there are.
func TestMetricsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	table := text[strings.Index(text, "## Metrics"):]
	for _, m := range append(gathered(t), seldom()...) {
		if !strings.Contains(table, "| `"+m.Name+"` |") {
			t.Errorf("docs/operations.md lacks: | `%s` | %s |", m.Name, m.Help)
		}
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `(lastgood_[a-z_0-9]+)`").FindAllStringSubmatch(table, -1) {
		if !slices.ContainsFunc(append(gathered(t), seldom()...), func(g control.Metric) bool { return g.Name == m[1] }) {
			t.Errorf("docs/operations.md tells of %s, which there is not", m[1])
		}
	}
}

// Prometheus' conventions: base units, _total for counters and only for them,
// one help and one set of labels a name.
func TestMetricNamesFollowConventions(t *testing.T) {
	seen := map[string]control.Metric{}
	for _, m := range gathered(t) {
		if !regexp.MustCompile(`^lastgood_[a-z][a-z0-9_]*$`).MatchString(m.Name) {
			t.Errorf("%s: not a proper name", m.Name)
		}
		if (m.Kind == control.Counter) != strings.HasSuffix(m.Name, "_total") {
			t.Errorf("%s: _total is for counters, all of them", m.Name)
		}
		if m.Kind == control.Histogram && !strings.HasSuffix(m.Name, "_seconds") {
			t.Errorf("%s: no unit", m.Name)
		}
		if !strings.HasSuffix(m.Help, ".") {
			t.Errorf("%s: help is no sentence: %q", m.Name, m.Help)
		}
		if first, ok := seen[m.Name]; ok {
			if first.Help != m.Help || first.Kind != m.Kind || len(first.Labels) != len(m.Labels) {
				t.Errorf("%s differs between its values", m.Name)
			}
		}
		seen[m.Name] = m
	}
}
