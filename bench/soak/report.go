package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"lastgood/bench/machine"
)

// line is a sample for people who watch.
func (s *sample) line() string {
	all := s.all()
	return fmt.Sprintf("%6v  %7.0f/s  RSS %.0f heap %.0f MiB  %4.0f goroutines %4.0f files  cached p99 %v  all p50 %v p99 %v  %d lost  %.0f dropped",
		s.at.Round(time.Second), s.rate, s.rss, s.heap, s.goroutines, s.fds,
		round(s.window[steady].Quantile(0.99)), round(all.Quantile(0.5)), round(all.Quantile(0.99)), s.lost, s.dropped)
}

// write tells the result on standard output and, when out is given, in files.
func (r *record) write(out string, verdicts []verdict) error {
	text := r.markdown(verdicts, out)
	fmt.Print(text)
	if out == "" {
		return nil
	}
	for name, content := range map[string]string{".md": text, ".csv": r.csv(), ".svg": r.chart()} {
		if err := os.WriteFile(out+name, []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (r *record) markdown(verdicts []verdict, out string) string {
	var b strings.Builder
	end, first := &r.samples[len(r.samples)-1], &r.samples[0]
	fmt.Fprintf(&b, "# Soak\n\n%s, %d cores; %s; %.1f min, seed %d, cache %s; %d faults; at %.0f questions/s",
		machine.CPU(), runtime.NumCPU(), runtime.Version(), r.o.minutes, r.o.seed, r.o.cache, len(r.plan), r.rate)
	if r.capacity > 0 {
		fmt.Fprintf(&b, ", %.0f %% of the capacity measured before (%.0f)", 100*r.o.share, r.capacity)
	}
	fmt.Fprintf(&b, ".\n\n%d questions, %d answers (%.0f SERVFAIL); dropped by the server %.0f, by the kernel %.0f.\n\n",
		end.asked-first.asked, r.after.answered-first.answered, end.servfail-first.servfail, r.after.dropped-first.dropped, r.after.kernelDrops-first.kernelDrops)
	b.WriteString("| judged | bound | found | |\n|---|---|---|---|\n")
	for _, v := range verdicts {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", v.what, v.bound, v.found, map[bool]string{true: "holds", false: "**fails**"}[v.ok])
	}
	b.WriteString("\n| questions | number | p50 | p99 | p99.9 |\n|---|---|---|---|---|\n")
	for c := range class(classes) {
		h := end.hist[c].Minus(&first.hist[c])
		fmt.Fprintf(&b, "| %s | %d | %v | %v | %v |\n", c, h.Count(), round(h.Quantile(0.5)), round(h.Quantile(0.99)), round(h.Quantile(0.999)))
	}
	r.tellLosses(&b)
	if out != "" {
		name := out[strings.LastIndexByte(out, '/')+1:]
		fmt.Fprintf(&b, "\n![memory, goroutines, descriptors, rate and latency over time](%s.svg)\n", name)
	}
	return b.String()
}

// toldLosses is how many lost questions are told by name.
const toldLosses = 20

func (r *record) tellLosses(b *strings.Builder) {
	if len(r.losses) == 0 {
		return
	}
	b.WriteString("\nWithout an answer, the first:\n\n")
	for i, l := range r.losses {
		if i == toldLosses {
			break
		}
		at := l.asked.Sub(r.began)
		fmt.Fprintf(b, "- %s (%s) at %v, when there was %s\n", l.name, l.class, at.Round(10*time.Millisecond), r.faultsAt(at))
	}
}

func (r *record) faultsAt(at time.Duration) string {
	var list []string
	for _, e := range r.plan {
		if e.from <= at && at <= e.to {
			list = append(list, e.target+" "+e.ill)
		}
	}
	if len(list) == 0 {
		return "no fault"
	}
	return strings.Join(list, "; ")
}

func (r *record) csv() string {
	var b strings.Builder
	b.WriteString("seconds,rss_mib,heap_mib,goroutines,fds,answers_per_second,servfail_total,dropped_total,kernel_drops_total,lost_total,waiting,flights,upstream_sockets,cache_used_mib,cpu_seconds,cached_p50_us,cached_p99_us,all_p50_us,all_p99_us\n")
	for i := range r.samples {
		s := &r.samples[i]
		all, cached := s.all(), s.window[steady]
		fmt.Fprintf(&b, "%.1f,%.1f,%.1f,%.0f,%.0f,%.0f,%.0f,%.0f,%.0f,%d,%.0f,%.0f,%.0f,%.2f,%.2f,%d,%d,%d,%d\n",
			s.at.Seconds(), s.rss, s.heap, s.goroutines, s.fds, s.rate, s.servfail, s.dropped, s.kernelDrops, s.lost, s.waiting, s.flights, s.sockets,
			s.cacheUsed/(1<<20), s.cpu, cached.Quantile(0.5).Microseconds(), cached.Quantile(0.99).Microseconds(),
			all.Quantile(0.5).Microseconds(), all.Quantile(0.99).Microseconds())
	}
	return b.String()
}
