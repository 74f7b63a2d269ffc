package app

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"lastgood/internal/cache"
	"lastgood/internal/control"
	"lastgood/internal/event"
	"lastgood/internal/infra"
	"lastgood/internal/listener"
	"lastgood/internal/resolver"
	"lastgood/internal/upstream"
)

// gather turns every package's Stats into metrics. Their names and meanings
// are documented in docs/operations.md, which a test compares with this.
func (a *App) gather(emit func(control.Metric)) {
	g := gatherer{emit}
	g.gauge("lastgood_ready", "Whether the resolver listens and has loaded what it needs.", boolean(a.ready.Load()))
	in := a.listener.Stats()
	g.queries(in)
	g.connections(in.TCP)
	a.gatherInterfaces(g)
	g.cache(a.cache.Stats())
	a.gatherSnapshots(g)
	flights := a.resolver.Stats()
	g.flights(flights)
	g.freshness(in.Cached, flights)
	g.refreshes(flights)
	a.gatherHealth(g)
	a.gatherBounds(g)
	a.gatherUpstream(g)
	g.transport(a.upstream.Stats())
	g.servers(a.infra.Stats())
	a.gatherNegatives(g)
	a.gatherIncidents(g)
	a.gatherReports(g)
	a.gatherValidation(g)
	a.gatherAnchors(g)
	a.gatherControl(g)
	a.gatherRoot(g)
}

func (a *App) gatherControl(g gatherer) {
	var refused uint64
	if a.control != nil {
		refused = a.control.Refused()
	}
	g.count("lastgood_control_refused_total", "Connections to the control address that were closed because 64 were open.", refused)
}

// gatherer emits metrics in one line each.
type gatherer struct{ emit func(control.Metric) }

func (g gatherer) count(name, help string, v uint64, labels ...string) {
	g.emit(control.Metric{Name: name, Help: help, Value: float64(v), Labels: labels})
}

func (g gatherer) gauge(name, help string, v float64, labels ...string) {
	g.emit(control.Metric{Name: name, Help: help, Kind: control.Gauge, Value: v, Labels: labels})
}

