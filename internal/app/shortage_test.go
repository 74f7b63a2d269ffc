package app

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/config"
	"lastgood/internal/control"
	"lastgood/internal/dnsname"
	"lastgood/internal/resolver"
	"lastgood/internal/wire"
)

// poor is a network on a host that has no descriptors left, or hangs.
type poor struct {
	hangs bool
	tries atomic.Int32
}

func (p *poor) DialUDP(ctx context.Context, _ netip.AddrPort) (net.Conn, error) {
	p.tries.Add(1)
	if p.hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return nil, &net.OpError{Op: "dial", Net: "udp", Err: syscall.EMFILE}
}

func (p *poor) DialTCP(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	return p.DialUDP(ctx, to)
}

// metrics gives what is gathered of one name, labels joined by blanks.
func (a *App) metrics(name string) map[string]float64 {
	found := map[string]float64{}
	a.gather(func(m control.Metric) {
		if m.Name == name {
			found[strings.Join(m.Labels, " ")] = m.Value
		}
	})
	return found
}

// inBubble builds an app on a network and asks in a bubble of virtual time.
func inBubble(t *testing.T, text string, network *poor, f func(a *App, log *bytes.Buffer, ask func(name string) *resolver.Answer)) {
	synctest.Test(t, func(t *testing.T) {
		c, err := config.Parse("test", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		a, err := New(Options{Config: c, Log: slog.New(slog.NewTextHandler(&log, nil)), Upstream: network, Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		f(a, &log, func(name string) *resolver.Answer {
			return a.Resolver().Resolve(t.Context(), resolver.Query{
				Name: dnsname.MustParse(name), Type: wire.TypeA, RD: true,
				Client: netip.MustParseAddr("192.0.2.1"), Arrival: a.clock.Now(),
			})
		})
		a.resolver.Close()
		a.upstream.Close()
	})
}

// Without descriptors every question fails, at once and with little work, no
// zone is taken for failing and no server for silent, and one message says so.
func TestNoDescriptorsLeft(t *testing.T) {
	network := &poor{}
	inBubble(t, "{}", network, func(a *App, log *bytes.Buffer, ask func(string) *resolver.Answer) {
		start := time.Now()
		for _, name := range []string{"a.example.", "b.example.", "c.example."} {
			if got := ask(name); got == nil || got.Rcode != wire.RcodeServFail {
				t.Errorf("%s: %v", name, got)
			}
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("it took %v", took)
		}
		if n := network.tries.Load(); n == 0 || n > 3*100 {
			t.Errorf("%d sockets were tried for 3 questions", n)
		}
		if known := a.infra.Stats(); known.Cuts != 0 || known.TimedOut+known.Unreachable != 0 {
			t.Errorf("name servers are blamed: %+v", known)
		}
		if n := a.metrics("lastgood_upstream_unsent_total")["reason system"]; n == 0 {
			t.Error("not counted")
		}
		before := network.tries.Load()
		if ask("a.example."); network.tries.Load() == before {
			t.Error("what we lacked is remembered as the question's failure")
		}
		var told shortages
		synctest.Wait() // until the flights have logged, too
		log.Reset()
		told.look(a)
		told.look(a) // nothing new
		if text := log.String(); strings.Count(text, "level=WARN") != 1 || !strings.Contains(text, "no descriptor") || !strings.Contains(text, "LimitNOFILE") {
			t.Errorf("the log says: %s", text)
		}
	})
}

// What limits.flights refuses is counted.
func TestFlightsRefusedAreCounted(t *testing.T) {
	inBubble(t, "limits: {flights: 10}", &poor{hangs: true}, func(a *App, _ *bytes.Buffer, ask func(string) *resolver.Answer) {
		for i := range 20 {
			go ask(string(rune('a'+i)) + ".example.")
		}
		synctest.Wait()
		open, refused := a.metrics("lastgood_flights")[""], a.metrics("lastgood_flights_refused_total")[""]
		if open == 0 || open > 10 || refused == 0 {
			t.Errorf("%v flights open, %v refused", open, refused)
		}
		time.Sleep(time.Minute) // they all end
	})
}
