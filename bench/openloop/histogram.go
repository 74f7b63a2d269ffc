package openloop

import (
	"math/bits"
	"time"
)

// Histogram counts durations in buckets of about 6 % width, up to 17 s.
type Histogram [bucketCount]uint64

const (
	subBits     = 4
	bucketCount = (24 - subBits + 1) << subBits
)

func bucket(d time.Duration) int {
	us := uint64(max(d/time.Microsecond, 0))
	if us < 1<<subBits {
		return int(us)
	}
	shift := bits.Len64(us) - 1 - subBits
	return min((shift+1)<<subBits+int(us>>shift)-1<<subBits, bucketCount-1)
}

// least is the smallest duration of a bucket.
func least(b int) time.Duration {
	if b < 1<<subBits {
		return time.Duration(b) * time.Microsecond
	}
	shift := b>>subBits - 1
	return time.Duration(1<<subBits|b&(1<<subBits-1)) << shift * time.Microsecond
}

// Quantile is the upper end of the bucket in which the share q lies.
func (h *Histogram) Quantile(q float64) time.Duration {
	total := h.Count()
	if total == 0 {
		return 0
	}
	seen, want := uint64(0), uint64(q*float64(total))
	for b, n := range h {
		if seen += n; seen > want {
			return least(b + 1)
		}
	}
	return least(bucketCount)
}

// Count is how many durations it counted.
func (h *Histogram) Count() (n uint64) {
	for _, c := range h {
		n += c
	}
	return n
}

// Note counts a duration.
func (h *Histogram) Note(d time.Duration) { h[bucket(d)]++ }

// Add adds what another one counted.
func (h *Histogram) Add(o *Histogram) {
	for i := range h {
		h[i] += o[i]
	}
}

// Minus is what came since an earlier state.
func (h *Histogram) Minus(o *Histogram) (d Histogram) {
	for i := range h {
		d[i] = h[i] - o[i]
	}
	return d
}
