package cli

import (
	"context"
	"flag"
	"fmt"
	"io"
	"slices"

	"lastgood/internal/app"
	"lastgood/internal/config"
	"lastgood/internal/lab"
	"lastgood/internal/wire"
)

type labOptions struct {
	config, socket string
}

func labCommand() *command {
	socketFlag := func(fs *flag.FlagSet) any {
		o := new(labOptions)
		fs.StringVar(&o.socket, "socket", lab.SocketPath(), "the running lab's control `socket`")
		return o
	}
	return &command{
		name: "lab", args: "[--config FILE]",
		short: "run a small Internet on loopback with lastgood in front of it",
		long: `Root, top-level domains and a few dozen zones on servers with documentation
addresses, which the lab maps to loopback ports: it needs neither root nor the
Internet. Faults can be set while it runs: lastgood lab fault ZONE FAULT`,
		example: []string{"lastgood lab", "lastgood lab fault example.com blackhole", "lastgood lab fault example.com off", "lastgood lab list"},
		flags: func(fs *flag.FlagSet) any {
			o := socketFlag(fs).(*labOptions)
			fs.StringVar(&o.config, "config", "", "a configuration `file` for lastgood in the lab")
			return o
		},
		run: func(ctx context.Context, e *env, opts any, args []string) error {
			if len(args) > 0 {
				return usagef("lab takes no argument %q; its commands are fault and list", args[0])
			}
			return runLab(ctx, e, opts.(*labOptions))
		},
		sub: []*command{
			{
				name: "fault", args: "ZONE|SERVER FAULT", short: "set or end a fault in the running lab",
				long: `FAULT is blackhole, slow=800ms, servfail, refused, loss=30%, or off; several are
joined by commas. ZONE is a zone of the lab; a server's name or address makes
the fault that server's alone. "lastgood lab list" shows both.`,
				example: []string{"lastgood lab fault example.com slow=800ms", "lastgood lab fault com loss=30%"},
				flags:   socketFlag,
				run: func(ctx context.Context, e *env, opts any, args []string) error {
					if len(args) != 2 {
						return usagef("give a zone and a fault: lastgood lab fault ZONE blackhole|slow=800ms|servfail|refused|loss=30%%|off")
					}
					said, err := lab.SendFault(ctx, opts.(*labOptions).socket, args[0], args[1])
					fmt.Fprint(e.stdout, said)
					return err
				},
			},
			{
				name: "list", short: "show the running lab's zones, servers and faults", flags: socketFlag,
				run: func(ctx context.Context, e *env, opts any, _ []string) error {
					list, err := lab.FetchList(ctx, opts.(*labOptions).socket)
					fmt.Fprint(e.stdout, list)
					return err
				},
			},
		},
	}
}

func runLab(ctx context.Context, e *env, o *labOptions) error {
	cfg, err := loadConfig(o.config)
	if err != nil {
		return err
	}
	// The lab outlives ctx by the time that a clean stop of the resolver takes.
	world, err := lab.Start(context.WithoutCancel(ctx), lab.Options{Socket: o.socket})
	if err != nil {
		return err
	}
	defer world.Close()
	out := newLogWriter(e.stderr, cfg.Log)
	defer out.Close()
	log := newLog(out, cfg.Log)
	a, err := app.New(inLab(app.Options{Config: cfg, Log: log}, world))
	if err != nil {
		return err
	}
	return runApp(ctx, e, a, log, func() { showLab(e.stdout, a, world) })
}

// inLab makes an app resolve in the lab: its servers have documentation
// addresses and its world a reverse tree, so neither is special there, and its
// root has a key of its own.
func inLab(o app.Options, world *lab.Lab) app.Options {
	cfg := *o.Config
	cfg.Recursion.DoNotQuery = nil
	cfg.Recursion.SpecialNames = false
	cfg.DNSSEC.TrustAnchors = append(slices.Clone(cfg.DNSSEC.TrustAnchors), world.TrustAnchors()...)
	cfg.Log = config.Log{Level: "warn", Format: cfg.Log.Format}
	o.Config, o.Upstream, o.Hints = &cfg, world.Network(), world.RootHints()
	return o
}

func showLab(w io.Writer, a *app.App, world *lab.Lab) {
	listen := a.Listening()
	if len(listen) == 0 {
		return
	}
	at := listen[0]
	fmt.Fprintf(w, "a small Internet of %d zones, with lastgood %s in front of it on %s\n\n", len(world.World().Zones()), version(), at)
	for _, s := range lab.Suggestions() {
		question := s.Name
		if s.Type != wire.TypeA {
			question += " " + s.Type.String()
		}
		fmt.Fprintf(w, "dig @%s -p %d %-45s # %s: %s\n", at.Addr(), at.Port(), question, s.Rcode, s.Shows)
	}
	fmt.Fprintf(w, `
lastgood lab fault example.com blackhole|slow=800ms|servfail|refused|loss=30%%|off   a fault, and its end
lastgood lab list                                                                  zones, servers, faults
lastgood query --trace --lab www.shop.example.com                                  every step of a resolution
`)
	if c := a.ControlAddr(); c != "" {
		fmt.Fprintf(w, "curl %s\n", metricsURL(c))
		fmt.Fprintf(w, "lastgood cache dump%[1]s\nlastgood zones%[1]s\n", controlFlag(c))
	}
}
