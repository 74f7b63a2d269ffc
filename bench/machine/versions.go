package machine

import (
	"context"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// Commit is the tree's commit, for reports, with a + when files differ from it.
func Commit(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty=+").Output()
	if err != nil {
		return "commit unknown"
	}
	return strings.TrimSpace(string(out))
}

// Versions names the programs that the cost benchmarks run, for reports.
func Versions(ctx context.Context) string {
	first := func(args ...string) string {
		out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
		if err != nil && len(out) == 0 {
			return args[0] + " (version unknown)"
		}
		for line := range strings.Lines(string(out)) {
			if _, v, ok := strings.Cut(strings.ToLower(line), "version "); ok {
				return filepath.Base(args[0]) + " " + strings.TrimSpace(v)
			}
		}
		return args[0] + " (version unknown)"
	}
	return strings.Join([]string{runtime.Version(), first("/usr/sbin/unbound", "-V"), first("/usr/sbin/nsd", "-v"), first("dnsperf", "-h")}, ", ")
}
