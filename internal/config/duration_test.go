package config

import (
	"strings"
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	if d, err := ParseDuration("1d2h"); err != nil || d != 26*time.Hour {
		t.Errorf("%v, %v", d, err)
	}
	if _, err := ParseDuration("90"); err == nil || !strings.Contains(err.Error(), "has no unit; write 90s") {
		t.Error(err)
	}
}
