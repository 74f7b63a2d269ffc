package simnet_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/simnet"
)

// trace runs several hosts at once against one server that answers late, over
// bad links, and returns everything that was sent, ordered by host.
func trace(t *testing.T, seed uint64) string {
	t.Helper()
	const hosts, rounds = 5, 40
	var lines [hosts]strings.Builder
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(simnet.Options{Seed: seed})
		defer n.Close()
		n.SetDefault(simnet.Link{Latency: 10 * ms, Jitter: 30 * ms, Loss: 0.2})
		server := n.Host(serverAddr)
		s, err := server.ListenPacket(serverAt)
		check(t, err)
		go echo(s)
		defer s.Close()
		var mu sync.Mutex
		n.Tap(func(p simnet.Packet) {
			client := p.From.Addr()
			if p.From == serverAt {
				client = p.To.Addr()
			}
			mu.Lock()
			defer mu.Unlock()
			fmt.Fprintln(&lines[client.As4()[3]-10], p.At, p.From, p.To, p.Delay, p.Fate)
		})
		var wg sync.WaitGroup
		for i := range hosts {
			h := n.Host(netip.AddrFrom4([4]byte{192, 0, 2, byte(10 + i)}))
			wg.Go(func() { talk(t, h, rounds) })
		}
		wg.Wait()
	})
	var all strings.Builder
	for i := range lines {
		all.WriteString(lines[i].String())
	}
	return all.String()
}

// talk asks the server in turn, each time from a new socket, without waiting
// for more than 30 ms.
func talk(t *testing.T, h *simnet.Host, rounds int) {
	for range rounds {
		c, err := h.DialUDP(t.Context(), serverAt)
		if err != nil {
			t.Error(err)
			return
		}
		c.SetReadDeadline(time.Now().Add(30 * ms))
		c.Write([]byte("x"))
		c.Read(make([]byte, 9))
		c.Close()
	}
}

func TestSameSeedSameTrace(t *testing.T) {
	first := trace(t, 1)
	if len(strings.Split(first, "\n")) < 300 {
		t.Fatalf("short trace:\n%s", first)
	}
	for range 3 {
		if again := trace(t, 1); again != first {
			t.Fatalf("traces differ:\n%s\n%s", first, again)
		}
	}
	if trace(t, 2) == first {
		t.Fatal("the seed changes nothing")
	}
}

// Every datagram is counted once, whatever becomes of it.
func TestStatsAddUp(t *testing.T) {
	bubble(t, simnet.Options{Seed: 3, Queue: 50}, func(t *testing.T, w world) {
		w.links(simnet.Link{Latency: 5 * ms, Jitter: 5 * ms, Loss: 0.1, MTU: 1000})
		w.Filter(func(p *simnet.Packet) bool { return len(p.Payload) != 1 })
		w.Outage(serverAddr, simnet.Blackhole, 100*ms, 200*ms)
		w.listenPacket(t, serverAt)
		good, closed := w.dialUDP(t, serverAt), w.dialUDP(t, netip.AddrPortFrom(serverAddr, 54))
		none := w.dialUDP(t, netip.AddrPortFrom(nobody, 53))
		for i := range 300 {
			for _, c := range []net.Conn{good, closed, none} {
				c.Write(make([]byte, i*4+1))
			}
			time.Sleep(ms)
		}
		w.Inject(serverAt, netip.AddrPortFrom(nobody, 53), nil)
		time.Sleep(time.Second)
		s := w.Stats()
		ends := []uint64{s.Filtered, s.Cut, s.NoHost, s.TooBig, s.Lost, s.Delivered, s.Refused, s.Overflow}
		sum := uint64(0)
		for i, k := range ends {
			if k == 0 {
				t.Errorf("nothing of kind %d: %+v", i, s)
			}
			sum += k
		}
		equal(t, sum, s.Sent+s.Injected)
	})
}

