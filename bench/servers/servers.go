// Package servers has the resolvers that the benchmarks compare, and how each is
// configured: alike, and as a competent operator would do it. The configurations are
// the files of the folder conf.
package servers

import (
	"context"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"lastgood/bench/machine"
)

//go:embed conf
var conf embed.FS

// Setup is what a configuration depends on.
type Setup struct {
	Dir         string // its own, for what the server writes
	Port        int    // on 127.0.0.1
	Control     int    // lastgood's port for metrics; 0: none
	Validate    bool   // with the world's root as the anchor
	CacheMiB    int    // larger than the data, unless it is the cache's bound that is measured
	Cores       int    // threads that answer
	Connections int    // over TCP, all from one address
	Raised      bool   // limits on what one client or zone may take, out of the load's way
	Hints       string // file of root hints
	Anchor      string // . IN DS tag algorithm type digest
}

// TwoThirds of the cache are for records, where a server has two caches.
func (s Setup) TwoThirds() int { return s.CacheMiB * 2 / 3 }

// OneThird of the cache is for messages.
func (s Setup) OneThird() int { return s.CacheMiB / 3 }

// AnchorData is the anchor's data alone.
func (s Setup) AnchorData() string { return strings.TrimPrefix(s.Anchor, ". IN DS ") }

// AnchorDS is the anchor's data with the digest quoted.
func (s Setup) AnchorDS() string {
	f := strings.Fields(s.AnchorData())
	f[len(f)-1] = strconv.Quote(f[len(f)-1])
	return strings.Join(f, " ")
}

// Server is a resolver that can take part.
type Server struct {
	Name    string
	Version string

	program string
	ask     string   // what makes it tell its version
	files   []string // of conf
	args    []string // DIR is replaced
}

// Names of the two that are always compared.
const (
	Lastgood = "lastgood"
	Unbound  = "unbound"
)

// known are all of them, those that are compared first first.
func known() []*Server {
	return []*Server{
		{Name: Unbound, program: "unbound", ask: "-V", files: []string{"unbound.conf"}, args: []string{"-d", "-c", "DIR/unbound.conf"}},
		{Name: Lastgood, ask: "version", files: []string{"lastgood.yaml"}, args: []string{"serve", "--config", "DIR/lastgood.yaml"}},
		{Name: "pdns-recursor", program: "pdns_recursor", ask: "--version", files: []string{"recursor.conf", "recursor.lua"}, args: []string{"--config-dir=DIR"}},
		{Name: "bind9", program: "named", ask: "-V", files: []string{"named.conf"}, args: []string{"-f", "-n", "CORES", "-c", "DIR/named.conf"}},
		{Name: "knot-resolver", program: "kresd", ask: "--version", files: []string{"kresd.conf"}, args: []string{"-n", "-c", "DIR/kresd.conf", "DIR"}},
	}
}

// Find gives the servers that are wanted and installed, and the names of those that
// are not installed. Programs are looked for in a folder first, unless it is empty;
// lastgood is a path.
func Find(ctx context.Context, lastgood, folder string, wanted []string) (found []*Server, missing []string, err error) {
	for _, name := range wanted {
		if !slices.ContainsFunc(known(), func(s *Server) bool { return s.Name == name }) {
			return nil, nil, fmt.Errorf("unknown server %q", name)
		}
	}
	for _, s := range known() {
		if !slices.Contains(wanted, s.Name) {
			continue
		}
		if s.Name == Lastgood {
			s.program = lastgood
		} else if s.program, err = machine.Locate(s.program, folder); err != nil {
			missing = append(missing, s.Name)
			continue
		}
		s.Version = version(ctx, s.program, s.ask)
		found = append(found, s)
	}
	return found, missing, nil
}

// version is the line that a program tells its version by.
func version(ctx context.Context, program string, ask string) string {
	out, err := exec.CommandContext(ctx, program, ask).CombinedOutput()
	if err != nil && len(out) == 0 {
		return "version unknown"
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if at := strings.Index(first, "PowerDNS"); at > 0 { // it begins with a date
		first = first[at:]
	}
	first, _, _ = strings.Cut(first, " (Extended") // of BIND
	first, _, _ = strings.Cut(first, " (C)")
	return first
}

// Files are the server's configuration, by the names of the files.
func (s *Server) Files(setup Setup) (map[string]string, error) {
	out := map[string]string{}
	for _, name := range s.files {
		t, err := template.ParseFS(conf, "conf/"+name)
		if err != nil {
			return nil, err
		}
		var b strings.Builder
		if err := t.Execute(&b, setup); err != nil {
			return nil, err
		}
		out[name] = b.String()
	}
	return out, nil
}

// Start writes the configuration into the setup's folder, from which it removes what an
// earlier run left (a cache, say), and starts the server on a core, or on several (0,1).
// What it says goes to the file log in the folder.
func (s *Server) Start(ctx context.Context, setup Setup, core string) (*machine.Process, error) {
	if is, err := os.Lstat(setup.Dir); err == nil && !is.IsDir() {
		return nil, fmt.Errorf("%s is no folder of the server's own", setup.Dir)
	}
	if err := os.RemoveAll(setup.Dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(setup.Dir, 0o755); err != nil {
		return nil, err
	}
	files, err := s.Files(setup)
	if err != nil {
		return nil, err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(setup.Dir, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	args := []string{s.program}
	for _, a := range s.args {
		args = append(args, strings.NewReplacer("DIR", setup.Dir, "CORES", strconv.Itoa(setup.Cores)).Replace(a))
	}
	return machine.Program{Args: args, Core: core, Ready: fmt.Sprintf("127.0.0.1:%d", setup.Port), Log: filepath.Join(setup.Dir, "log"),
		Env: []string{"STATE_DIRECTORY=" + filepath.Join(setup.Dir, "state")}}.Start(ctx)
}
