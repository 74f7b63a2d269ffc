package simnet_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/simnet"
)

func TestLatencyIsExact(t *testing.T) {
	bubble(t, simnet.Options{}, func(t *testing.T, w world) {
		w.SetLink(w.client, serverAddr, simnet.Link{Latency: 30 * ms})
		w.SetLink(w.server, clientAddr, simnet.Link{Latency: 11 * ms})
		s := w.listenPacket(t, serverAt)
		go echo(s)
		defer s.Close()
		c := w.dialUDP(t, serverAt)
		start := time.Now()
		question := []byte("question")
		_, err := c.Write(question)
		check(t, err)
		clear(question) // the writer's again
		equal(t, time.Since(start), 0)
		equal(t, read(t, c), "question")
		equal(t, time.Since(start), 41*ms)
		equal(t, c.RemoteAddr().String(), "198.51.100.1:53")
		equal(t, c.LocalAddr().(*net.UDPAddr).IP.String(), "192.0.2.1")
	})
}

func TestLinkPrecedence(t *testing.T) {
	bubble(t, simnet.Options{}, func(t *testing.T, w world) {
		s := w.listenPacket(t, netip.AddrPortFrom(netip.Addr{}, 53))
		go echo(s)
		defer s.Close()
		rtt := func(to netip.AddrPort) time.Duration {
			c := w.dialUDP(t, to)
			defer c.Close()
			start := time.Now()
			write(t, c, "x")
			read(t, c)
			return time.Since(start)
		}
		equal(t, rtt(serverAt), 0)
		w.SetDefault(simnet.Link{Latency: 1 * ms})
		equal(t, rtt(serverAt), 2*ms)
		w.SetLink(nil, serverAddr, simnet.Link{Latency: 10 * ms})
		equal(t, rtt(serverAt), 11*ms)
		w.SetLink(w.client, serverAddr, simnet.Link{Latency: 100 * ms})
		equal(t, rtt(serverAt), 101*ms)
		equal(t, rtt(server6At), 2*ms)
		w.links(simnet.Link{Latency: 5 * ms})
		equal(t, rtt(serverAt), 10*ms)
		equal(t, rtt(server6At), 10*ms)
	})
}

func TestChangedLinkGovernsWhatIsSentAfterwards(t *testing.T) {
	bubble(t, simnet.Options{}, func(t *testing.T, w world) {
		w.links(simnet.Link{Latency: 100 * ms})
		s := w.listenPacket(t, serverAt)
		c := w.dialUDP(t, serverAt)
		write(t, c, "slow")
		w.links(simnet.Link{Latency: 10 * ms})
		write(t, c, "fast")
		w.links(simnet.Link{Loss: 1})
		write(t, c, "lost")
		equal(t, strings.Join(drain(t, s), " "), "fast slow")
	})
}

func TestLossAndJitterFollowTheirDistribution(t *testing.T) {
	const count, loss = 20000, 0.3
	bubble(t, simnet.Options{Seed: 7, Queue: count}, func(t *testing.T, w world) {
		w.links(simnet.Link{Latency: 10 * ms, Jitter: 20 * ms, Loss: loss})
		var rec simnet.Recorder
		w.Tap(rec.Add)
		s := w.listenPacket(t, serverAt)
		c := w.dialUDP(t, serverAt)
		for range count {
			write(t, c, "x")
		}
		got := len(drain(t, s))
		if share := 1 - float64(got)/count; share < loss-0.02 || share > loss+0.02 {
			t.Errorf("lost share %.3f, want about %.2f", share, loss)
		}
		equal(t, w.Stats().Lost, uint64(count-got))
		var low, high, sum time.Duration = time.Hour, 0, 0
		for _, p := range rec.Packets() {
			if p.Fate == simnet.Passed {
				low, high, sum = min(low, p.Delay), max(high, p.Delay), sum+p.Delay
			}
		}
		if low < 10*ms || low > 11*ms || high >= 30*ms || high < 29*ms {
			t.Errorf("delays from %v to %v, want 10ms to 30ms", low, high)
		}
		if mean := sum / time.Duration(got); mean < 19*ms || mean > 21*ms {
			t.Errorf("mean delay %v, want about 20ms", mean)
		}
	})
}

func TestJitterReordersDatagrams(t *testing.T) {
	bubble(t, simnet.Options{Seed: 1}, func(t *testing.T, w world) {
		s := w.listenPacket(t, serverAt)
		c := w.dialUDP(t, serverAt)
		send := func() string {
			for _, text := range strings.Fields("a b c d e f g h") {
				write(t, c, text)
			}
			return strings.Join(drain(t, s), " ")
		}
		w.links(simnet.Link{Latency: 10 * ms})
		equal(t, send(), "a b c d e f g h")
		w.links(simnet.Link{Latency: 10 * ms, Jitter: 10 * ms})
		got := send()
		equal(t, len(got), len("a b c d e f g h"))
		if got == "a b c d e f g h" {
			t.Error("nothing was reordered")
		}
	})
}