// Everybody who waits in the network is let go by Close; a goroutine that stays
// blocked would fail the bubble.
func TestCloseLetsEverybodyGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(simnet.Options{Window: 10})
		w := world{n, n.Host(clientAddr, client6), n.Host(serverAddr, server6)}
		w.links(simnet.Link{Latency: 10 * ms})
		c, s := w.connect(t)
		l, p := w.listen(t, serverAt), w.listenPacket(t, serverAt)
		w.Outage(nobody, simnet.Refuse, time.Hour, 2*time.Hour)
		check(t, p.SetDeadline(time.Now().Add(time.Hour)))
		var wg sync.WaitGroup
		wg.Go(func() { io.ReadAll(s) })
		wg.Go(func() { s.Write(make([]byte, 100)) })
		wg.Go(func() { s.Write(make([]byte, 100)) })
		wg.Go(func() { c.Close() })
		wg.Go(func() { l.Accept() })
		wg.Go(func() { echo(p) })
		wg.Go(func() { w.dialUDP(t, serverAt).Read(make([]byte, 9)) })
		wg.Go(func() { w.client.DialTCP(t.Context(), netip.AddrPortFrom(nobody, 53)) })
		time.Sleep(time.Second)
		before := time.Now()
		n.Close()
		wg.Wait()
		equal(t, time.Since(before), 0)
	})
}

func TestTenThousandHoursCostLittle(t *testing.T) {
	begun := time.Now()
	bubble(t, simnet.Options{}, func(t *testing.T, w world) {
		w.links(simnet.Link{Latency: 20 * ms})
		s := w.listenPacket(t, serverAt)
		go echo(s)
		defer s.Close()
		start := w.Now()
		for range 10_000 {
			c := w.dialUDP(t, serverAt)
			check(t, c.SetDeadline(time.Now().Add(5*time.Second)))
			write(t, c, "x")
			read(t, c)
			check(t, c.Close())
			time.Sleep(time.Hour - 40*ms)
		}
		equal(t, w.Now()-start, 10_000*time.Hour)
	})
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("took %v of real time", took)
	}
}

// Ten thousand sockets ask at the same instant; the queue holds them all.
func TestTenThousandClientsAtOnce(t *testing.T) {
	const clients = 10_000
	bubble(t, simnet.Options{Queue: clients}, func(t *testing.T, w world) {
		w.links(simnet.Link{Latency: 20 * ms})
		s := w.listenPacket(t, serverAt)
		go echo(s)
		defer s.Close()
		start := time.Now()
		var wg sync.WaitGroup
		for range clients {
			wg.Go(func() {
				c, err := w.client.DialUDP(context.Background(), serverAt)
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
				if _, err := c.Write([]byte("x")); err != nil {
					t.Error(err)
				}
				if _, err := c.Read(make([]byte, 9)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		equal(t, time.Since(start), 40*ms)
		equal(t, w.Stats().Delivered, 2*clients)
		equal(t, w.client.Open(), 0)
	})
}

// The streams are good enough for net/http, whose server reads ahead in the
// background and breaks that off by deadlines.
func TestHTTPOverStreams(t *testing.T) {
	bubble(t, simnet.Options{Seed: 9}, func(t *testing.T, w world) {
		w.links(simnet.Link{Latency: 10 * ms, Jitter: 5 * ms, Loss: 0.05, MTU: 1500})
		l := w.listen(t, netip.AddrPortFrom(serverAddr, 80))
		server := http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body) // all of it first: HTTP/1 is half duplex by default
			rw.Write(body)
		})}
		go server.Serve(l)
		transport := &http.Transport{
			DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
				to, err := netip.ParseAddrPort(addr)
				if err != nil {
					return nil, err
				}
				return w.client.DialTCP(ctx, to)
			},
		}
		client := http.Client{Transport: transport}
		body := string(randomBytes(200_000))
		for range 3 {
			resp, err := client.Post("http://198.51.100.1/", "", strings.NewReader(body))
			check(t, err)
			got, err := io.ReadAll(resp.Body)
			check(t, err)
			check(t, resp.Body.Close())
			equal(t, string(got) == body, true)
		}
		equal(t, w.Stats().Dials, 1) // one connection, kept alive
		transport.CloseIdleConnections()
		check(t, server.Shutdown(t.Context()))
		synctest.Wait()
		equal(t, w.client.Open()+w.server.Open(), 0)
	})
}
