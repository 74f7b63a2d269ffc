// Package cli is the command line: it reads arguments, starts what they ask
// for and prints for people (or, with --json, for scripts). What it shows of a
// running server it asks for over the control address; it must not read that
// server's files.
//
// Exit codes: 0 done, 1 it was tried and failed, 2 the command or the
// configuration is wrong and nothing was started.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"lastgood/internal/app"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// command is one word of the command line, perhaps with words of its own.
type command struct {
	name    string
	args    string                  // as in a usage line
	short   string                  // one line
	long    string                  // what help adds
	flags   func(*flag.FlagSet) any // registers flags; its result goes to run
	run     func(ctx context.Context, e *env, opts any, args []string) error
	sub     []*command
	example []string
}

// env is the world that a command sees: tests give their own.
type env struct {
	stdout, stderr io.Writer
}

// usageError is a mistake on the command line.
type usageError struct{ msg string }

func (e usageError) Error() string { return e.msg }

func usagef(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// errSilent ends with exit code 1 without a further message: the command has
// said what there is to say.
var errSilent = errors.New("failed")

// Main runs the program and gives its exit code.
func Main(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // who signals a second time does not want to wait
	return Run(ctx, args, os.Stdout, os.Stderr)
}

// Run is Main with everything given: arguments without the program's name.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	e := &env{stdout: stdout, stderr: stderr}
	if len(args) > 0 && (args[0] == "--version" || args[0] == "-version") { // as people try it
		args = append([]string{"version"}, args[1:]...)
	}
	err := dispatch(ctx, e, root(), nil, args)
	var usage usageError
	var mistake app.Mistake
	var exit interface{ ExitCode() int }
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.Is(err, errSilent):
		return exitFailed
	case errors.As(err, &usage), errors.As(err, &mistake):
		fmt.Fprintf(stderr, "lastgood: %v\n", err)
		return exitUsage
	case errors.As(err, &exit):
		fmt.Fprintln(stderr, err)
		return exit.ExitCode()
	}
	fmt.Fprintf(stderr, "lastgood: %v\n", err)
	return exitFailed
}

func root() *command {
	return &command{
		name:  "lastgood",
		short: "a recursive DNS resolver that serves the last good answer and says why",
		sub:   []*command{serveCommand(), labCommand(), queryCommand(), cacheCommand(), zonesCommand(), rootZoneCommand(), ntaCommand(), configCommand(), completionCommand(), versionCommand()},
	}
}

// dispatch finds the command that args name and runs it.
func dispatch(ctx context.Context, e *env, c *command, path, args []string) error {
	path = append(path, c.name)
	fs := flag.NewFlagSet(strings.Join(path, " "), flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	var opts any
	if c.flags != nil {
		opts = c.flags(fs)
	}
	if c.run == nil || len(c.sub) > 0 && len(args) > 0 && find(c.sub, args[0]) != nil {
		return dispatchSub(ctx, e, c, path, args)
	}
	positional, err := parseMixed(fs, args)
	if errors.Is(err, flag.ErrHelp) {
		printHelp(e.stdout, c, path, fs)
		return err
	}
	if err != nil {
		return usagef("%v; see `%s --help`", err, strings.Join(path, " "))
	}
	if c.args == "" && len(positional) > 0 {
		return usagef("%s takes no argument %q", strings.Join(path, " "), positional[0])
	}
	return c.run(ctx, e, opts, positional)
}

func dispatchSub(ctx context.Context, e *env, c *command, path, args []string) error {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" || args[0] == "-help" {
		if len(args) > 1 {
			if sub := find(c.sub, args[1]); sub != nil {
				return dispatch(ctx, e, sub, path, []string{"--help"})
			}
			return unknownCommand(c, path, args[1])
		}
		printHelp(e.stdout, c, path, nil)
		if len(args) == 0 {
			return usagef("which command?")
		}
		return nil
	}
	sub := find(c.sub, args[0])
	if sub == nil {
		return unknownCommand(c, path, args[0])
	}
	return dispatch(ctx, e, sub, path, args[1:])
}

func unknownCommand(c *command, path []string, word string) error {
	return usagef("unknown command %q%s; see `%s help`", word, suggest(c.sub, word), strings.Join(path, " "))
}

// parseMixed takes flags before, between and behind the positional arguments,
// as people type them: `query example.com AAAA --trace`.
func parseMixed(fs *flag.FlagSet, args []string) ([]string, error) {
	var positional []string
	for {
		if err := fs.Parse(args); err != nil {
			return nil, err
		}
		args = fs.Args()
		if len(args) == 0 {
			return positional, nil
		}
		positional = append(positional, args[0])
		args = args[1:]
	}
}

func find(list []*command, name string) *command {
	for _, c := range list {
		if c.name == name {
			return c
		}
	}
	return nil
}

// suggest names a command that begins alike.
func suggest(list []*command, word string) string {
	for _, c := range list {
		if len(word) > 1 && (strings.HasPrefix(c.name, word[:2]) || strings.Contains(c.name, word)) {
			return fmt.Sprintf(" (did you mean %q?)", c.name)
		}
	}
	return ""
}

func printHelp(w io.Writer, c *command, path []string, fs *flag.FlagSet) {
	fmt.Fprintf(w, "%s: %s\n\n", strings.Join(path, " "), c.short)
	if c.run != nil {
		fmt.Fprintf(w, "Usage: %s %s\n", strings.Join(path, " "), c.args)
	}
	if len(c.sub) > 0 {
		fmt.Fprintf(w, "Commands:\n")
		for _, s := range c.sub {
			fmt.Fprintf(w, "  %-12s %s\n", s.name, s.short)
		}
		fmt.Fprintf(w, "\n`%s help COMMAND` tells more.\n", strings.Join(path, " "))
	}
	if c.long != "" {
		fmt.Fprintf(w, "\n%s\n", strings.TrimSpace(c.long))
	}
	printFlags(w, fs)
	for i, ex := range c.example {
		if i == 0 {
			fmt.Fprintf(w, "\nExamples:\n")
		}
		fmt.Fprintf(w, "  %s\n", ex)
	}
}

func printFlags(w io.Writer, fs *flag.FlagSet) {
	first := true
	if fs == nil {
		return
	}
	fs.VisitAll(func(f *flag.Flag) {
		if first {
			fmt.Fprintf(w, "\nOptions:\n")
			first = false
		}
		kind, usage := flag.UnquoteUsage(f)
		name := "--" + f.Name
		if kind != "" {
			name += " " + strings.ToUpper(kind)
		}
		fmt.Fprintf(w, "  %-22s %s\n", name, usage)
	})
}

func versionCommand() *command {
	return &command{
		name: "version", short: "print the version", args: "",
		run: func(_ context.Context, e *env, _ any, _ []string) error {
			fmt.Fprintln(e.stdout, "lastgood "+version())
			return nil
		},
	}
}

// version is what the build knows of itself.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v, revision := info.Main.Version, ""
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			revision = s.Value[:min(12, len(s.Value))]
		}
	}
	if (v == "" || v == "(devel)") && revision != "" {
		v = revision
	}
	return v + " " + info.GoVersion
}
