package simnet_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"lastgood/internal/simnet"
)

func TestStreamTakesRoundTrips(t *testing.T) {
	bubble(t, simnet.Options{}, func(t *testing.T, w world) {
		w.links(simnet.Link{Latency: 15 * ms})
		l := w.listen(t, serverAt)
		defer l.Close()
		start := time.Now()
		c, err := w.client.DialTCP(t.Context(), serverAt)
		check(t, err)
		equal(t, time.Since(start), 30*ms)
		s, err := l.Accept()
		check(t, err)
		equal(t, time.Since(start), 45*ms) // the end of the handshake
		equal(t, s.RemoteAddr().String(), c.LocalAddr().String())
		equal(t, s.LocalAddr().(*net.TCPAddr).AddrPort(), serverAt)
		write(t, c, "ping")
		equal(t, read(t, s), "ping")
		write(t, s, "pong")
		equal(t, read(t, c), "pong")
		equal(t, time.Since(start), 75*ms)
	})
}

// transfer sends data through a stream in writes of many sizes, and returns
// what came out and how long it took.
func transfer(t *testing.T, w world, data []byte) ([]byte, time.Duration) {
	t.Helper()
	c, s := w.connect(t)
	start := time.Now()
	var wg sync.WaitGroup
	wg.Go(func() {
		r := rand.New(rand.NewPCG(1, 2))
		for rest := data; len(rest) > 0; {
			k := min(len(rest), 1+r.IntN(5000))
			if _, err := c.Write(rest[:k]); err != nil {
				t.Error(err)
				break
			}
			rest = rest[k:]
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	got, err := io.ReadAll(s)
	check(t, err)
	wg.Wait()
	check(t, s.Close())
	return got, time.Since(start)
}

func randomBytes(size int) []byte {
	data := make([]byte, size)
	r := rand.New(rand.NewPCG(3, 4))
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	return data
}

func TestStreamsKeepOrderAndBytes(t *testing.T) {
	data := randomBytes(300_000)
	for name, l := range map[string]simnet.Link{
		"perfect": {},
		"jitter":  {Latency: 5 * ms, Jitter: 50 * ms},
		"loss":    {Latency: 5 * ms, Loss: 0.3},
		"both":    {Latency: 5 * ms, Jitter: 50 * ms, Loss: 0.3, MTU: 600},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, simnet.Options{Seed: 5, Window: 10_000}, func(t *testing.T, w world) {
				w.links(l)
				got, took := transfer(t, w, data)
				equal(t, bytes.Equal(got, data), true)
				if stats := w.Stats(); l.Loss > 0 {
					if stats.Retransmits == 0 || took < time.Second {
						t.Errorf("loss cost %v and %d retransmissions", took, stats.Retransmits)
					}
				} else {
					equal(t, stats.Retransmits, 0)
				}
			})
		})
	}
}

func TestWindowBoundsWhatIsUnread(t *testing.T) {
	bubble(t, simnet.Options{Window: 1000}, func(t *testing.T, w world) {
		c, s := w.connect(t)
		check(t, c.SetWriteDeadline(time.Now().Add(time.Second)))
		k, err := c.Write(make([]byte, 2500))
		equal(t, k, 1000)
		equal(t, errors.Is(err, os.ErrDeadlineExceeded), true)
		check(t, c.SetWriteDeadline(time.Time{}))
		time.AfterFunc(time.Second, func() { io.ReadFull(s, make([]byte, 600)) })
		start := time.Now()
		k, err = c.Write(make([]byte, 600))
		check(t, err)
		equal(t, k, 600)
		equal(t, time.Since(start), time.Second)
	})
}

func TestConcurrentWritesDoNotMix(t *testing.T) {
	bubble(t, simnet.Options{Window: 100}, func(t *testing.T, w world) {
		w.links(simnet.Link{Latency: ms})
		c, s := w.connect(t)
		var wg sync.WaitGroup
		for _, letter := range []string{"a", "b", "c", "d"} {
			wg.Go(func() {
				if _, err := c.Write([]byte(strings.Repeat(letter, 1000))); err != nil {
					t.Error(err)
				}
			})
		}
		go func() {
			wg.Wait()
			c.Close()
		}()
		got, err := io.ReadAll(s)
		check(t, err)
		equal(t, len(got), 4000)
		for i := 0; i < len(got); i += 1000 {
			equal(t, string(got[i:i+1000]), strings.Repeat(string(got[i]), 1000))
		}
	})
}

