package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"lastgood/internal/control"
)

// printEntry writes an entry's records much as dig does, its state behind them.
// A denial has none: it is a comment. detail adds where the entry came from.
func printEntry(w io.Writer, e *control.Entry, detail bool) error {
	comment := stateText(e)
	if detail {
		comment += "; " + originText(e)
	}
	comment = printable([]byte(comment))
	var err error
	line := func(lead, name, typ, data, comment string) {
		if err == nil {
			_, err = fmt.Fprintf(w, "%s%s\t%d\tIN\t%s\t%s; %s\n", lead, printable([]byte(name)), e.TTL, printable([]byte(typ)), data, comment)
		}
	}
	switch e.Kind {
	case "nodata":
		line(";", e.Name, e.Type, "", "no data, "+comment)
	case "nxdomain":
		line(";", e.Name, "ANY", "", "NXDOMAIN, "+comment)
	}
	for _, data := range e.Data {
		line("", e.Name, e.Type, printable([]byte(data))+" ", comment)
	}
	for _, data := range e.Signatures {
		line("", e.Name, "RRSIG", printable([]byte(data))+" ", comment)
	}
	return err
}

// stateText says what an entry is, by the server's own reckoning.
func stateText(e *control.Entry) string {
	seconds := func(n int64) string { return span(time.Duration(n) * time.Second) }
	servable := between(e.Expires, e.StaleUntil)
	expired := e.Age - int64(e.OriginalTTL)
	switch {
	case e.State == "fresh" && servable > 0:
		return fmt.Sprintf("fresh, %s of %s left, then servable for %s", seconds(int64(e.TTL)), seconds(int64(e.OriginalTTL)), seconds(servable))
	case e.State == "fresh":
		return fmt.Sprintf("fresh, %s of %s left, never served stale", seconds(int64(e.TTL)), seconds(int64(e.OriginalTTL)))
	case e.State == "stale":
		return fmt.Sprintf("stale for %s, servable for %s more", seconds(expired), seconds(servable-expired))
	}
	return e.State + ", never served again"
}

// between is the time from one moment to another in seconds.
func between(from, to time.Time) int64 { return int64(to.Sub(from) / time.Second) }

func originText(e *control.Entry) string {
	text := e.Rank
	if e.Cut != "" {
		text += " of zone " + e.Cut
	}
	return fmt.Sprintf("%s, %s, stored %s ago", text, e.Security, span(time.Duration(e.Age)*time.Second))
}

// span writes a time in its two largest units: 45s, 12m5s, 3h, 2d4h.
func span(d time.Duration) string {
	d = max(d, 0).Round(time.Second)
	units := []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}}
	for i, u := range units {
		if d < u.size {
			continue
		}
		text := fmt.Sprintf("%d%s", d/u.size, u.name)
		if i+1 < len(units) {
			if rest := d % u.size / units[i+1].size; rest > 0 {
				text += fmt.Sprintf("%d%s", rest, units[i+1].name)
			}
		}
		return text
	}
	return "0s"
}

// outcomes are an explanation's outcomes in words.
var outcomes = map[string]string{ // constant in effect
	"fresh":   "a fresh answer from the cache",
	"stale":   "the last good answer",
	"resolve": "what a resolution brings",
	"failure": "an error",
	"local":   "an answer that needs no server",
}

// printLookup writes what is cached at a name and what a client gets.
func printLookup(w io.Writer, l *control.Lookup) {
	show := func(text string) string { return printable([]byte(text)) }
	if len(l.Entries) == 0 {
		fmt.Fprintf(w, ";; nothing is cached at %s\n", show(l.Name))
	}
	for i := range l.Entries {
		printEntry(w, &l.Entries[i], true) // the buffer keeps the error
	}
	x := &l.Client
	what := outcomes[x.Outcome]
	if what == "" {
		what = show(x.Outcome)
	}
	if x.Rcode != "" {
		what += ", " + show(x.Rcode)
	}
	wait := "at once"
	if x.Wait > 0 {
		wait = "after at most " + (time.Duration(x.Wait) * time.Millisecond).String()
	}
	fmt.Fprintf(w, "\n;; a client who asks for %s %s now gets %s, %s: %s\n", show(l.Name), show(l.Type), what, wait, show(x.Why))
	for _, h := range x.Hops {
		var notes []string
		if h.TTL > 0 {
			notes = append(notes, fmt.Sprintf("TTL %d", h.TTL))
		}
		if h.Target != "" {
			notes = append(notes, "leads to "+show(h.Target))
		}
		if h.Refresh {
			notes = append(notes, "refreshed behind the answer")
		}
		if h.Why != "" {
			notes = append(notes, show(h.Why))
		}
		what := show(h.Type)
		switch h.Kind {
		case "nodata":
			what = "without " + what
		case "nxdomain":
			what = "NXDOMAIN"
		}
		state := show(h.State)
		if h.Security != "" && h.Security != "unchecked" {
			state += " and " + show(h.Security)
		}
		fmt.Fprintf(w, ";;   %s %s is %s: %s", show(h.Name), what, state, show(h.Decision))
		if len(notes) > 0 {
			fmt.Fprintf(w, " (%s)", strings.Join(notes, "; "))
		}
		fmt.Fprintln(w)
	}
}

// printStats writes the counts.
func printStats(w io.Writer, s *control.CacheStats) {
	used := 0.0
	if s.Size > 0 {
		used = 100 * float64(s.Used) / float64(s.Size)
	}
	fmt.Fprintf(w, "entries       %d, of them %d stale but servable (counted up to 10 s ago)\n", s.Entries, s.Stale)
	fmt.Fprintf(w, "delegations   %d\n", s.Delegations)
	fmt.Fprintf(w, "failures      %d remembered\n", s.Failures)
	fmt.Fprintf(w, "memory        %.1f MiB of %.1f MiB (%.0f %%)\n", mebi(s.Used), mebi(s.Size), used)
	fmt.Fprintf(w, "look-ups      %d fresh, %d stale, %d nothing\n", s.Hits, s.StaleHits, s.Misses)
	fmt.Fprintf(w, "stored        %d, of them %d in place of their like; %d refused\n", s.Puts, s.Replaced, s.Refused)
	v := &s.Evicted
	fmt.Fprintf(w, "went          %d gone, %d expired and unasked for, %d to make room, %d contradicted, %d beyond a name's bound of types, %d buried, %d flushed\n",
		v.Gone, v.Unasked, v.Recency, v.Contradicted, v.Types, v.Buried, v.Flushed)
	fmt.Fprintf(w, "went besides  %d delegations, %d failures\n", v.Delegations, v.Failures)
}

func mebi(n int64) float64 { return float64(n) / (1 << 20) }
