package app

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/clock"
	"lastgood/internal/dnsname"
	"lastgood/internal/ede"
	"lastgood/internal/event"
	"lastgood/internal/resolver"
	"lastgood/internal/wire"
)

// TestReportNames: as RFC 9567 §6.1.1 writes them, or not at all.
func TestReportNames(t *testing.T) {
	for _, c := range []struct {
		name  string
		typ   wire.Type
		agent string
		want  string
	}{
		{"broken.test.", wire.TypeA, "a01.agent-domain.example.", "_er.1.broken.test.7._er.a01.agent-domain.example."},
		{".", wire.TypeDNSKEY, "agent.", "_er.48.7._er.agent."},
		{"broken.test.", wire.TypeA, ".", ""},
		{"agent.", wire.TypeA, "agent.", ""},
		{"www.agent.", wire.TypeA, "agent.", ""},
		{"_er.1.x.7._er.other.", wire.TypeTXT, "agent.", ""},
		{strings.Repeat("a23456789.", 23) + "example.", wire.TypeA, "agent.", ""},
	} {
		name, ok := reportName(event.Question{Name: dnsname.MustParse(c.name), Type: c.typ}, ede.SignatureExpired, dnsname.MustParse(c.agent))
		got := ""
		if ok {
			got = name.String()
		}
		if got != c.want {
			t.Errorf("%s to %s: %q, want %q", c.name, c.agent, got, c.want)
		}
	}
}

// told lets a flight of a zone whose server names an agent end in vain.
func told(r *reporter, flight event.FlightID, name, agent string) {
	r.hear(event.Exchanged{Flight: flight, Outcome: event.Answer, Agent: dnsname.MustParse(agent)})
	r.hear(event.Judged{
		At: r.clock.Now(), Flight: flight, Question: event.Question{Name: dnsname.MustParse(name), Type: wire.TypeA}, Bogus: true,
		Failure: &ede.Error{Code: ede.Bogus},
	})
	r.hear(event.FlightEnded{Flight: flight})
}

// TestReporter: one report for each error in an hour, one a second to an agent, ten a
// second in all, and no more waiting than there is room for.
func TestReporter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReporter(clock.New())
		var mu sync.Mutex
		var list []string
		asked := func() []string {
			mu.Lock()
			defer mu.Unlock()
			return list
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.run(ctx, func(_ context.Context, q resolver.Query) *resolver.Answer {
				if q.Type != wire.TypeTXT || !q.RD {
					t.Errorf("asked %+v", q)
				}
				mu.Lock()
				defer mu.Unlock()
				list = append(list, q.Name.String())
				return nil
			})
		}()
		told(r, 1, "a.example.", "agent.")
		told(r, 2, "b.example.", "agent.")
		time.Sleep(reportPause)
		told(r, 3, "a.example.", "agent.")
		told(r, 4, "c.example.", "agent.")
		time.Sleep(reportPause)
		synctest.Wait()
		if got := strings.Join(asked(), " "); got != "_er.1.a.example.6._er.agent. _er.1.c.example.6._er.agent." {
			t.Error(got)
		}
		time.Sleep(reportAgain)
		synctest.Wait()
		told(r, 5, "a.example.", "agent.")
		synctest.Wait()
		began := len(asked())
		for i := range 200 {
			told(r, event.FlightID(10+i), "a.example.", fmt.Sprintf("agent%d.", i))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := len(asked()) - began; n < 10 || n > 12 {
			t.Errorf("%d reports in a second", n)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(asked()) - began; n > reportsWaiting+2 || r.dropped.Load() < 200-reportsWaiting-2 || r.repeats.Load() != 1 || int(r.sends.Load()) != len(asked()) {
			t.Errorf("%d reports, dropped %d, repeated %d, sent %d", n, r.dropped.Load(), r.repeats.Load(), r.sends.Load())
		}
		cancel()
		<-done
	})
}

// TestReporterListens to the server that is believed, and forgets with the flight.
func TestReporterListens(t *testing.T) {
	r := newReporter(clock.New())
	r.hear(event.Exchanged{Flight: 1, Outcome: event.Answer, Agent: "\x05agent\x00"})
	r.hear(event.Exchanged{Flight: 1, Outcome: event.ServFail})
	if r.agent(1) != "\x05agent\x00" {
		t.Error("a failure of another server changed it")
	}
	r.hear(event.Exchanged{Flight: 1, Outcome: event.Answer})
	if r.agent(1) != "" {
		t.Error("the server that was believed wants no reports")
	}
	r.hear(event.Exchanged{Flight: 2, Outcome: event.Answer, Agent: "\x05agent\x00"})
	r.hear(event.Judged{Flight: 2, Question: event.Question{Name: "\x01a\x00"}, Failure: &ede.Error{Code: ede.NoReachableAuthority}})
	r.hear(event.FlightEnded{Flight: 2})
	for i := range 2 * reportFlights {
		r.hear(event.Exchanged{Flight: event.FlightID(10 + i), Outcome: event.Answer, Agent: "\x05agent\x00"})
	}
	for i := range 2 * reportsKnown {
		r.report(clock.Mono(1), event.Question{Name: dnsname.MustParse(fmt.Sprintf("n%d.", i))}, 6, dnsname.MustParse(fmt.Sprintf("a%d.", i)))
	}
	if r.agent(2) != "" || len(r.flights) > reportFlights || len(r.sent) > reportsKnown || len(r.queue) != reportsWaiting {
		t.Errorf("%d flights, %d known, %d wait", len(r.flights), len(r.sent), len(r.queue))
	}
}
