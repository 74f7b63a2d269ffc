package cli

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"lastgood/internal/control"
)

func zonesCommand() *command {
	return &command{
		name: "zones", args: "[options]", short: "show how the zones' servers are, as a running server knows them",
		long: `The zones that something is known of. suspect: none of a zone's servers answers
just now; failing: whole attempts failed, or several names did. Such a zone is
not waited for: clients get the last good answers at once. The client timeout
is how long a client of a healthy zone waits before it gets one; it is learned
from the last 64 resolutions, and 500ms below 16 samples.

Above them stand the zones that validated before and now fail, in many names and
with one cause: what is wrong, how many names and questions it hits, for how many
of them clients still get the last good answer and until when, and the command
that would end it. Nothing of the kind is done without you.`,
		example: []string{"lastgood zones", "lastgood zones --json"},
		flags:   controlFlags,
		run:     showing("zones", "/api/v1/zones", func(w io.Writer, list *control.ZoneList) { printZones(w, list, time.Now()) }),
	}
}

// printZones writes the table.
func printZones(w io.Writer, list *control.ZoneList, now time.Time) {
	if list.Offline {
		fmt.Fprintf(w, "no name server that was asked has answered for %s: perhaps this machine's own network is down\n\n", span(now.Sub(list.OfflineSince)))
	}
	for i := range list.Suggestions {
		printSuggestion(w, &list.Suggestions[i], now)
	}
	if len(list.Zones) == 0 {
		fmt.Fprintln(w, "nothing is known of any zone yet")
		return
	}
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "ZONE\tSTATE\tSINCE\tCLIENT TIMEOUT\tLAST FAILURE\tNEXT RECHECK\tCAUSE")
	for _, z := range list.Zones {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", printable([]byte(z.Zone)), printable([]byte(z.State)),
			since(now, z.Since, " ago"), timeoutText(&z), since(now, z.LastFailure, " ago"), until(now, z.NextRecheck), orDash(printable([]byte(z.Cause))))
	}
	table.Flush()
}

// printSuggestion writes what fails in a zone, and what would end it.
func printSuggestion(w io.Writer, s *control.Suggestion, now time.Time) {
	fmt.Fprintf(w, "%s does not validate any more, since %s, the last time %s:\n  %s\n", printable([]byte(s.Zone)),
		since(now, s.Since, " ago"), since(now, s.LastFailure, " ago"), printable([]byte(s.Cause)))
	fmt.Fprintf(w, "  %d name%s and %d question%s are hit; ", s.Names, plural(int(s.Names)), s.Questions, plural(int(s.Questions)))
	switch {
	case s.StaleNames == 0:
		fmt.Fprintln(w, "there are no last good answers for them")
	case !s.StaleLast.After(now):
		fmt.Fprintf(w, "%d of the names had last good answers until %s ago\n", s.StaleNames, span(now.Sub(s.StaleLast)))
	default:
		fmt.Fprintf(w, "for %d of the names clients get the last good answer, the first until %s, the last until %s\n",
			s.StaleNames, moment(s.StaleFirst), moment(s.StaleLast))
	}
	fmt.Fprintf(w, "  what would end it: %s\n\n", printable([]byte(s.Command)))
}

func timeoutText(z *control.Zone) string {
	text := (time.Duration(z.ClientTimeout) * time.Millisecond).String()
	if z.ClientTimeout != z.Learned {
		return text + " (configured)"
	}
	return fmt.Sprintf("%s (%d sample%s)", text, z.Samples, plural(z.Samples))
}

func since(now, t time.Time, suffix string) string {
	if t.IsZero() {
		return "-"
	}
	return span(now.Sub(t)) + suffix
}

func until(now, t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	if !t.After(now) {
		return "now"
	}
	return "in " + span(t.Sub(now))
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