func (g gatherer) histogram(name, help string, bounds []time.Duration, counts []uint64, sum time.Duration) {
	m := control.Metric{Name: name, Help: help, Kind: control.Histogram, Sum: sum.Seconds()}
	for i, n := range counts {
		m.Count += n
		if i < len(bounds) {
			m.Bounds, m.Counts = append(m.Bounds, bounds[i].Seconds()), append(m.Counts, m.Count)
		}
	}
	g.emit(m)
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

var transports = [...]event.Transport{event.UDP, event.TCP}

func (g gatherer) queries(s listener.Stats) {
	for _, t := range transports {
		g.count("lastgood_queries_total", "Messages read from clients.", s.Queries[t], "transport", t.String())
		for _, rcode := range slices.Sorted(maps.Keys(s.Replies[t])) {
			g.count("lastgood_replies_total", "Replies sent to clients.", s.Replies[t][rcode], "transport", t.String(), "rcode", rcode.String())
		}
	}
	for _, typ := range slices.Sorted(maps.Keys(s.Types)) {
		name := typ.String()
		if typ == 0 {
			name = "other"
		}
		g.count("lastgood_questions_total", "Questions by type.", s.Types[typ], "type", name)
	}
	for _, why := range slices.Sorted(maps.Keys(s.Dropped)) {
		g.count("lastgood_dropped_total", "Messages that got no reply.", s.Dropped[why], "reason", why.String())
	}
	g.count("lastgood_cache_answers_total", "Questions answered from the cache alone.", s.Cached)
	g.count("lastgood_truncated_total", "Replies with TC.", s.Truncated)
	g.count("lastgood_busy_replies_total", "Questions over TCP that got SERVFAIL because too many waited.", s.BusyReplies)
	g.count("lastgood_receive_errors_total", "Errors of the system when reading datagrams.", s.ReceiveErrors)
	g.gauge("lastgood_questions_waiting", "Questions that wait for a resolution.", float64(s.Waiting))
	g.histogram("lastgood_latency_seconds", "Time from reading a question to having sent its reply.", s.Latency.Bounds, s.Latency.Counts, s.Latency.Sum)
}

func (g gatherer) connections(t listener.TCPStats) {
	g.gauge("lastgood_tcp_connections", "Client connections open.", float64(t.Open))
	g.count("lastgood_tcp_accepted_total", "Client connections accepted.", t.Accepted)
	const closed = "Client connections closed by the resolver."
	for _, c := range []struct {
		why string
		n   uint64
	}{{"no-room", t.Refused}, {"displaced", t.Displaced}, {"idle", t.Idle}, {"slow", t.Slow}, {"garbage", t.Garbage}} {
		g.count("lastgood_tcp_closed_total", closed, c.n, "reason", c.why)
	}
	g.count("lastgood_tcp_pipeline_full_total", "Times that a connection had limits.tcp-pipeline questions outstanding, and was not read from.", t.PipelineFull)
	g.count("lastgood_tcp_accept_errors_total", "Connections that the system could not accept.", t.AcceptErrors)
}

func (g gatherer) flights(s resolver.Stats) {
	g.gauge("lastgood_flights", "Resolutions under way.", float64(s.FlightsOpen))
	g.count("lastgood_flights_total", "Resolutions started.", s.FlightsStarted)
	g.count("lastgood_flights_joined_total", "Questions that found their resolution under way.", s.FlightsJoined)
	g.count("lastgood_flights_refused_total", "Questions refused because limits.flights were open.", s.FlightsRefused)
	g.count("lastgood_flight_loops_total", "Waits refused because name servers needed each other.", s.LoopsRefused)
	g.count("lastgood_flight_restarts_total", "Resolutions begun again after another question's budget had ended them.", s.Restarts)
	g.count("lastgood_failures_remembered_total", "Questions answered from the memory of a failure (RFC 9520).", s.Remembered)
	g.count("lastgood_private_answers_total", "Answers from which private addresses were removed.", s.Private)
	const synthesised = "Answers made of what was proven of other names (RFC 8198), by kind."
	g.count("lastgood_synthesised_total", synthesised, s.SynthesisedNames, "kind", "nxdomain")
	g.count("lastgood_synthesised_total", synthesised, s.SynthesisedTypes, "kind", "nodata")
	g.count("lastgood_synthesised_total", synthesised, s.SynthesisedStars, "kind", "wildcard")
	failures := withZeros(s.Failures, usualCauses[:])
	for _, code := range slices.Sorted(maps.Keys(failures)) {
		g.count("lastgood_failures_total", "Resolutions that failed, by cause (extended error).", failures[code], "ede", strconv.Itoa(int(code)), "cause", code.String())
	}
}

func (a *App) gatherBounds(g gatherer) {
	a.counts.mu.Lock()
	defer a.counts.mu.Unlock()
	for _, bound := range slices.Sorted(maps.Keys(a.counts.bounds)) {
		g.count("lastgood_bounds_hit_total", "Work bounds that ended or narrowed a resolution.", a.counts.bounds[bound], "bound", bound)
	}
	g.count("lastgood_panics_total", "Internal errors. Anything but 0 is a bug to be reported.", a.counts.panics.Load())
}

func (a *App) gatherUpstream(g gatherer) {
	c := &a.counts
	for _, t := range append(transports[:], event.TLS) {
		for o := range outcomes {
			if n := c.exchanges[t][o].Load(); n > 0 {
				g.count("lastgood_upstream_queries_total", "Questions to name servers, by what came of them.", n,
					"transport", t.String(), "outcome", event.Outcome(o).String())
			}
		}
	}
	g.count("lastgood_upstream_late_total", "Replies that came after their try had been given up.", c.late.Load())
	counts := make([]uint64, len(c.rtt))
	for i := range c.rtt {
		counts[i] = c.rtt[i].Load()
	}
	g.histogram("lastgood_upstream_rtt_seconds", "Time until a name server replied.", rttBounds[:], counts, time.Duration(c.rttSum.Load()))
	g.count("lastgood_primings_total", "Primings of the root (RFC 8109).", c.primings[0].Load(), "result", "useful")
	g.count("lastgood_primings_total", "Primings of the root (RFC 8109).", c.primings[1].Load(), "result", "failed")
}

func (g gatherer) transport(s upstream.Stats) {
	const wrong = "Datagrams that pretended to be a reply: ignored."
	for _, w := range []struct {
		what string
		n    uint64
	}{{"short", s.WrongShort}, {"id", s.WrongID}, {"question", s.WrongQuestion}, {"case", s.WrongCase}, {"cookie", s.WrongCookie}} {
		g.count("lastgood_upstream_wrong_replies_total", wrong, w.n, "what", w.what)
	}
	g.count("lastgood_upstream_floods_total", "Questions moved to TCP for their many wrong replies.", s.Floods)
	g.count("lastgood_upstream_truncated_total", "Replies with TC, asked again over TCP.", s.Truncated)
	g.count("lastgood_upstream_edns_fallbacks_total", "Questions asked again without EDNS.", s.EDNSFallbacks)
	g.count("lastgood_upstream_bad_cookies_total", "BADCOOKIE replies.", s.BadCookie)
	g.count("lastgood_upstream_missing_cookies_total", "Replies without the cookie that their server is known to send: checked over TCP.", s.CookieMissing)
	g.count("lastgood_upstream_malformed_total", "Replies that could not be read.", s.Garbage)
	g.count("lastgood_upstream_tcp_stale_total", "Kept connections that turned out to be closed.", s.TCPStale)
	g.count("lastgood_upstream_tcp_opened_total", "Connections to name servers opened.", s.TCPOpened)
	g.count("lastgood_upstream_tcp_reused_total", "Questions that went over a kept connection.", s.TCPReused)
	g.overTLS(s)
	const unsent = "Questions that were not sent."
	for _, u := range []struct {
		why string
		n   uint64
	}{{"budget", s.BudgetRefused}, {"do-not-query", s.Forbidden}, {"sockets", s.SocketBound}, {"connections", s.TLSFull}, {"system", s.LocalErrors}} {
		g.count("lastgood_upstream_unsent_total", unsent, u.n, "reason", u.why)
	}
	g.count("lastgood_upstream_shed_total", "Exchanges given up by those who waited, ended early for their sockets.", s.Shed)
	g.gauge("lastgood_upstream_sockets", "Sockets to name servers open.", float64(s.Sockets))
	g.gauge("lastgood_upstream_sockets_kept", "Sockets to name servers that wait for a question.", float64(s.Kept))
}

func (g gatherer) overTLS(s upstream.Stats) {
	g.gauge("lastgood_upstream_tls_connections", "Connections to name servers over TLS.", float64(s.TLS))
	g.gauge("lastgood_upstream_tls_waiting", "Questions on those that wait for their reply.", float64(s.Waiting))
	const opened = "Connections to name servers over TLS that were opened."
	g.count("lastgood_upstream_tls_opened_total", opened, s.TLSOpened-s.TLSResumed, "session", "new")
	g.count("lastgood_upstream_tls_opened_total", opened, s.TLSResumed, "session", "resumed")
	g.count("lastgood_upstream_tls_failed_total", "Connections not used because the server did not prove to be itself, or spoke no TLS.", s.TLSFailed)
	g.count("lastgood_upstream_tls_reused_total", "Questions that went over a TLS connection that was open.", s.TLSReused)
	g.count("lastgood_upstream_tls_stale_total", "Questions sent again because their TLS connection had ended.", s.TLSStale)
	g.count("lastgood_upstream_tls_stalled_total", "TLS connections that were given no more questions because no replies came.", s.TLSStalled)
}

func (g gatherer) servers(s infra.Stats) {
	for reason, n := range s.Chosen {
		g.count("lastgood_server_choices_total", "Name servers chosen, by why.", n, "reason", event.Reason(reason).String())
	}
	const known = "Entries in the table of what is known of name servers."
	g.gauge("lastgood_infra_entries", known, float64(s.Addresses), "table", "address")
	g.gauge("lastgood_infra_entries", known, float64(s.Pairs), "table", "zone-address")
	g.gauge("lastgood_infra_entries", known, float64(s.Cuts), "table", "zone")
	g.gauge("lastgood_infra_entries", known, float64(s.RechecksPlanned), "table", "recheck")
	const evicted = "Of those, forgotten to make room."
	g.count("lastgood_infra_evictions_total", evicted, s.EvictedAddresses, "table", "address")
	g.count("lastgood_infra_evictions_total", evicted, s.EvictedPairs, "table", "zone-address")
	g.count("lastgood_infra_evictions_total", evicted, s.EvictedCuts, "table", "zone")
	g.count("lastgood_infra_evictions_total", evicted, s.EvictedSpeeds, "table", "zone-speed")
	g.count("lastgood_infra_evictions_total", evicted, s.RecheckEvictions, "table", "recheck")
	g.count("lastgood_rechecks_postponed_total", "Times that rechecks which were due had to wait, for there were more than may be sent.", s.RecheckBudgetHits)
	g.count("lastgood_parents_asked_total", "Questions to the parents of zones in trouble, whether others serve them by now.", s.ParentsAsked)
	g.gauge("lastgood_family_dead", "Whether an address family is avoided because nothing answers over it.", boolean(s.IPv4Dead), "family", "ipv4")
	g.gauge("lastgood_family_dead", "Whether an address family is avoided because nothing answers over it.", boolean(s.IPv6Dead), "family", "ipv6")
}

func (g gatherer) cache(s cache.Stats) {
	g.gauge("lastgood_cache_size_bytes", "The cache's budget.", float64(s.Size))
	g.gauge("lastgood_cache_used_bytes", "Of the cache's budget, what is in use.", float64(s.Bytes))
	g.gauge("lastgood_cache_entries", "Entries in the cache.", float64(s.Entries))
	g.gauge("lastgood_cache_stale_entries", "Of the entries, those past their TTL that may still be served, as counted up to 10 s ago.", float64(s.Stale))
	g.gauge("lastgood_cache_delegations", "Delegations known.", float64(s.Delegations))
	g.gauge("lastgood_cache_failures", "Failures remembered.", float64(s.Failures))
	g.gauge("lastgood_cache_ranges", "NSEC, NSEC3 and SOA records kept to answer for other names.", float64(s.Ranges))
	for _, l := range []struct {
		result string
		n      uint64
	}{{"hit", s.Hits}, {"stale", s.StaleHits}, {"miss", s.Misses}} {
		g.count("lastgood_cache_lookups_total", "Look-ups of one name and type; a question may need several.", l.n, "result", l.result)
	}
	g.count("lastgood_cache_puts_total", "Entries stored.", s.Puts)
	const refused = "Entries not stored."
	g.count("lastgood_cache_refused_total", refused, s.Outranked, "reason", "outranked")
	g.count("lastgood_cache_refused_total", refused, s.Oversize, "reason", "oversize")
	for _, e := range []struct {
		why string
		n   uint64
	}{
		{"replaced", s.Replaced}, {"gone", s.EvictGone}, {"unasked", s.EvictUnasked}, {"room", s.EvictRecency},
		{"contradicted", s.EvictContra}, {"types", s.EvictTypes}, {"buried", s.EvictBuried}, {"flushed", s.Flushed},
	} {
		g.count("lastgood_cache_evictions_total", "Entries removed, by why.", e.n, "reason", e.why)
	}
	g.count("lastgood_cache_delegation_evictions_total", "Delegations removed to make room.", s.EvictCuts)
	g.count("lastgood_cache_range_evictions_total", "Records kept to answer for other names that were removed to make room.", s.EvictRanges)
	g.count("lastgood_cache_failure_evictions_total", "Remembered failures removed to make room.", s.EvictFailures)
}
