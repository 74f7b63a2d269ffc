package cli

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"lastgood/internal/app"
	"lastgood/internal/config"
)

// stopTimeout is how long a stop waits for questions that are in flight.
const stopTimeout = 12 * time.Second

type serveOptions struct {
	config string
}

func serveCommand() *command {
	return &command{
		name: "serve", args: "[--config FILE]",
		short: "run the resolver",
		long: `Without a configuration file it listens on 127.0.0.1:5300, UDP and TCP, and
resolves from the built-in root hints. It ends on SIGINT and SIGTERM after
answering what is in flight, and at once on a second one. SIGHUP changes
nothing, unless it says that the terminal is gone: then it ends, too.`,
		example: []string{"lastgood serve", "lastgood serve --config /etc/lastgood/lastgood.yaml"},
		flags: func(fs *flag.FlagSet) any {
			o := new(serveOptions)
			fs.StringVar(&o.config, "config", "", "the configuration `file`")
			return o
		},
		run: func(ctx context.Context, e *env, opts any, args []string) error {
			if len(args) > 0 {
				return usagef("serve takes no arguments, only --config FILE")
			}
			cfg, err := loadConfig(opts.(*serveOptions).config)
			if err != nil {
				return err
			}
			if err := app.CheckInterfaces(cfg); err != nil {
				return err
			}
			out := newLogWriter(e.stderr, cfg.Log)
			defer out.Close()
			log := newLog(out, cfg.Log)
			file, none := app.SnapshotPath(cfg, os.Getenv)
			a, err := app.New(app.Options{Config: cfg, Log: log, Snapshot: file, NoSnapshot: none, State: app.StatePath(cfg, os.Getenv), Mapped: true})
			if err != nil {
				return err
			}
			defer limitMemory(int64(cfg.Cache.Size), a.Reserved())()
			checkFiles(log, a.Files())
			return runApp(ctx, e, a, log, func() { greet(e.stdout, a, cfg.Control.TokenFile) })
		},
	}
}

// runApp starts an app and keeps it until ctx ends. From here on nobody who
// reads our output can end us by going away (SIGPIPE).
func runApp(ctx context.Context, e *env, a *app.App, log *slog.Logger, started func()) error {
	signal.Ignore(syscall.SIGPIPE)
	terminal := onTerminal() // when it hangs up it is too late to ask
	hangups, forget := catchHangups()
	defer forget()
	if err := a.Start(); err != nil {
		return err
	}
	started()
	notify("READY=1")
	failed := keep(ctx, a, hangups, func() bool {
		if !terminal {
			log.Warn("SIGHUP changes nothing: the configuration is read at the start only, so restart the program after a change")
		}
		return terminal
	})
	notify("STOPPING=1")
	fmt.Fprintln(e.stdout, "stopping: answering what is in flight")
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := a.Stop(stop); err != nil && failed == nil {
		failed = err
	}
	return failed
}

// keep waits for the end of ctx, of a part of the app, or for a hangup that
// means the end.
func keep(ctx context.Context, a *app.App, hangups <-chan os.Signal, end func() bool) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-a.Failed():
			return err
		case <-hangups:
			if end() {
				return nil
			}
		}
	}
}

// greet says where the resolver listens and what to try. tokenFile holds the
// token of the control address, "" without one.
func greet(w io.Writer, a *app.App, tokenFile string) {
	for _, addr := range a.Listening() {
		fmt.Fprintf(w, "lastgood %s answers on %s (UDP and TCP)\n", version(), addr)
	}
	if c := a.ControlAddr(); c != "" {
		header, flags := "", controlFlag(c)
		if tokenFile != "" {
			header, flags = fmt.Sprintf("-H \"Authorization: Bearer $(head -n1 %s)\" ", tokenFile), flags+" --token-file "+tokenFile
		}
		fmt.Fprintf(w, "metrics and health: curl %s%s\n", header, metricsURL(c))
		fmt.Fprintf(w, "cache and zones: lastgood cache dump%[1]s; lastgood zones%[1]s\n", flags)
	}
	if l := a.Listening(); len(l) > 0 {
		fmt.Fprintf(w, "try: dig @%s -p %d www.example.com\n", l[0].Addr(), l[0].Port())
		fmt.Fprintf(w, "     lastgood query --server %s www.example.com\n", l[0])
		fmt.Fprintf(w, "     lastgood query --trace www.example.com    (every step, resolved by itself)\n")
	}
}

// controlFlag is what the commands need to find a control address.
func controlFlag(control string) string {
	if control == config.Default().Control.Listen.String() {
		return ""
	}
	return " --control " + control
}

// metricsURL is what reaches the metrics on a control address; curl takes it.
func metricsURL(control string) string {
	if path, ok := strings.CutPrefix(control, "unix:"); ok {
		return "--unix-socket " + path + " http://localhost/metrics"
	}
	return "http://" + control + "/metrics"
}

func newLog(w io.Writer, c config.Log) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo
	}
	opts := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

func quietLog() *slog.Logger { return slog.New(slog.DiscardHandler) }
