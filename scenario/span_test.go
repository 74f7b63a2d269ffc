package scenario

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// span is a range of numbers, both ends in it.
type span struct{ lo, hi int64 }

func (s span) contains(n int64) bool { return s.lo <= n && n <= s.hi }

// parseSpan reads "3", "2..4", "<=4", ">=2" or "*"; blanks do not count.
func parseSpan(text string, number func(string) (int64, error)) (span, error) {
	s := span{0, math.MaxInt64}
	text = strings.ReplaceAll(text, " ", "")
	var err error
	switch lo, hi, both := strings.Cut(text, ".."); {
	case text == "*":
	case both:
		if s.lo, err = number(lo); err == nil {
			s.hi, err = number(hi)
		}
	case strings.HasPrefix(text, "<="):
		s.hi, err = number(text[2:])
	case strings.HasPrefix(text, ">="):
		s.lo, err = number(text[2:])
	default:
		s.lo, err = number(text)
		s.hi = s.lo
	}
	if err != nil {
		return s, fmt.Errorf("%q is no number or range: %w", text, err)
	}
	return s, nil
}

func plainNumber(text string) (int64, error) { return strconv.ParseInt(text, 10, 64) }

func durationNumber(text string) (int64, error) {
	d, err := duration(text)
	return int64(d), err
}

// duration reads a duration, with days.
func duration(text string) (time.Duration, error) {
	if days, rest, ok := strings.Cut(text, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil {
			return 0, err
		}
		d := time.Duration(n) * 24 * time.Hour
		if rest == "" {
			return d, nil
		}
		more, err := time.ParseDuration(rest)
		return d + more, err
	}
	return time.ParseDuration(text)
}