func TestMTUCountsHeaders(t *testing.T) {
	bubble(t, simnet.Options{}, func(t *testing.T, w world) {
		w.links(simnet.Link{MTU: 1280})
		s := w.listenPacket(t, netip.AddrPortFrom(netip.Addr{}, 53))
		four, six := w.dialUDP(t, serverAt), w.dialUDP(t, server6At)
		for _, size := range []int{1252, 1253} {
			write(t, four, strings.Repeat("4", size))
		}
		for _, size := range []int{1232, 1233} {
			write(t, six, strings.Repeat("6", size))
		}
		got := drain(t, s)
		equal(t, len(got), 2)
		equal(t, len(got[0]), 1252)
		equal(t, len(got[1]), 1232)
		equal(t, w.Stats().TooBig, 2)
		_, err := four.Write(make([]byte, 65508))
		equal(t, errors.Is(err, syscall.EMSGSIZE), true)
	})
}

func TestClosedPortRefusesAndNoHostIsSilent(t *testing.T) {
	bubble(t, simnet.Options{}, func(t *testing.T, w world) {
		w.links(simnet.Link{Latency: 20 * ms})
		c := w.dialUDP(t, serverAt)
		start := time.Now()
		write(t, c, "x")
		_, err := c.Read(make([]byte, 10))
		equal(t, errors.Is(err, syscall.ECONNREFUSED), true)
		equal(t, time.Since(start), 40*ms)
		silent(t, c) // the error is told once

		write(t, c, "x")
		time.Sleep(time.Second)
		_, err = c.Write([]byte("y")) // a write hears of it too, instead of sending
		equal(t, errors.Is(err, syscall.ECONNREFUSED), true)
		equal(t, w.Stats().Sent, 2)
		write(t, c, "z")

		c = w.dialUDP(t, netip.AddrPortFrom(nobody, 53))
		write(t, c, "x")
		silent(t, c)
		equal(t, w.Stats().NoHost, 1)

		open, err := w.client.ListenPacket(netip.AddrPortFrom(clientAddr, 0))
		check(t, err)
		_, err = open.WriteTo([]byte("x"), net.UDPAddrFromAddrPort(serverAt))
		check(t, err)
		equal(t, len(drain(t, open)), 0) // an unconnected socket hears nothing
	})
}

func TestConnectedSocketHearsOnlyItsPeer(t *testing.T) {
	bubble(t, simnet.Options{}, func(t *testing.T, w world) {
		c := w.dialUDP(t, serverAt)
		local := c.LocalAddr().(*net.UDPAddr).AddrPort()
		other, err := w.server.ListenPacket(netip.AddrPortFrom(serverAddr, 5353))
		check(t, err)
		_, err = other.WriteTo([]byte("stranger"), net.UDPAddrFromAddrPort(local))
		check(t, err)
		w.Inject(netip.AddrPortFrom(nobody, 53), local, []byte("stranger"))
		silent(t, c)
		equal(t, w.Stats().Refused, 2)

		forged := []byte("forged")
		w.links(simnet.Link{Loss: 1, Latency: time.Hour}) // does not touch it
		w.Inject(serverAt, local, forged)
		copy(forged, "XXXXXX") // the network keeps a copy of its own
		start := time.Now()
		equal(t, read(t, c), "forged")
		equal(t, time.Since(start), 0)
		equal(t, w.Stats().Injected, 2)
	})
}

func TestForgeryFromATapOvertakesTheReply(t *testing.T) {
	bubble(t, simnet.Options{}, func(t *testing.T, w world) {
		w.links(simnet.Link{Latency: 5 * ms})
		s := w.listenPacket(t, serverAt)
		go echo(s)
		defer s.Close()
		w.Tap(func(p simnet.Packet) {
			if p.To == serverAt {
				w.Inject(p.To, p.From, append([]byte("not "), p.Payload...))
			}
		})
		c := w.dialUDP(t, serverAt)
		write(t, c, "true")
		equal(t, read(t, c), "not true")
		equal(t, read(t, c), "true")
	})
}

