package control

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// Kind is what a metric counts.
type Kind uint8

// Kinds of metric.
const (
	Counter Kind = iota // only grows; its name ends in _total
	Gauge
	Histogram // its name ends in its unit, _seconds
)

// Metric is one value at the moment of a scrape. Names follow Prometheus'
// conventions and carry the unit.
type Metric struct {
	Name   string
	Help   string
	Kind   Kind
	Labels []string // names and values in turns
	Value  float64
	// Of a histogram: upper bounds in ascending order with counts that include
	// those of lower bounds, and the number and sum of all observations.
	Bounds []float64
	Counts []uint64
	Count  uint64
	Sum    float64
}

// Gather hands every metric to emit. Metrics of one name must agree in help,
// kind and label names.
type Gather func(emit func(Metric))

// collector turns what Gather gives into Prometheus' form at each scrape.
type collector struct{ gather Gather }

// Describe sends nothing: the metrics are known at the scrape only.
func (c collector) Describe(chan<- *prometheus.Desc) {}

func (c collector) Collect(out chan<- prometheus.Metric) {
	c.gather(func(m Metric) { out <- m.convert() })
}

func (m Metric) convert() prometheus.Metric {
	var names, values []string
	for pair := range slices.Chunk(m.Labels, 2) {
		names, values = append(names, pair[0]), append(values, pair[1])
	}
	desc := prometheus.NewDesc(m.Name, m.Help, names, nil)
	var pm prometheus.Metric
	var err error
	switch m.Kind {
	case Histogram:
		buckets := make(map[float64]uint64, len(m.Bounds))
		for i, b := range m.Bounds {
			buckets[b] = m.Counts[i]
		}
		pm, err = prometheus.NewConstHistogram(desc, m.Count, m.Sum, buckets, values...)
	case Gauge:
		pm, err = prometheus.NewConstMetric(desc, prometheus.GaugeValue, m.Value, values...)
	default:
		pm, err = prometheus.NewConstMetric(desc, prometheus.CounterValue, m.Value, values...)
	}
	if err != nil {
		return prometheus.NewInvalidMetric(desc, err)
	}
	return pm
}
