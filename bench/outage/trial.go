package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"syscall"
	"time"

	"lastgood/bench/machine"
)

// Kinds of outage.
const (
	silence  = "silence"
	servfail = "servfail"
	refused  = "refused"
)

// Authorities.
const (
	ownAuthority = "own"
	nsd          = "NSD"
)

// trial is one run: a fresh server, an outage, and what clients noticed of it.
type trial struct {
	server    *server
	authority string
	kind      string
	number    int // of the run, from 1: its phase and its questions are random by it
	killed    bool
}

func (t *trial) String() string {
	text := fmt.Sprintf("%s, %s, authority %s, run %d", t.server.name, t.kind, t.authority, t.number)
	if t.killed {
		text += ", killed"
	}
	return text
}

// record is what was seen in a trial. Times are since the load began.
type record struct {
	trial
	o         *options
	began     int64 // nanoseconds of the wall clock
	questions []question
	arrivals  []arrival // at the front
	strays    int64

	stop, back time.Duration // of the authority
	restart    time.Duration // of the killed server; 0: it was not
}

// lab is the processes of a trial.
type lab struct {
	t         *trial
	dir       string
	authority *process
	front     *part
	resolver  *process
}

func startLab(ctx context.Context, o *options, t *trial, dir string) (l *lab, err error) {
	l = &lab{t: t, dir: dir}
	defer func() {
		if err != nil {
			l.stop()
		}
	}()
	ttl := int(o.ttl / time.Second)
	if t.authority == nsd {
		l.authority, err = startNSD(dir, o.nsdProgram, o.names, ttl)
	} else {
		var p *part
		if p, err = startPart(loadCore(), "@authority", authorityPort, o.names, ttl); err == nil {
			l.authority = p.process
		}
	}
	if err != nil {
		return l, err
	}
	if l.front, err = startPart(loadCore(), "@front", frontPort, authorityPort); err != nil {
		return l, err
	}
	if err = t.server.configure(dir, t.killed); err != nil {
		return l, err
	}
	if l.resolver, err = t.server.run(dir); err != nil {
		return l, err
	}
	if err = ready(ctx); err != nil {
		err = fmt.Errorf("%w; %s said: %s; authority said: %s", err, t.server.name, l.resolver.said(), l.authority.said())
	}
	return l, err
}

func (l *lab) stop() {
	l.resolver.stop()
	if l.front != nil {
		l.front.stop()
	}
	l.authority.stop()
}

// ready waits until the resolver knows the address of the zone's name server,
// which no question asks for later.
func ready(ctx context.Context) error {
	conn, err := client(100)
	if err != nil {
		return err
	}
	defer conn.Close()
	buf := make([]byte, 4096)
	for range 100 {
		conn.Write(appendQuery(nil, 1, "ns."+zoneName)) // refused until the server listens
		conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		n, err := conn.Read(buf)
		if err == nil {
			if r, err := parseReply(buf[:n]); err == nil && r.rcode == 0 && r.found && r.address == [4]byte{127, 0, 0, 1} {
				return nil
			}
		}
		if err := machine.Wait(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return errors.New("the resolver does not answer as it should before the run")
}

// fail begins the outage, heal ends it.
func (l *lab) fail() error {
	if l.t.kind == silence {
		return l.authority.signal(syscall.SIGSTOP)
	}
	return l.front.order(l.t.kind)
}

func (l *lab) heal() error {
	if l.t.kind == silence {
		return l.authority.signal(syscall.SIGCONT)
	}
	return l.front.order("pass")
}

// try does a trial in a new folder below dir.
func try(ctx context.Context, o *options, t *trial, dir string) (*record, error) {
	dir, err := os.MkdirTemp(dir, "")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l, err := startLab(ctx, o, t, dir)
	if err != nil {
		return nil, err
	}
	defer l.stop()
	rng := rand.New(rand.NewPCG(o.seed, uint64(t.number)))
	stop := o.healthy + time.Duration(rng.Int64N(int64(o.ttl)))
	g, err := newGenerator(schedule(o, rng, stop+o.outage+o.after))
	if err != nil {
		return nil, err
	}
	r := &record{trial: *t, o: o, began: g.began, questions: g.questions}
	sent := make(chan error, 1)
	go func() { sent <- g.run(ctx) }()
	err = r.outage(ctx, g, l, stop)
	if err != nil {
		cancel()
	}
	err = errors.Join(err, <-sent)
	if err == nil {
		err = g.rest(ctx, o.patience)
	}
	g.close()
	if err != nil {
		return nil, fmt.Errorf("%w; %s said: %s", err, t.server.name, l.resolver.said())
	}
	r.strays = g.strays.Load()
	r.arrivals, err = l.front.arrivals()
	return r, err
}

// outage stops the authority at its time, brings it back, and returns then.
func (r *record) outage(ctx context.Context, g *generator, l *lab, stop time.Duration) error {
	if err := machine.Wait(ctx, stop-g.now()); err != nil {
		return err
	}
	if err := l.fail(); err != nil {
		return err
	}
	r.stop = g.now()
	if r.killed {
		if err := machine.Wait(ctx, stop+r.o.outage/2-g.now()); err != nil {
			return err
		}
		l.resolver.kill()
		var err error
		if l.resolver, err = r.server.run(l.dir); err != nil {
			return err
		}
		r.restart = g.now()
	}
	if err := machine.Wait(ctx, stop+r.o.outage-g.now()); err != nil {
		return err
	}
	r.back = g.now()
	return l.heal()
}

// floor measures what the generator finds of a server that does nothing, and
// how late it asks.
func floor(ctx context.Context, o *options) (*record, error) {
	echo, err := startPart(resolverCore, "@echo", resolverPort)
	if err != nil {
		return nil, err
	}
	defer echo.stop()
	g, err := newGenerator(schedule(o, rand.New(rand.NewPCG(o.seed, 0)), o.floor))
	if err != nil {
		return nil, err
	}
	err = g.run(ctx)
	if err == nil {
		err = g.rest(ctx, time.Second)
	}
	g.close()
	return &record{o: o, began: g.began, questions: g.questions}, err
}
