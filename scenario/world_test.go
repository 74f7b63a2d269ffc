package scenario

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/app"
	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/simauth"
	"lastgood/internal/simnet"
)

// Where the resolver and, unless told otherwise, its client and the root are.
var ( // constant in effect
	resolver4  = netip.MustParseAddr("198.51.100.53")
	resolver6  = netip.MustParseAddr("2001:db8:53::53")
	client4    = netip.MustParseAddr("198.51.100.10")
	rootServer = []string{"a.root.", "192.0.2.1", "."}
)

const (
	defaultLatency = 10 * time.Millisecond
	maxWait        = 30 * 24 * time.Hour // that a script may let pass at once
	stopTime       = time.Minute         // that the app has for stopping
)

// world is a scenario being played. Its methods belong to the goroutine that
// plays; what others write is in trace, which has a lock.
type world struct {
	script  *script
	seed    uint64
	bite    bool // expectations are turned into their contrary, and must fail
	net     *simnet.Net
	sim     *simauth.Sim
	host    *simnet.Host // the resolver's
	began   time.Time
	trace   *trace
	servers []*server
	clients map[netip.Addr]*simnet.Host
	hints   []cache.NameServer
	config  []string    // KEY=VALUE
	anchors []string    // records that the resolver trusts
	app     *app.App    // nil before the first question
	shift   clock.Shift // of the resolver's machine
	state   string      // the app's directory, "$STATE" in the configuration; outlives it

	signings map[dnsname.Name]*signing

	conns   map[string]*conn
	pending []*pending
	mark    mark // where check counts from
	nextID  uint16
	groups  int // of expectations that were held against something
}

// mark is a place in the trace.
type mark struct{ queries, events, heard int }

// failure is a script's mistake or an expectation that does not hold.
type failure struct {
	at  string
	err error
}

func (f *failure) Error() string { return f.at + ": " + f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// play runs a script in the bubble of the caller, who gets what was wrong.
func play(t testing.TB, s *script, seed uint64, bite bool) (w *world, err error) {
	w = &world{
		script: s, seed: seed, bite: bite, began: time.Now(), nextID: 1000,
		clients: map[netip.Addr]*simnet.Host{}, conns: map[string]*conn{}, state: t.TempDir(),
		signings: map[dnsname.Name]*signing{},
	}
	w.net = simnet.New(simnet.Options{Seed: seed, Queue: 1 << 15})
	w.sim = simauth.New(t, w.net)
	w.host = w.net.Host(resolver4, resolver6)
	w.trace = newTrace(w)
	defer w.net.Tap(w.trace.packet)()
	for _, st := range s.steps {
		if err = w.step(st); err != nil {
			break
		}
	}
	if err == nil {
		err = w.wait()
	}
	return w, errors.Join(err, w.end())
}

// step plays one statement.
func (w *world) step(st *step) error {
	how := statements[st.verb]
	if how.needsApp {
		if err := w.start(); err != nil {
			return &failure{st.at, err}
		}
	}
	err := how.do(w, st)
	var f *failure
	if err != nil && !errors.As(err, &f) {
		err = &failure{st.at, err}
	}
	return err
}

// end stops everything and looks for what was left.
func (w *world) end() error {
	var errs []error
	for _, c := range w.conns {
		c.close()
	}
	if w.app != nil {
		errs = append(errs, w.stop())
	}
	time.Sleep(time.Second) // what is under way arrives, what was closed is gone
	if n := w.host.Open(); n != 0 {
		errs = append(errs, fmt.Errorf("%s: %d sockets of the resolver are left open", w.script.file, n))
	}
	w.net.Close()
	return errors.Join(errs...)
}

// now is the time since the beginning.
func (w *world) now() time.Duration { return time.Since(w.began) }

// until lets the time pass up to a moment since the beginning.
func (w *world) until(at time.Duration) error {
	d := at - w.now()
	if d < 0 {
		return fmt.Errorf("it is %v already", w.now())
	}
	if d > maxWait {
		return fmt.Errorf("%v is more than %v", d, maxWait)
	}
	time.Sleep(d)
	return nil
}

// client gives the host with an address, a new one if there is none.
func (w *world) client(a netip.Addr) *simnet.Host {
	h := w.clients[a]
	if h == nil {
		h = w.net.Host(a)
		w.clients[a] = h
	}
	return h
}

// named finds a server.
func (w *world) named(name string) (*server, error) {
	for _, s := range w.servers {
		if strings.EqualFold(s.name, name) {
			return s, nil
		}
	}
	var known []string
	for _, s := range w.servers {
		known = append(known, s.name)
	}
	return nil, fmt.Errorf("no server is called %s; known are %s", name, strings.Join(known, ", "))
}

// serves lists the servers of a zone, and whether there are any.
func (w *world) serves(zone dnsname.Name) (list []*server) {
	for _, s := range w.servers {
		if _, ok := s.zones[zone]; ok {
			list = append(list, s)
		}
	}
	return list
}

// deepest is the closest zone above or at a name that has servers.
func (w *world) deepest(name dnsname.Name) dnsname.Name {
	for n := name; !n.IsRoot(); n = n.Parent() {
		if len(w.serves(n)) > 0 {
			return n
		}
	}
	return dnsname.Root
}

// zonesServed lists all zones that have servers, in a stable order.
func (w *world) zonesServed() (list []dnsname.Name) {
	for _, s := range w.servers {
		for z := range s.zones {
			if !slices.Contains(list, z) {
				list = append(list, z)
			}
		}
	}
	slices.SortFunc(list, dnsname.Compare)
	return list
}

// note puts the present place of the trace down.
func (w *world) note() mark {
	synctest.Wait() // what else belongs to this instant belongs to what was before
	w.trace.mu.Lock()
	defer w.trace.mu.Unlock()
	return mark{len(w.trace.queries), len(w.trace.events), w.sim.Count()}
}

// since gives what happened after a mark.
func (w *world) since(m mark) *outcome {
	synctest.Wait()
	w.trace.mu.Lock()
	defer w.trace.mu.Unlock()
	return &outcome{
		queries: slices.Clone(w.trace.queries[m.queries:]), events: slices.Clone(w.trace.events[m.events:]),
		heard: w.sim.Queries()[m.heard:],
	}
}

// seedOf gives a scenario its own seed, always the same.
func seedOf(file string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(file))
	return h.Sum64() | 1
}
