package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/url"
	"strconv"

	"lastgood/internal/control"
	"lastgood/internal/dnsname"
	"lastgood/internal/wire"
)

func cacheCommand() *command {
	return &command{
		name: "cache", short: "look into a running server's cache, or flush it",
		sub: []*command{cacheLookupCommand(), cacheDumpCommand(), cacheFlushCommand(), cacheStatsCommand()},
	}
}

func cacheLookupCommand() *command {
	return &command{
		name: "lookup", args: "[options] NAME [TYPE]", short: "show what is cached at a name, and what a client would get now",
		long: `Every RRset and denial at NAME, whatever its type: how long it is fresh or has
been stale, until when it may be served, and which zone gave it. Then what a
client who asks for TYPE (A unless told otherwise) would get at this moment, and
why. Nothing is asked of anybody.`,
		example: []string{"lastgood cache lookup www.example.com", "lastgood cache lookup example.com MX --json"},
		flags:   controlFlags,
		run: func(ctx context.Context, e *env, opts any, args []string) error {
			name, typ, err := readQuestion("cache lookup", args)
			if err != nil {
				return err
			}
			o := opts.(*controlOptions)
			var l control.Lookup
			return o.show(ctx, e, "/api/v1/cache/lookup", url.Values{"name": {name.String()}, "type": {typ.String()}}, &l, func(w io.Writer) { printLookup(w, &l) })
		},
	}
}

// controlFlags are the options of commands that need no others.
func controlFlags(fs *flag.FlagSet) any {
	o := new(controlOptions)
	o.register(fs)
	return o
}

// showing runs a command without arguments that shows one value of the API.
func showing[T any](what, path string, print func(io.Writer, *T)) func(context.Context, *env, any, []string) error {
	return func(ctx context.Context, e *env, opts any, args []string) error {
		if len(args) > 0 {
			return usagef("%s takes no argument %q", what, args[0])
		}
		value := new(T)
		return opts.(*controlOptions).show(ctx, e, path, nil, value, func(w io.Writer) { print(w, value) })
	}
}

// show asks for a value and prints it, as JSON or by the given function.
func (o *controlOptions) show(ctx context.Context, e *env, path string, q url.Values, into any, print func(io.Writer)) error {
	c, err := o.client()
	if err != nil {
		return err
	}
	data, err := c.get(ctx, path, q)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(e.stdout)
	if o.json {
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, bytes.TrimSpace(data), "", "  "); err != nil {
			return fmt.Errorf("the reply of %s cannot be read: %w", c.where, err)
		}
		fmt.Fprintln(out, pretty.String())
		return out.Flush()
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("the reply of %s cannot be read: %w", c.where, err)
	}
	print(out)
	return out.Flush()
}

type dumpOptions struct {
	controlOptions
	stale, fresh bool
	zone         string
	limit        int
}

func cacheDumpCommand() *command {
	return &command{
		name: "dump", args: "[options]", short: "list the cache, stale entries included",
		long: `One record a line as in a zone file, with its state behind it; denials are
comments. With --json one entry a line, as a JSON object. The list is made while
it is printed: on a busy server it is of no single moment.`,
		example: []string{"lastgood cache dump --stale", "lastgood cache dump --zone example.com --json"},
		flags: func(fs *flag.FlagSet) any {
			o := new(dumpOptions)
			o.register(fs)
			fs.BoolVar(&o.stale, "stale", false, "only what has expired and may still be served")
			fs.BoolVar(&o.fresh, "fresh", false, "only what has not expired")
			fs.StringVar(&o.zone, "zone", "", "only names at or below this `name`")
			fs.IntVar(&o.limit, "limit", 0, "no more than this `number` of entries")
			return o
		},
		run: func(ctx context.Context, e *env, opts any, args []string) error {
			if len(args) > 0 {
				return usagef("cache dump takes no argument %q; a zone goes behind --zone", args[0])
			}
			return runDump(ctx, e, opts.(*dumpOptions))
		},
	}
}

