package config

import (
	"fmt"
	"time"
)

// ParseDuration reads a duration as the configuration has it: 500ms, 30s, 1h30m, 7d.
func ParseDuration(text string) (time.Duration, error) {
	d, p := parseDuration(text)
	if p != nil {
		return 0, fmt.Errorf("%s; %s", p.msg, p.hint)
	}
	return d, nil
}
