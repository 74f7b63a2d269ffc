// Package app joins the packages into a running resolver. It is the only
// place that knows both the configuration and what it configures. It must not
// judge a question or an answer: that is for those whom it joins.
package app

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"lastgood/internal/anchor"
	"lastgood/internal/cache"
	"lastgood/internal/clock"
	"lastgood/internal/config"
	"lastgood/internal/control"
	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/infra"
	"lastgood/internal/listener"
	"lastgood/internal/resolver"
	"lastgood/internal/stale"
	"lastgood/internal/upstream"
	"lastgood/internal/validator"
	"lastgood/internal/xdp"
)

// Options of an App. Only Config and Log are required.
type Options struct {
	Config *config.Config
	Log    *slog.Logger
	Events event.Sink // hears everything that happens, besides the log

	// The network and the clock, for simulations; the system's when nil.
	Upstream upstream.Network
	Listen   listener.Network
	Clock    *clock.Clock

	Hints []cache.NameServer // in place of the configuration's root hints
	Seed  uint64             // of server choice and hashing; 0 takes a random one

	// Snapshot is the file that keeps the cache from one run to the next, "" for
	// none: the App leaves to its caller what cache.snapshot means, see
	// SnapshotPath. Its directory is made at Start.
	Snapshot string

	// State is a directory of the App's own, for what it has to know again after a
	// restart besides the cache: which keys it trusts (RFC 5011), what an operator
	// told it. "" for none; see StatePath. It is made at Start.
	State string

	// Mapped has the cache's entries lie outside the Go heap, where the system can do
	// that, in memory that is not given back before the process ends: for a program
	// that makes one App, and lets the collector deal with the rest alone.
	Mapped bool

	// NoSnapshot is why there is no Snapshot although the configuration wants one,
	// see SnapshotPath; nil if it wants none. It is said and counted at Start.
	NoSnapshot error
}

// App is a resolver with everything around it.
type App struct {
	o        Options
	clock    *clock.Clock
	cache    *cache.Cache
	pages    *pages // of the cache; nil: it lies in the Go heap
	infra    *infra.Infra
	upstream *upstream.Upstream
	resolver *resolver.Resolver
	listener *listener.Listener
	xdp      []*xdp.Interface // beside the listener's sockets
	control  *control.Server

	snapshots snapshots
	counts    eventCounts
	events    event.Sink
	token     string // of the control address

	anchors   *anchor.Table                   // what names stand on
	negatives *anchor.Negatives               // of the table
	ntas      negatives                       // keeps those
	watch     *anchor.Watch                   // for zones that want one
	reporter  *reporter                       // nil: errors are not reported
	followed  followed                        // the anchors that RFC 5011 keeps up to date
	validator *validator.Validator            // nil: nothing is validated
	root      *rootCopy                       // nil: the root servers are asked
	tlsRoots  map[dnsname.Name]*x509.CertPool // of forward zones that have their own
	stale     *stale.Rules                    // the policies of all names

	ready  atomic.Bool
	failed chan error
	end    context.CancelFunc
	tasks  sync.WaitGroup
}

// Mistake is an error in what the configuration names: a file that is missing
// or garbled. Nothing was started.
type Mistake struct{ Err error }

func (m Mistake) Error() string { return m.Err.Error() }

// Unwrap gives the error itself.
func (m Mistake) Unwrap() error { return m.Err }

// New builds an App. Nothing runs and no address is opened before Start. Its
// error is a [Mistake].
func New(o Options) (*App, error) {
	a := &App{o: o, clock: o.Clock, failed: make(chan error, 4)}
	if a.clock == nil {
		a.clock = clock.New()
	}
	a.snapshots.flushed = make(chan struct{}, 1)
	a.followed.again = make(chan struct{}, 1)
	a.ntas.changed = make(chan struct{}, 1)
	if err := a.build(); err != nil {
		return nil, Mistake{err}
	}
	return a, nil
}

// Resolver answers questions without a listener; it works before Start too.
func (a *App) Resolver() *resolver.Resolver { return a.resolver }

// Cache is what the resolver remembers.
func (a *App) Cache() *cache.Cache { return a.cache }

