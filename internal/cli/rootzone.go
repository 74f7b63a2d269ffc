package cli

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"lastgood/internal/control"
)

func rootZoneCommand() *command {
	return &command{
		name: "root-zone", args: "[options]", short: "show the local copy of the root zone, as a running server has it",
		long: `With root-zone.mode local the server keeps a copy of the root zone (RFC 8806),
verified as a whole, and answers from it what root servers would be asked.
Without a usable copy they are asked.`,
		example: []string{"lastgood root-zone", "lastgood root-zone --json"},
		flags:   controlFlags,
		run: showing("root-zone", "/api/v1/root-zone", func(w io.Writer, z *control.RootZone) {
			printRootZone(w, z, time.Now())
		}),
	}
}

// printRootZone writes what there is to tell.
func printRootZone(w io.Writer, z *control.RootZone, now time.Time) {
	if z.Mode != "local" {
		fmt.Fprintln(w, "the root servers are asked: root-zone.mode is", printable([]byte(z.Mode)))
		return
	}
	if z.Usable {
		source := z.Source
		if source == "" {
			source = "the disk"
		}
		fmt.Fprintf(w, "serial %d of %d records, from %s\n", z.Serial, z.Records, printable([]byte(source)))
		fmt.Fprintf(w, "confirmed %s, expires %s unless confirmed again\n", since(now, z.ConfirmedAt, " ago"), until(now, z.Expires))
	} else {
		fmt.Fprintln(w, "there is no usable copy: the root servers are asked")
	}
	stored := "kept on disk"
	if !z.Stored {
		stored = "not kept on disk"
	}
	fmt.Fprintf(w, "next check %s, %s\n", until(now, z.NextCheck), stored)
	fmt.Fprintf(w, "%d question%s answered from it, %d left to the root servers\n", z.Answers, plural(int(z.Answers)), z.Fallbacks)
	fmt.Fprintf(w, "%d fetched, %d times nothing newer, %d failed\n\n", z.Fetched, z.Confirmed, z.Failures)
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "SOURCE\tLAST FAILURE")
	for _, s := range z.Sources {
		fmt.Fprintf(table, "%s\t%s\n", printable([]byte(s.Source)), orDash(printable([]byte(s.Failure))))
	}
	table.Flush()
}
