package world

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var plantFlag = flag.Bool("world.plant", false, "plant bugs in copies of the program and see them found")

// planted are mistakes to make in the program.
var planted = []struct{ name, file, right, wrong string }{
	{"TTL ignored", "internal/stale/stale.go", "	case now < expiry:", "	case true || now < expiry:"},
	{"max-stale ignored", "internal/stale/stale.go", "	case now < until:", "	case now < until || until > expiry:"},
	{"stale though the servers answer at once", "internal/stale/decide.go", "	return Decision{Action: Wait, Until: until}", "	return Decision{Action: ServeStale, Refresh: true}"},
	{"answer TTL written back", "internal/resolver/attempt.go", "	h.stale, h.told = true, a.policy.TTL(h.Entry.TTL)\n",
		"	h.stale, h.told = true, a.policy.TTL(h.Entry.TTL)\n	x := h.Entry\n	x.TTL, x.Set.TTL = h.told, h.told\n	t.r.cache.Put(now, &x)\n"},
	{"partial chain served stale", "internal/resolver/trail.go", "		if fail != nil {\n",
		"		if n := len(t.chain); fail != nil && t.past.hops > 0 {\n			return t.finish(t.chain[n-1])\n		}\n		if fail != nil {\n"},
	{"failure overwrites the last good answer", "internal/resolver/flight.go", "	case f.result.Failure == nil:\n		r.cache.Recovered(q)\n",
		"	case f.result.Failure == nil:\n		r.cache.Recovered(q)\n	case r.cache.Flush(q.Name, q.Type) > 0:\n"},
	{"bailiwick ignored", "internal/iterator/scrub.go", "	if name.Under(zone) {", "	if true || name.Under(zone) {"},
	{"negative answer for the wrong type", "internal/resolver/flight.go", "				r.cache.Put(now, e)\n",
		"				r.cache.Put(now, e)\n				if x := *e; x.Kind == cache.NoData {\n					x.Type = wire.TypeA\n					r.cache.Put(now, &x)\n				}\n"},
}

// TestPlanted makes each mistake in a copy of the module and lets the worlds of
// that copy be played: they must fail.
func TestPlanted(t *testing.T) {
	if !*plantFlag {
		t.Skip("without -world.plant nothing is planted: it compiles the program once for each")
	}
	for _, p := range planted {
		t.Run(p.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := copyModule("..", dir); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(dir, p.file)
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(text), p.right); n != 1 {
				t.Fatalf("%s has %q %d times: where is this bug to be planted now?", p.file, p.right, n)
			}
			if err := os.WriteFile(file, []byte(strings.Replace(string(text), p.right, p.wrong, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("go", "test", "-count=1", "-v", "./world", "-run", "TestWorlds", "-world.shrink=0")
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			first := regexp.MustCompile(`(?m)^.*world \d+: .*$`).Find(out)
			if err == nil || first == nil {
				t.Fatalf("not found:\n%s", out)
			}
			t.Logf("found: %s", first)
			t.Logf("%s", regexp.MustCompile(`(?m)^.*questions until the first.*$`).Find(out))
		})
	}
}

// copyModule copies the module's sources.
func copyModule(from, to string) error {
	return filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := d.Name(); strings.HasPrefix(base, ".") && base != ".." || name == "bench" || name == "conformance" || name == "tools" {
				return filepath.SkipDir
			}
			return os.MkdirAll(filepath.Join(to, name), 0o700)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), text, 0o600)
	})
}