func TestFilterDropsAltersAndDelays(t *testing.T) {
	bubble(t, simnet.Options{}, func(t *testing.T, w world) {
		var rec simnet.Recorder
		untap := w.Tap(rec.Add)
		s := w.listenPacket(t, serverAt)
		c := w.dialUDP(t, serverAt)
		remove := w.Filter(func(p *simnet.Packet) bool {
			p.To = netip.AddrPort{} // is not a filter's to change
			switch string(p.Payload) {
			case "drop":
				return false
			case "alter":
				p.Payload = bytes.ToUpper(p.Payload)
			case "delay":
				p.Delay = time.Second
			}
			return true
		})
		for _, text := range []string{"drop", "delay", "alter"} {
			write(t, c, text)
		}
		equal(t, strings.Join(drain(t, s), " "), "ALTER delay")
		remove()
		write(t, c, "drop")
		untap()
		write(t, c, "unseen")
		equal(t, strings.Join(drain(t, s), " "), "drop unseen")
		var fates []string
		for _, p := range rec.Packets() {
			fates = append(fates, p.Fate.String())
			equal(t, p.To, serverAt)
		}
		equal(t, strings.Join(fates, ","), "filtered,passed,passed,passed")
		equal(t, w.Stats().Filtered, 1)
	})
}

func TestReadDeadlines(t *testing.T) {
	bubble(t, simnet.Options{}, func(t *testing.T, w world) {
		s := w.listenPacket(t, serverAt)
		c := w.dialUDP(t, serverAt)
		buf := make([]byte, 10)
		start := time.Now()
		check(t, c.SetReadDeadline(start.Add(70*ms)))
		_, err := c.Read(buf)
		equal(t, errors.Is(err, os.ErrDeadlineExceeded), true)
		equal(t, err.(net.Error).Timeout(), true)
		equal(t, time.Since(start), 70*ms)

		check(t, c.SetReadDeadline(time.Time{})) // a deadline set while a read waits ends it
		time.AfterFunc(30*ms, func() { c.SetReadDeadline(time.Unix(1, 0)) })
		_, err = c.Read(buf)
		equal(t, errors.Is(err, os.ErrDeadlineExceeded), true)
		equal(t, time.Since(start), 100*ms)

		check(t, c.SetReadDeadline(time.Now().Add(10*ms))) // and one that is moved does not
		time.AfterFunc(5*ms, func() { c.SetReadDeadline(time.Now().Add(time.Second)) })
		_, err = c.Read(buf)
		equal(t, errors.Is(err, os.ErrDeadlineExceeded), true)
		equal(t, time.Since(start), 1105*ms)

		check(t, c.SetDeadline(time.Now().Add(-1))) // a passed one counts before data, and for writes
		w.Inject(serverAt, c.LocalAddr().(*net.UDPAddr).AddrPort(), []byte("data"))
		_, err = c.Read(buf)
		equal(t, errors.Is(err, os.ErrDeadlineExceeded), true)
		_, err = c.Write(buf)
		equal(t, errors.Is(err, os.ErrDeadlineExceeded), true)
		check(t, c.SetDeadline(time.Time{}))
		equal(t, read(t, c), "data")
		equal(t, len(drain(t, s)), 0)
	})
}

func TestCloseOfASocket(t *testing.T) {
	bubble(t, simnet.Options{}, func(t *testing.T, w world) {
		s := w.listenPacket(t, serverAt)
		_, err := w.server.ListenPacket(serverAt)
		equal(t, errors.Is(err, syscall.EADDRINUSE), true)
		time.AfterFunc(ms, func() { s.Close() })
		_, _, err = s.ReadFrom(make([]byte, 10))
		equal(t, errors.Is(err, net.ErrClosed), true)
		_, err = s.WriteTo([]byte("x"), net.UDPAddrFromAddrPort(serverAt))
		equal(t, errors.Is(err, net.ErrClosed), true)
		equal(t, errors.Is(s.Close(), net.ErrClosed), true)
		equal(t, errors.Is(s.SetDeadline(time.Now()), net.ErrClosed), true)
		s = w.listenPacket(t, serverAt) // the port is free again
		check(t, s.Close())
	})
}