// Clock is the app's clock.
func (a *App) Clock() *clock.Clock { return a.clock }

// Listening lists where questions are taken, after Start.
func (a *App) Listening() []netip.AddrPort {
	var list []netip.AddrPort
	for _, e := range a.listener.Endpoints() {
		if e.Transport == event.UDP {
			list = append(list, e.Addr)
		}
	}
	return list
}

// ControlAddr is where the control address is, "" without one.
func (a *App) ControlAddr() string {
	if a.control == nil {
		return ""
	}
	return a.control.Addr()
}

// Bounds of what the app opens beside its clients' connections.
const (
	upstreamSockets = 8192 // sockets to name servers, those kept for further questions included
	otherFiles      = 100  // listening sockets, the poller, files that are read or written
)

// Files is how many files the app may have open at most by its configuration.
func (a *App) Files() int {
	return a.o.Config.Limits.TCPConnections + upstreamSockets + control.MaxConns + otherFiles
}

// Failed gives what ended a part of the program that should have gone on.
func (a *App) Failed() <-chan error { return a.failed }

// Start opens the addresses and begins to answer. After an error nothing runs.
func (a *App) Start() error {
	ctx, end := context.WithCancel(context.Background())
	a.end = end
	a.makeState()
	a.recallKeys()
	a.startNegatives(ctx)
	if err := a.startControl(); err != nil {
		end()
		return err
	}
	if a.pages != nil {
		a.tasks.Go(func() { a.pages.keepAhead(ctx) })
	}
	a.startSnapshots(ctx)
	a.startRoot(ctx)
	if err := a.listener.Start(); err != nil {
		a.snapshots.off.Store(true) // perhaps another lastgood is there already
		return errors.Join(err, a.Stop(ctx))
	}
	a.tasks.Go(func() { a.sweep(ctx) })
	a.tasks.Go(func() { a.follow(ctx) })
	a.tasks.Go(func() { a.resolver.Run(ctx) })
	if a.reporter != nil {
		a.tasks.Go(func() { a.reporter.run(ctx, a.resolver.Resolve) })
	}
	a.ready.Store(true)
	return nil
}

func (a *App) startControl() error {
	c := a.o.Config.Control
	if !c.Listen.Enabled() || a.o.Listen != nil { // a simulated network has no control address
		return nil
	}
	o := control.Options{Listen: c.Listen.String(), Token: a.token, Ready: a.ready.Load, Gather: a.gather, Log: a.o.Log, Clock: a.clock,
		RootZone: controlAPI{a}.RootZone, Cache: controlAPI{a}, Resolver: controlAPI{a}}
	if a.validator != nil {
		o.NTAs = controlAPI{a}
	}
	s, err := control.New(o)
	if err != nil {
		return err
	}
	if file := c.TokenFile; file != "" && control.Exposed(file) {
		a.o.Log.Warn("every user of this machine can read or write the token of the control address", "file", file,
			"advice", "chmod o-rwx "+file+", and write a new token into it")
	}
	a.control = s
	a.tasks.Go(func() {
		if err := s.Serve(); err != nil {
			a.failed <- fmt.Errorf("control: %w", err)
		}
	})
	return nil
}

// sweepInterval is how often what expired is tidied away in the background, and
// how often shortages are told of.
const sweepInterval = 10 * time.Second

func (a *App) sweep(ctx context.Context) {
	var told shortages
	timer := time.NewTimer(sweepInterval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			a.cache.Sweep(a.clock.Now())
			a.lookAtZones()
			a.lookAtClock()
			told.look(a)
			timer.Reset(sweepInterval)
		}
	}
}

// Stop takes no more questions, answers those in flight as long as ctx allows,
// and ends everything.
func (a *App) Stop(ctx context.Context) error {
	a.ready.Store(false)
	err := a.listener.Shutdown(ctx)
	a.resolver.Close()
	a.upstream.Close()
	if a.control != nil {
		err = errors.Join(err, a.control.Shutdown(ctx))
	}
	if a.end != nil {
		a.end()
	}
	a.tasks.Wait()
	a.saveSnapshot(nil)
	return err
}