func runDump(ctx context.Context, e *env, o *dumpOptions) error {
	q := url.Values{}
	switch {
	case o.stale && o.fresh:
		return usagef("--stale and --fresh together are everything: leave both out")
	case o.limit < 0:
		return usagef("--limit %d: give a number from 1", o.limit)
	case o.stale:
		q.Set("state", "stale")
	case o.fresh:
		q.Set("state", "fresh")
	}
	if o.zone != "" {
		zone, err := readName(o.zone)
		if err != nil {
			return err
		}
		q.Set("zone", zone.String())
	}
	if o.limit > 0 {
		q.Set("limit", strconv.Itoa(o.limit))
	}
	c, err := o.client()
	if err != nil {
		return err
	}
	out := bufio.NewWriter(e.stdout)
	err = c.stream(ctx, "/api/v1/cache/dump", q, func(line json.RawMessage) error {
		if o.json {
			_, err := fmt.Fprintf(out, "%s\n", line)
			return err
		}
		var entry control.Entry
		if err := json.Unmarshal(line, &entry); err != nil {
			return fmt.Errorf("the reply of %s cannot be read: %w", c.where, err)
		}
		return printEntry(out, &entry, false)
	})
	if flushed := out.Flush(); err == nil {
		err = flushed
	}
	return err
}

type flushOptions struct {
	controlOptions
	zone            string
	stale, negative bool
}

func cacheFlushCommand() *command {
	return &command{
		name: "flush", args: "NAME [TYPE] | --zone NAME | --stale | --negative", short: "forget entries, and say how many",
		long: `NAME with all its types, or one; a zone with everything below its name; all that
is stale; or all denials. What is forgotten cannot be served when its servers
are down.

The exit code is 0 when it was done (also when nothing was there), 1 when the
server could not be asked, 2 when it is not clear what to flush.`,
		example: []string{"lastgood cache flush www.example.com", "lastgood cache flush www.example.com AAAA", "lastgood cache flush --zone example.com"},
		flags: func(fs *flag.FlagSet) any {
			o := new(flushOptions)
			o.register(fs)
			fs.StringVar(&o.zone, "zone", "", "everything at or below this `name`")
			fs.BoolVar(&o.stale, "stale", false, "everything that has expired")
			fs.BoolVar(&o.negative, "negative", false, "all denials (NXDOMAIN, no data)")
			return o
		},
		run: func(ctx context.Context, e *env, opts any, args []string) error {
			o := opts.(*flushOptions)
			f, err := o.what(args)
			if err != nil {
				return err
			}
			return runFlush(ctx, e, &o.controlOptions, f)
		},
	}
}

// what reads which entries are to go: exactly one kind of choice.
func (o *flushOptions) what(args []string) (control.Flush, error) {
	given := 0
	for _, one := range []bool{len(args) > 0, o.zone != "", o.stale, o.negative} {
		if one {
			given++
		}
	}
	if given != 1 || len(args) > 2 {
		return control.Flush{}, usagef("say what to flush: NAME [TYPE], --zone NAME, --stale or --negative, one of them")
	}
	f := control.Flush{Stale: o.stale, Negative: o.negative}
	text := o.zone
	if len(args) > 0 {
		text = args[0]
	}
	if text == "" {
		return f, nil
	}
	name, err := readName(text)
	if err != nil {
		return f, err
	}
	if o.zone != "" {
		f.Zone = name.String()
		return f, nil
	}
	f.Name = name.String()
	if len(args) == 2 {
		typ, err := wire.ParseType(args[1])
		if err != nil {
			return f, usagef("%v", err)
		}
		f.Type = typ.String()
	}
	return f, nil
}

func runFlush(ctx context.Context, e *env, o *controlOptions, f control.Flush) error {
	c, err := o.client()
	if err != nil {
		return err
	}
	data, err := c.post(ctx, "/api/v1/cache/flush", f)
	if err != nil {
		return err
	}
	var done control.Flushed
	if err := json.Unmarshal(data, &done); err != nil {
		return fmt.Errorf("the reply of %s cannot be read: %w", c.where, err)
	}
	if o.json {
		_, err = e.stdout.Write(data)
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "%d entr%s flushed\n", done.Flushed, ies(done.Flushed))
	return err
}

func cacheStatsCommand() *command {
	return &command{
		name: "stats", args: "[options]", short: "count what is in the cache",
		flags: controlFlags, run: showing("cache stats", "/api/v1/cache/stats", printStats),
	}
}

// readName reads a domain name of the command line.
func readName(text string) (dnsname.Name, error) {
	name, err := dnsname.Parse(text)
	if err != nil {
		return "", usagef("%q is no domain name: %v", text, err)
	}
	return name, nil
}