func TestDialRefusedSilentAndTimedOut(t *testing.T) {
	bubble(t, simnet.Options{}, func(t *testing.T, w world) {
		w.links(simnet.Link{Latency: 20 * ms})
		start := time.Now()
		_, err := w.client.DialTCP(t.Context(), serverAt)
		equal(t, errors.Is(err, syscall.ECONNREFUSED), true)
		equal(t, time.Since(start), 40*ms)

		for _, dead := range []netip.AddrPort{netip.AddrPortFrom(nobody, 53), serverAt} {
			w.Partition(w.client, w.server)
			start = time.Now()
			_, err = w.client.DialTCP(withTimeout(t, 10*time.Second), dead)
			equal(t, errors.Is(err, context.DeadlineExceeded), true)
			equal(t, err.(net.Error).Timeout(), true)
			equal(t, time.Since(start), 10*time.Second)
		}
		start = time.Now()
		_, err = w.client.DialTCP(t.Context(), serverAt)
		equal(t, errors.Is(err, syscall.ETIMEDOUT), true)
		equal(t, time.Since(start), 127*time.Second)

		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err = w.client.DialTCP(ctx, serverAt)
		equal(t, errors.Is(err, context.Canceled), true)
	})
}

func TestDialSurvivesAShortPartition(t *testing.T) {
	bubble(t, simnet.Options{}, func(t *testing.T, w world) {
		l := w.listen(t, serverAt)
		defer l.Close()
		w.Partition(w.client, w.server)
		time.AfterFunc(2*time.Second, func() { w.Heal(w.client, w.server) })
		start := time.Now()
		c, err := w.client.DialTCP(t.Context(), serverAt)
		check(t, err)
		equal(t, time.Since(start), 3*time.Second) // the second repetition of the SYN
		check(t, c.Close())
	})
}

func TestOneConnectionHoweverOftenTheSYNArrives(t *testing.T) {
	bubble(t, simnet.Options{}, func(t *testing.T, w world) {
		l := w.listen(t, serverAt)
		w.SetLink(w.server, clientAddr, simnet.Link{Loss: 1}) // the SYN-ACK is held back
		time.AfterFunc(4*time.Second, func() { w.SetLink(w.server, clientAddr, simnet.Link{}) })
		c, err := w.client.DialTCP(t.Context(), serverAt)
		check(t, err)
		s, err := l.Accept()
		check(t, err)
		write(t, c, "x")
		equal(t, read(t, s), "x")
		check(t, l.(interface{ SetDeadline(time.Time) error }).SetDeadline(time.Now().Add(time.Minute)))
		_, err = l.Accept()
		equal(t, errors.Is(err, os.ErrDeadlineExceeded), true)
	})
}

func TestStreamStallsHalfWayAndGoesOn(t *testing.T) {
	data := randomBytes(50_000)
	heal := map[string]func(world){
		"partition": func(w world) {
			w.Partition(w.client, w.server)
			time.AfterFunc(time.Hour, func() { w.Heal(w.client, w.server) })
		},
		"outage": func(w world) { w.Outage(serverAddr, simnet.Blackhole, 0, time.Hour) },
		"link": func(w world) {
			w.SetLink(w.client, serverAddr, simnet.Link{Loss: 1})
			time.AfterFunc(time.Hour, func() { w.links(simnet.Link{Latency: 10 * ms}) })
		},
	}
	for name, cut := range heal {
		t.Run(name, func(t *testing.T) {
			bubble(t, simnet.Options{Window: 1000}, func(t *testing.T, w world) {
				w.links(simnet.Link{Latency: 10 * ms})
				begin := w.Now()
				time.AfterFunc(200*ms, func() { cut(w) })
				c, s := w.connect(t)
				go func() {
					c.Write(data)
					c.Close()
				}()
				check(t, s.SetReadDeadline(time.Now().Add(time.Minute)))
				first, err := io.ReadAll(s)
				equal(t, errors.Is(err, os.ErrDeadlineExceeded), true)
				if len(first) < 10_000 || len(first) > 30_000 {
					t.Errorf("%d bytes before the cut", len(first))
				}
				check(t, s.SetReadDeadline(time.Time{}))
				rest, err := io.ReadAll(s)
				check(t, err)
				equal(t, bytes.Equal(append(first, rest...), data), true)
				if took := w.Now() - begin; took < time.Hour || took > time.Hour+time.Second {
					t.Errorf("took %v", took)
				}
				equal(t, w.Stats().Stalls, 1)
			})
		})
	}
}

