package cli

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"lastgood/internal/app"
	"lastgood/internal/dnsname"
	"lastgood/internal/lab"
	"lastgood/internal/resolver"
	"lastgood/internal/wire"
)

type queryOptions struct {
	server, config     string
	json, trace, lab   bool
	tcp, dnssec, norec bool
	timeout            time.Duration
}

func queryCommand() *command {
	return &command{
		name: "query", args: "[options] NAME [TYPE]",
		short: "ask a question, or resolve one and show every step",
		long: `Without --trace it asks a running server. With --trace it resolves by itself,
from the root down, and tells every step: which server was asked and why that
one, how long it took, what it said and what of it was not believed.

The exit code is 0 when there is an answer (NOERROR or NXDOMAIN), 1 otherwise.`,
		example: []string{
			"lastgood query www.example.com", "lastgood query example.com MX --server 192.0.2.53 --json",
			"lastgood query www.shop.example.com AAAA --trace --lab",
		},
		flags: func(fs *flag.FlagSet) any {
			o := new(queryOptions)
			fs.StringVar(&o.server, "server", "127.0.0.1:5300", "ask the server at this `address`[:port]")
			fs.StringVar(&o.config, "config", "", "with --trace: resolve as this configuration `file` says")
			fs.BoolVar(&o.json, "json", false, "print JSON")
			fs.BoolVar(&o.trace, "trace", false, "resolve here and tell every step")
			fs.BoolVar(&o.lab, "lab", false, "with --trace: resolve in a small Internet of its own (see `lastgood lab`)")
			fs.BoolVar(&o.tcp, "tcp", false, "use TCP")
			fs.BoolVar(&o.dnssec, "dnssec", false, "ask for signatures too")
			fs.BoolVar(&o.norec, "norecurse", false, "ask for what is cached only")
			fs.DurationVar(&o.timeout, "timeout", 10*time.Second, "give up after this `time`")
			return o
		},
		run: func(ctx context.Context, e *env, opts any, args []string) error {
			return runQuery(ctx, e, opts.(*queryOptions), args)
		},
	}
}

func runQuery(ctx context.Context, e *env, o *queryOptions, args []string) error {
	name, typ, err := readQuestion("query", args)
	if err != nil {
		return err
	}
	switch {
	case o.lab && !o.trace:
		return usagef("--lab goes with --trace; to ask a running lab use --server")
	case o.config != "" && !o.trace:
		return usagef("--config goes with --trace: without it a running server is asked")
	case o.timeout <= 0:
		return usagef("--timeout %v leaves no time", o.timeout)
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	var m message
	if o.trace {
		m, err = traceQuery(ctx, e, o, name, typ)
	} else {
		var server netip.AddrPort
		if server, err = serverAddress(o.server); err == nil {
			a := asking{server: server, name: name, typ: typ, tcp: o.tcp, dnssec: o.dnssec, norec: o.norec}
			m, err = a.do(ctx)
		}
	}
	if err != nil {
		return err
	}
	if o.json {
		enc := json.NewEncoder(e.stdout)
		enc.SetIndent("", "  ")
		err = enc.Encode(m)
	} else {
		m.print(e.stdout)
	}
	if err == nil && m.Status != wire.RcodeNoError.String() && m.Status != wire.RcodeNXDomain.String() {
		return errSilent
	}
	return err
}

// readQuestion reads NAME [TYPE], in either order as dig does when the first
// can only be a type.
func readQuestion(command string, args []string) (dnsname.Name, wire.Type, error) {
	if len(args) == 0 || len(args) > 2 {
		return "", 0, usagef("give a name and perhaps a type: lastgood %s NAME [TYPE]", command)
	}
	typ := wire.TypeA
	if len(args) == 2 {
		var err error
		if typ, err = wire.ParseType(args[1]); err != nil {
			return "", 0, usagef("%v", err)
		}
	}
	name, err := readName(args[0])
	return name, typ, err
}

// serverAddress reads an address with or without a port; 53 is the default.
func serverAddress(s string) (netip.AddrPort, error) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap, nil
	}
	addr, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		return netip.AddrPort{}, usagef("--server: %q is no address (give 192.0.2.53, 192.0.2.53:5300 or [2001:db8::53]:5300)", s)
	}
	return netip.AddrPortFrom(addr, 53), nil
}

// traceQuery resolves here and tells the steps while they happen.
func traceQuery(ctx context.Context, e *env, o *queryOptions, name dnsname.Name, typ wire.Type) (message, error) {
	cfg, err := loadConfig(o.config)
	if err != nil {
		return message{}, err
	}
	story := newStory(e.stdout, !o.json)
	opts := app.Options{Config: cfg, Log: quietLog(), Events: story.hear}
	if o.lab {
		world, err := lab.Start(ctx, lab.Options{})
		if err != nil {
			return message{}, err
		}
		defer world.Close()
		opts = inLab(opts, world)
	}
	a, err := app.New(opts)
	if err != nil {
		return message{}, err
	}
	defer a.Stop(context.WithoutCancel(ctx))
	return story.tell(ctx, a, resolver.Query{Name: name, Type: typ, RD: !o.norec, DO: o.dnssec}), nil
}

// tell resolves one question and gives the reply that a client would get.
func (s *story) tell(ctx context.Context, a *app.App, q resolver.Query) message {
	start := time.Now()
	q.Arrival = a.Clock().Now()
	answer := a.Resolver().Resolve(ctx, q)
	s.trust(a.Resolver().Trust(ctx, &q, answer))
	var b wire.Builder
	b.Reset(nil, wire.MaxMessage, wire.Header{Response: true, RD: q.RD, RA: true})
	b.Question(q.Name, q.Type, wire.ClassIN)
	out := answer.Write(&b)
	b.SetHeader(wire.Header{Response: true, RD: q.RD, RA: true, AA: out.AA, AD: out.AD, TC: out.Truncated, Rcode: out.Rcode})
	var options []byte
	for _, x := range answer.Errors {
		options = wire.AppendEDE(options, uint16(x.Code), x.ExtraText())
	}
	b.OPT(wire.EDNS{UDPSize: 1232, DO: q.DO, Options: options}, out.Rcode)
	v, err := wire.Read(b.Bytes())
	if err != nil {
		panic(fmt.Sprintf("our own reply does not parse: %v", err))
	}
	m := readMessage(v)
	m.TookMS = float64(time.Since(start)) / float64(time.Millisecond)
	m.Steps = s.steps()
	return m
}