func TestBinding(t *testing.T) {
	bubble(t, simnet.Options{}, func(t *testing.T, w world) {
		at := func(a string) netip.AddrPort { return netip.MustParseAddrPort(a) }
		_, err := w.server.ListenPacket(at("192.0.2.1:53"))
		equal(t, errors.Is(err, syscall.EADDRNOTAVAIL), true)
		all4 := w.listenPacket(t, at("0.0.0.0:53"))
		all6 := w.listenPacket(t, at("[::]:53"))
		one := w.listenPacket(t, serverAt)
		own := w.listenPacket(t, at("127.0.0.1:53"))
		write(t, w.dialUDP(t, serverAt), "one")
		write(t, w.dialUDP(t, server6At), "six")
		c, err := w.server.DialUDP(t.Context(), at("127.0.0.1:53"))
		check(t, err)
		write(t, c, "own")
		equal(t, strings.Join(drain(t, one), ""), "one")
		equal(t, strings.Join(drain(t, all6), ""), "six")
		equal(t, strings.Join(drain(t, own), ""), "own")
		check(t, one.Close())
		write(t, w.dialUDP(t, serverAt), "four")
		equal(t, strings.Join(drain(t, all4), ""), "four")

		only4 := w.Host(netip.MustParseAddr("192.0.2.2"))
		_, err = only4.DialUDP(t.Context(), server6At)
		equal(t, errors.Is(err, syscall.ENETUNREACH), true)
		_, err = own.WriteTo([]byte("x"), net.UDPAddrFromAddrPort(at("192.0.2.1:53")))
		equal(t, errors.Is(err, syscall.EINVAL), true)
		_, err = only4.DialTCP(t.Context(), server6At)
		equal(t, errors.Is(err, syscall.ENETUNREACH), true)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = only4.DialUDP(ctx, serverAt)
		equal(t, errors.Is(err, context.Canceled), true)
	})
}

func TestFullQueueDropsAndCounts(t *testing.T) {
	bubble(t, simnet.Options{Queue: 3}, func(t *testing.T, w world) {
		w.links(simnet.Link{Latency: ms}) // so that all arrive before the first is read
		s := w.listenPacket(t, serverAt)
		c := w.dialUDP(t, serverAt)
		for _, text := range []string{"1", "2", "3", "4", "5"} {
			write(t, c, text)
		}
		equal(t, strings.Join(drain(t, s), ""), "123")
		equal(t, w.Stats().Overflow, 2)
		write(t, c, "6")
		equal(t, strings.Join(drain(t, s), ""), "6")
	})
}

func TestPartitionAndHealing(t *testing.T) {
	bubble(t, simnet.Options{}, func(t *testing.T, w world) {
		w.links(simnet.Link{Latency: 10 * ms})
		s := w.listenPacket(t, serverAt)
		c := w.dialUDP(t, serverAt)
		write(t, c, "under way")
		w.Partition(w.server, w.client)
		write(t, c, "cut")
		equal(t, strings.Join(drain(t, s), ","), "under way")
		check(t, s.Close())
		write(t, c, "no refusal either")
		silent(t, c)
		w.Heal(w.client, w.server)
		s = w.listenPacket(t, serverAt)
		write(t, c, "healed")
		equal(t, strings.Join(drain(t, s), ","), "healed")
		equal(t, w.Stats().Cut, 2)
	})
}

func TestOutagePlan(t *testing.T) {
	bubble(t, simnet.Options{}, func(t *testing.T, w world) {
		s := w.listenPacket(t, serverAt)
		go echo(s)
		defer s.Close()
		w.Outage(serverAddr, simnet.Blackhole, 10*time.Second, 20*time.Second)
		w.Outage(serverAddr, simnet.Refuse, 30*time.Second, 40*time.Second)
		w.Outage(serverAddr, simnet.Blackhole, 50*time.Second, 0)
		var seen []string
		c := w.dialUDP(t, serverAt)
		for range 14 { // at 0 s, 5 s, … 65 s
			write(t, c, "x")
			check(t, c.SetReadDeadline(time.Now().Add(4*time.Second)))
			begun := w.Now()
			_, err := c.Read(make([]byte, 9))
			switch {
			case err == nil:
				seen = append(seen, "ok")
			case errors.Is(err, syscall.ECONNREFUSED):
				seen = append(seen, "refused")
			default:
				seen = append(seen, "silent")
			}
			time.Sleep(begun + 5*time.Second - w.Now())
		}
		equal(t, strings.Join(seen, " "),
			"ok ok silent silent ok ok refused refused ok ok silent silent silent silent")
	})
}

func TestClosedNetwork(t *testing.T) {
	bubble(t, simnet.Options{}, func(t *testing.T, w world) {
		w.links(simnet.Link{Latency: time.Hour})
		s := w.listenPacket(t, serverAt)
		c := w.dialUDP(t, serverAt)
		write(t, c, "never arrives")
		time.AfterFunc(ms, w.Close)
		_, _, err := s.ReadFrom(make([]byte, 9))
		equal(t, errors.Is(err, net.ErrClosed), true)
		_, err = w.client.DialUDP(t.Context(), serverAt)
		equal(t, errors.Is(err, net.ErrClosed), true)
		_, err = w.client.DialTCP(t.Context(), serverAt)
		equal(t, errors.Is(err, net.ErrClosed), true)
		_, err = w.client.Listen(serverAt)
		equal(t, errors.Is(err, net.ErrClosed), true)
		w.Close()
		synctest.Wait()
	})
}