// streamTests are run each with a stream of its own.
type streamTests map[string]func(t *testing.T, w world, c, s net.Conn)

func (tests streamTests) run(t *testing.T) {
	for name, f := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, simnet.Options{}, func(t *testing.T, w world) {
				w.links(simnet.Link{Latency: 10 * ms})
				c, s := w.connect(t)
				f(t, w, c, s)
			})
		})
	}
}

func TestStreamClose(t *testing.T) {
	buf := make([]byte, 100)
	streamTests{
		"what was written arrives, then EOF": func(t *testing.T, _ world, c, s net.Conn) {
			words := []byte("last words")
			_, err := c.Write(words)
			check(t, err)
			clear(words) // the writer's again
			check(t, c.Close())
			equal(t, read(t, s), "last words")
			_, err = s.Read(buf)
			equal(t, err, io.EOF)
		},
		"close unblocks a read": func(t *testing.T, _ world, c, _ net.Conn) {
			time.AfterFunc(ms, func() { c.Close() })
			_, err := c.Read(buf)
			equal(t, errors.Is(err, net.ErrClosed), true)
			equal(t, errors.Is(c.Close(), net.ErrClosed), true)
		},
		"close unblocks a write": func(t *testing.T, _ world, c, _ net.Conn) {
			time.AfterFunc(ms, func() { c.Close() })
			_, err := c.Write(make([]byte, 1<<20))
			equal(t, errors.Is(err, net.ErrClosed), true)
		},
		"half close leaves the other direction": func(t *testing.T, _ world, c, s net.Conn) {
			check(t, c.(interface{ CloseWrite() error }).CloseWrite())
			_, err := s.Read(buf)
			equal(t, err, io.EOF)
			write(t, s, "answer")
			equal(t, read(t, c), "answer")
			_, err = c.Write(buf)
			equal(t, errors.Is(err, syscall.EPIPE), true)
		},
	}.run(t)
}

func TestStreamReset(t *testing.T) {
	buf := make([]byte, 100)
	streamTests{
		"unread data turns a close into a reset": func(t *testing.T, _ world, c, s net.Conn) {
			write(t, c, "unread")
			time.Sleep(time.Second)
			write(t, s, "still readable")
			check(t, s.Close())
			time.Sleep(time.Second)
			equal(t, read(t, c), "still readable")
			_, err := c.Read(buf)
			equal(t, errors.Is(err, syscall.ECONNRESET), true)
		},
		"a write to a closed peer is answered by a reset": func(t *testing.T, _ world, c, s net.Conn) {
			check(t, s.Close())
			time.Sleep(time.Second)
			write(t, c, "too late")
			time.Sleep(time.Second)
			_, err := c.Write(buf)
			equal(t, errors.Is(err, syscall.ECONNRESET), true)
		},
		"a process that dies resets its streams": func(t *testing.T, w world, c, s net.Conn) {
			l := w.listen(t, serverAt)
			defer l.Close()
			w.Outage(serverAddr, simnet.Refuse, time.Second, 2*time.Second)
			_, err := c.Read(buf)
			equal(t, errors.Is(err, syscall.ECONNRESET), true)
			_, err = s.Read(buf)
			equal(t, errors.Is(err, syscall.ECONNRESET), true)
			_, err = w.client.DialTCP(t.Context(), serverAt)
			equal(t, errors.Is(err, syscall.ECONNREFUSED), true)
			time.Sleep(time.Second)
			_, err = w.client.DialTCP(t.Context(), serverAt)
			check(t, err)
		},
		"a reset discards what a cut held back": func(t *testing.T, w world, c, s net.Conn) {
			write(t, c, "unread")
			time.Sleep(time.Second)
			w.Partition(w.client, w.server)
			write(t, s, "held back")
			check(t, s.Close())
			w.Heal(w.client, w.server)
			_, err := c.Read(buf)
			equal(t, errors.Is(err, syscall.ECONNRESET), true)
		},
	}.run(t)
}

