package cli

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"lastgood/internal/config"
	"lastgood/internal/control"
)

func ntaCommand() *command {
	return &command{
		name: "nta", short: "stop validating a zone for a while (negative trust anchors)",
		sub: []*command{ntaAddCommand(), ntaListCommand(), ntaRemoveCommand()},
	}
}

type ntaAddOptions struct {
	controlOptions
	lasts, until, reason string
	force                bool
}

func ntaAddCommand() *command {
	return &command{
		name: "add", args: "[options] ZONE", short: "stop validating a zone until a moment that is near",
		long: `Nothing at or below ZONE is validated until the negative trust anchor (RFC 7646)
ends: answers carry no AD, and extended error 33 with REASON. What is remembered
to have failed there is forgotten. First make sure that the zone's keepers are at
fault and nobody is forging its answers: ` + "`lastgood query --trace`" + ` says what is wrong.

It ends after an hour unless told otherwise, at most after a week. It outlives a
restart. Every five minutes the zone is validated as if it were not there: when
that succeeds it is dropped, unless --force was given. One that is there for
ZONE is replaced.`,
		example: []string{`lastgood nta add example.com --for 2h --reason "expired signatures, mended by tonight"`, "lastgood nta add example.com --until 2026-05-06T06:00:00Z --force"},
		flags: func(fs *flag.FlagSet) any {
			o := new(ntaAddOptions)
			o.register(fs)
			fs.StringVar(&o.lasts, "for", "", "how `long`, such as 90m, 2h or 1d (1h)")
			fs.StringVar(&o.until, "until", "", "until a `moment`, such as 2026-05-06T06:00:00Z")
			fs.StringVar(&o.reason, "reason", "", "a line of `text` that clients see")
			fs.BoolVar(&o.force, "force", false, "keep it even if the zone validates again")
			return o
		},
		run: func(ctx context.Context, e *env, opts any, args []string) error {
			return runNTAAdd(ctx, e, opts.(*ntaAddOptions), args)
		},
	}
}

func runNTAAdd(ctx context.Context, e *env, o *ntaAddOptions, args []string) error {
	if len(args) != 1 {
		return usagef("which zone? give one, such as example.com")
	}
	zone, err := readName(args[0])
	if err != nil {
		return err
	}
	a := control.NTAAdd{Zone: zone.String(), Reason: o.reason, Forced: o.force}
	if o.lasts != "" && o.until != "" {
		return usagef("--for and --until are both given: give one of them")
	}
	if o.lasts != "" {
		d, err := config.ParseDuration(o.lasts)
		if err != nil || d < time.Second {
			return usagef("--for %q is no time: give one such as 90m, 2h or 1d", o.lasts)
		}
		a.For = int64((d + time.Second - 1) / time.Second)
	}
	if o.until != "" {
		end, err := time.Parse(time.RFC3339, o.until)
		if err != nil {
			return usagef("--until %q is no moment: give one such as %s", o.until, time.Now().Add(2*time.Hour).UTC().Format(time.RFC3339))
		}
		a.Until = &end
	}
	n, err := o.change(ctx, e, "/api/v1/nta/add", a)
	if err != nil || n == nil {
		return err
	}
	fmt.Fprintf(e.stdout, "nothing at or below %s is validated until %s (%s)\n", printable([]byte(n.Zone)), moment(n.Until), until(time.Now(), n.Until))
	if !n.Forced {
		fmt.Fprintln(e.stdout, "it is dropped before that when the zone validates again")
	}
	if n.Configured {
		fmt.Fprintln(e.stdout, "the one of the configuration counts, which ends later")
	}
	if !n.Kept {
		fmt.Fprintln(e.stderr, "lastgood: it could not be saved, and does not outlive a restart: see the server's log")
	}
	return nil
}

// change sends a change; what comes back is nil when it was printed as JSON.
func (o *controlOptions) change(ctx context.Context, e *env, path string, body any) (*control.NTA, error) {
	c, err := o.client()
	if err != nil {
		return nil, err
	}
	data, err := c.post(ctx, path, body)
	if err != nil {
		return nil, err
	}
	if o.json {
		_, err = e.stdout.Write(data)
		return nil, err
	}
	n := new(control.NTA)
	if err := json.Unmarshal(data, n); err != nil {
		return nil, fmt.Errorf("the reply of %s cannot be read: %w", c.where, err)
	}
	return n, nil
}

func ntaListCommand() *command {
	return &command{
		name: "list", args: "[options]", short: "show the zones that are not validated for the time being, and until when",
		long: `Those that were added and those of the configuration (dnssec.negative-trust-anchors).
CHECKED is when the zone was last validated as if it were not there, and what
was found.`,
		flags: controlFlags, run: showing("nta list", "/api/v1/nta/list", func(w io.Writer, list *control.NTAList) { printNTAs(w, list, time.Now()) }),
	}
}

func printNTAs(w io.Writer, list *control.NTAList, now time.Time) {
	if len(list.NTAs) == 0 {
		fmt.Fprintln(w, "there are no negative trust anchors: whatever can be validated is")
		return
	}
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "ZONE\tUNTIL\tADDED\tFROM\tCHECKED\tREASON")
	for _, n := range list.NTAs {
		var from []string
		switch {
		case n.Configured:
			from = append(from, "configuration")
		case !n.Kept:
			from = append(from, "operator, not saved")
		default:
			from = append(from, "operator")
		}
		if n.Forced {
			from = append(from, "forced")
		}
		checked := since(now, n.Checked, " ago")
		switch {
		case n.Trouble != "":
			checked += ": " + printable([]byte(n.Trouble))
		case !n.Checked.IsZero():
			checked += ": validates"
		}
		fmt.Fprintf(table, "%s\t%s (%s)\t%s\t%s\t%s\t%s\n", printable([]byte(n.Zone)), moment(n.Until), until(now, n.Until),
			since(now, n.Added, " ago"), strings.Join(from, ", "), checked, orDash(printable([]byte(n.Reason))))
	}
	table.Flush()
}

func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func ntaRemoveCommand() *command {
	return &command{
		name: "remove", args: "[options] ZONE", short: "validate a zone again",
		long: `Ends the negative trust anchor that was added for ZONE. What is cached at and
below it is forgotten: it was never validated. One of the configuration is
removed there.`,
		flags: controlFlags,
		run: func(ctx context.Context, e *env, opts any, args []string) error {
			if len(args) != 1 {
				return usagef("which zone? `lastgood nta list` shows them")
			}
			zone, err := readName(args[0])
			if err != nil {
				return err
			}
			n, err := opts.(*controlOptions).change(ctx, e, "/api/v1/nta/remove", control.NTARemove{Zone: zone.String()})
			if err != nil || n == nil {
				return err
			}
			fmt.Fprintf(e.stdout, "%s is validated again, unless there is another one at or above it\n", printable([]byte(n.Zone)))
			if !n.Kept {
				fmt.Fprintln(e.stderr, "lastgood: that could not be saved, and a restart brings it back: see the server's log")
			}
			return nil
		},
	}
}