func TestListenerClose(t *testing.T) {
	bubble(t, simnet.Options{}, func(t *testing.T, w world) {
		l := w.listen(t, serverAt)
		c, err := w.client.DialTCP(t.Context(), serverAt)
		check(t, err)
		time.Sleep(time.Second)
		check(t, l.Close()) // with a connection that nobody accepted
		_, err = c.Read(make([]byte, 9))
		equal(t, errors.Is(err, syscall.ECONNRESET), true)

		l = w.listen(t, serverAt) // and with one in its handshake
		w.links(simnet.Link{Latency: 10 * ms})
		time.AfterFunc(25*ms, func() { l.Close() })
		c, err = w.client.DialTCP(t.Context(), serverAt)
		check(t, err)
		_, err = c.Read(make([]byte, 9))
		equal(t, errors.Is(err, syscall.ECONNRESET), true)
		equal(t, w.server.Open(), 0)

		l = w.listen(t, netip.AddrPortFrom(netip.IPv6Unspecified(), 53))
		equal(t, l.Addr().String(), "[::]:53")
		time.AfterFunc(ms, func() { l.Close() })
		_, err = l.Accept()
		equal(t, errors.Is(err, net.ErrClosed), true)
		equal(t, errors.Is(l.Close(), net.ErrClosed), true)
	})
}

func TestBacklogIsBounded(t *testing.T) {
	bubble(t, simnet.Options{Queue: 2}, func(t *testing.T, w world) {
		l := w.listen(t, serverAt)
		for range 2 {
			_, err := w.client.DialTCP(t.Context(), serverAt)
			check(t, err)
		}
		time.AfterFunc(2*time.Second, func() {
			for range 3 {
				l.Accept()
			}
		})
		start := time.Now()
		_, err := w.client.DialTCP(t.Context(), serverAt) // waits for room
		check(t, err)
		equal(t, time.Since(start), 3*time.Second)
		equal(t, w.Stats().Overflow, 2)
	})
}

// A client that gives up in the handshake must not fill the backlog for ever.
func TestAbandonedHandshakesLeaveTheBacklog(t *testing.T) {
	bubble(t, simnet.Options{Queue: 2}, func(t *testing.T, w world) {
		w.links(simnet.Link{Latency: 100 * ms})
		l := w.listen(t, serverAt)
		defer l.Close()
		for range 5 {
			_, err := w.client.DialTCP(withTimeout(t, 150*ms), serverAt)
			equal(t, errors.Is(err, context.DeadlineExceeded), true)
			time.Sleep(time.Second)
		}
		w.Outage(serverAddr, simnet.Refuse, 150*ms, 200*ms) // resets one in its handshake
		c, err := w.client.DialTCP(t.Context(), serverAt)
		check(t, err)
		_, err = c.Read(make([]byte, 9))
		equal(t, errors.Is(err, syscall.ECONNRESET), true)
		check(t, c.Close())
		equal(t, w.client.Open(), 0)
		equal(t, w.server.Open(), 1) // the listener
		for range 2 {
			_, err := w.client.DialTCP(withTimeout(t, 250*ms), serverAt)
			check(t, err)
		}
		equal(t, w.Stats().Overflow, 0)
	})
}

// Only what a healed cut held back goes on.
func TestHealingOnePairOnly(t *testing.T) {
	bubble(t, simnet.Options{}, func(t *testing.T, w world) {
		other := w.Host(netip.MustParseAddr("192.0.2.7"))
		c, s := w.connect(t)
		l := w.listen(t, serverAt)
		defer l.Close()
		oc, err := other.DialTCP(t.Context(), serverAt)
		check(t, err)
		os, err := l.Accept()
		check(t, err)
		w.Partition(w.client, w.server)
		w.Partition(other, w.server)
		write(t, c, "first")
		write(t, oc, "second")
		w.Heal(other, w.server)
		equal(t, read(t, os), "second")
		silent(t, s)

		w.Heal(w.client, w.server)
		equal(t, read(t, s), "first")
	})
}

func TestHostTalksToItself(t *testing.T) {
	bubble(t, simnet.Options{}, func(t *testing.T, w world) {
		w.SetDefault(simnet.Link{Latency: time.Second, Loss: 1})
		w.Outage(serverAddr, simnet.Blackhole, 0, 0)
		for _, at := range []string{"127.0.0.1:53", "127.0.0.53:53", "[::1]:53", "198.51.100.1:53"} {
			at := netip.MustParseAddrPort(at)
			l := w.listen(t, at)
			c, err := w.server.DialTCP(t.Context(), at)
			check(t, err)
			s, err := l.Accept()
			check(t, err)
			write(t, c, "self")
			equal(t, read(t, s), "self")
			check(t, l.Close())
			_, err = w.client.DialTCP(withTimeout(t, time.Second), at)
			equal(t, err != nil, true)
		}
	})
}
