package upstream

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lastgood/internal/clock"
	"lastgood/internal/event"
	"lastgood/internal/infra"
	"lastgood/internal/iterator"
	"lastgood/internal/wire"
)

// What a forger has to guess is what is said of it: 2^28 for who knows the port
// of every socket there is, 3.2 thousand million for who does not (RFC 5452 §9.2).
func TestGuessing(t *testing.T) {
	const ids = 1 << 16
	if got := math.Log2(places * ids); got < 28 {
		t.Errorf("2^%.2f for who knows the ports", got)
	}
	if portCount*ids < 3_200_000_000 {
		t.Errorf("%d for who does not", portCount*ids)
	}
	// A question that finds its place empty draws from portCount: less likely to hit
	// a given port than finding the place of one.
	if portCount-2*places < places {
		t.Error("a port that is not in use is easier to guess than one that is")
	}
	if 1<<16%places != 0 || lifetime > time.Minute || maxUses > 500 {
		t.Error("places do not all have the same chance, or sockets live too long")
	}
}

// chiSquare is how far counts are from even, in standard deviations of what
// chance would make of that many.
func chiSquare(counts []int, n int) float64 {
	want, x := float64(n)/float64(len(counts)), 0.0
	for _, c := range counts {
		x += (float64(c) - want) * (float64(c) - want) / want
	}
	free := float64(len(counts) - 1)
	return (x - free) / math.Sqrt(2*free)
}

// Places and ports are drawn evenly, and a draw tells nothing of the next one,
// whoever draws: two clients who take turns see no pattern in each other's.
func TestDrawsAreEven(t *testing.T) {
	k := newKernel(new(entropy).Read, clock.New(), nil, nil)
	const n = 64 * places
	var place, pair [places]int
	ports, before := make([]int, portCount), uint16(0)
	for i := range n {
		p, _ := k.draw(new([4]byte))
		place[p]++
		if i%2 == 1 { // the second client's draw against the first one's
			pair[p/64*64|before/64]++
		}
		before = p
		for range portCount / places {
			ports[k.port()-firstPort]++
		}
	}
	for what, far := range map[string]float64{
		"places": chiSquare(place[:], n), "pairs of places": chiSquare(pair[:], n/2),
		"ports": chiSquare(ports, n*(portCount/places)),
	} {
		if math.Abs(far) > 6 {
			t.Errorf("%s are %.1f standard deviations from even", what, far)
		}
	}
}

func kernelOf(u *Upstream) *kernel { return u.opt.Network.(*kernel) }

// thePlace is what every question draws from an Upstream of onePlace.
const thePlace = 7

func onePlace(t *testing.T) *Upstream {
	var e entropy
	u := New(Options{Clock: clock.New(), Infra: infra.New(infra.Options{}), Random: func(b []byte) {
		if e.Read(b); len(b) == 4 { // the draw of a place
			b[0], b[1] = 0, thePlace
		}
	}})
	t.Cleanup(u.Close)
	return u
}

// ports notes from where a server was asked.
type ports struct {
	mu  sync.Mutex
	all []uint16
}

func (p *ports) serve(t *testing.T) netip.AddrPort {
	return loopback(t, func(q seen) [][]byte {
		p.mu.Lock()
		p.all = append(p.all, q.from.Port())
		p.mu.Unlock()
		return [][]byte{reply{}.to(q)}
	})
}

func (p *ports) distinct() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := map[uint16]bool{}
	for _, port := range p.all {
		m[port] = true
	}
	return len(m)
}

func (p *ports) ask(t *testing.T, u *Upstream, to netip.AddrPort, n int) {
	t.Helper()
	for range n {
		if _, err := askReal(t, u, to, false); err != nil {
			t.Fatal(err)
		}
	}
}

// A socket goes on to other questions, also of other servers, and no longer once
// it had maxUses.
func TestSocketIsRetiredAfterItsUses(t *testing.T) {
	u := onePlace(t)
	var p ports
	one, two := p.serve(t), p.serve(t)
	p.ask(t, u, one, 1)
	p.ask(t, u, two, 1)
	p.ask(t, u, one, maxUses-2)
	if n := p.distinct(); n != 1 {
		t.Errorf("%d questions from %d ports", maxUses, n)
	}
	if s := u.Stats(); s.Kept != 0 || s.Sockets != 0 {
		t.Errorf("kept after its uses: %+v", s)
	}
	p.ask(t, u, one, 1)
	if n := p.distinct(); n != 2 {
		t.Errorf("%d ports after one more", n)
	}
}

// A socket past its life takes no question, and is closed without one too.
func TestSocketIsRetiredAfterItsLife(t *testing.T) {
	u := onePlace(t)
	var p ports
	to := p.serve(t)
	old := func() {
		d := kernelOf(u).places[0][thePlace].Load()
		if d == nil {
			t.Fatal("not kept")
		}
		if d.life < lifetime/2 || d.life > lifetime {
			t.Errorf("a life of %v", d.life)
		}
		d.opened -= clock.Mono(d.life)
	}
	p.ask(t, u, to, 2)
	old()
	p.ask(t, u, to, 1)
	if n := p.distinct(); n != 2 {
		t.Errorf("%d ports", n)
	}
	kernelOf(u).sweepNow()
	if s := u.Stats(); s.Kept != 1 {
		t.Errorf("closed too early: %+v", s)
	}
	old()
	kernelOf(u).sweepNow()
	if s := u.Stats(); s.Kept != 0 || s.Sockets != 0 {
		t.Errorf("not closed: %+v", s)
	}
}

// The reply to a question on a socket that got too old meanwhile is heard, and
// the socket is closed when next it is drawn.
func TestReplyToASocketThatIsTooOld(t *testing.T) {
	u := onePlace(t)
	to := loopback(t, func(q seen) [][]byte {
		return [][]byte{reply{}.to(q)}
	})
	now := u.opt.Clock.Now()
	d, err := kernelOf(u).dialDatagrams(now, to)
	if err != nil {
		t.Fatal(err)
	}
	s := d.(*datagram)
	s.life = 0
	x := exchange{u: u, q: iterator.Query{Server: to, Name: asked, Type: wire.TypeA}}
	x.begin()
	x.m.compose(u, 1, x.q, x.plan)
	x.socket = socket{u: u, conn: d, at: now}
	if _, err := d.Write(x.m.msg); err != nil {
		t.Fatal(err)
	}
	if got, failure := x.hear(t.Context(), &x.socket); failure != nil || got.fit != fits {
		t.Fatalf("%+v, %v", got, failure)
	}
	port, _ := s.LocalPort()
	again, err := kernelOf(u).dialDatagrams(now, to)
	if err != nil {
		t.Fatal(err)
	}
	defer u.release()
	defer again.Close()
	if p, _ := again.(*datagram).LocalPort(); p == port {
		t.Error("it took another question")
	}
}

// A socket that somebody may have found is not used again: one that heard what
// was not for its question, or anything at all between questions.
func TestSocketThatWasFoundIsNotUsedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		wrong reply
		late  time.Duration
	}{"while it listened": {reply{id: 1}, 0}, "between questions": {reply{}, 20 * time.Millisecond}} {
		t.Run(name, func(t *testing.T) {
			u := onePlace(t)
			var p ports
			pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer pc.Close()
			sent := make(chan struct{}, 2)
			go func() {
				buf := make([]byte, 512)
				for {
					n, from, err := pc.ReadFrom(buf)
					if err != nil {
						return
					}
					v, _ := wire.Read(append([]byte(nil), buf[:n]...))
					q := seen{view: v}
					p.mu.Lock()
					p.all = append(p.all, from.(*net.UDPAddr).AddrPort().Port())
					p.mu.Unlock()
					good, bad := reply{}.to(q), c.wrong.to(q)
					if c.late == 0 {
						good, bad = bad, good
					}
					_, _ = pc.WriteTo(good, from)
					time.Sleep(c.late) // the reply is taken before the rest comes
					_, _ = pc.WriteTo(bad, from)
					sent <- struct{}{}
				}
			}()
			to := pc.LocalAddr().(*net.UDPAddr).AddrPort()
			p.ask(t, u, to, 1)
			<-sent
			for range 1000 { // until the poller saw it
				if d := kernelOf(u).places[0][thePlace].Load(); d == nil || d.stray.Load() {
					break
				}
				time.Sleep(time.Millisecond)
			}
			p.ask(t, u, to, 1)
			if n := p.distinct(); n != 2 {
				t.Errorf("%d ports for two questions", n)
			}
		})
	}
}

// What an earlier server sent is not the next one's reply, whatever it says.
func TestLastServerIsNotHeard(t *testing.T) {
	u := realUpstream(t)
	quiet, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer quiet.Close()
	d := dialReal(t, u, quiet.LocalAddr().(*net.UDPAddr).AddrPort())
	defer d.Close()
	port, err := d.LocalPort()
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		_, _ = quiet.WriteTo([]byte("stale"), net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)))
	}
	d.comes(t)
	d.takeBack() // the sender is done with it
	peer := sockaddrOf(echo(t))
	if err := d.connect(&peer); err != nil {
		t.Fatal(err)
	}
	if p, _ := d.LocalPort(); p != port {
		t.Errorf("the port is %d now, was %d", p, port)
	}
	if _, err := d.Write(make([]byte, 12)); err != nil {
		t.Fatal(err)
	}
	if b, err := d.ReadUntil(t.Context(), u.soon()); len(b) != 12 || err != nil {
		t.Errorf("read %q, %v", b, err)
	}
}

// What ICMP says of one server is not held against the next one on its socket,
// and is seen at once.
func TestPortUnreachableOnKeptSocket(t *testing.T) {
	u := onePlace(t)
	var p ports
	to := p.serve(t)
	closed, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := closed.LocalAddr().(*net.UDPAddr).AddrPort()
	closed.Close()
	for range 5 {
		p.ask(t, u, to, 2)
		at := u.opt.Clock.Now()
		_, err := askReal(t, u, gone, false)
		if took := u.opt.Clock.Now().Sub(at); !errors.Is(err, syscall.ECONNREFUSED) || took > 5*time.Second {
			t.Fatalf("%v after %v", err, took)
		}
	}
	d := dialReal(t, u, gone)
	_, _ = d.Write(make([]byte, 12))
	d.comes(t)
	d.takeBack() // the sender is done with it
	peer := sockaddrOf(echo(t))
	if err := d.connect(&peer); err != nil {
		t.Fatal(err)
	}
	_, _ = d.Write(make([]byte, 12))
	if _, err := d.ReadUntil(t.Context(), u.soon()); err != nil {
		t.Errorf("the next server hears of it: %v", err)
	}
	d.Close()
}

// IPv6 has places of its own, and its sockets go on to other servers alike.
func TestKeptSocketsOverIPv6(t *testing.T) {
	u := onePlace(t)
	var from []netip.AddrPort
	for range 2 {
		pc, err := net.ListenPacket("udp6", "[::1]:0")
		if err != nil {
			t.Skipf("no IPv6: %v", err)
		}
		defer pc.Close()
		d := dialReal(t, u, pc.LocalAddr().(*net.UDPAddr).AddrPort())
		_, _ = d.Write(make([]byte, 12))
		buf := make([]byte, 64)
		_, who, err := pc.ReadFrom(buf)
		if err != nil {
			t.Fatal(err)
		}
		from = append(from, who.(*net.UDPAddr).AddrPort())
		_, _ = pc.WriteTo(buf[:12], who)
		if b, err := d.ReadUntil(t.Context(), u.soon()); len(b) != 12 || err != nil {
			t.Fatalf("%x, %v", b, err)
		}
		if !kernelOf(u).keep(d) || kernelOf(u).places[1][thePlace].Load() != d || kernelOf(u).places[0][thePlace].Load() != nil {
			t.Fatal("not kept in its place")
		}
	}
	if from[0] != from[1] {
		t.Errorf("asked from %v", from)
	}
}

// descriptors counts those that are open.
func descriptors(t *testing.T) int {
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	return len(all)
}

// Every descriptor is given back, in the end and, of those kept, when others
// need it.
func TestDescriptorsGoBack(t *testing.T) {
	to := loopback(t, answers(reply{}, reply{}))
	before := descriptors(t)
	u := New(Options{Clock: clock.New(), Infra: infra.New(infra.Options{}), MaxSockets: 64})
	defer u.Close()
	for range 300 {
		if _, err := askReal(t, u, to, false); err != nil {
			t.Fatal(err)
		}
	}
	s, n := u.Stats(), descriptors(t)-before
	if s.Sockets != s.Kept || s.Kept < 55 || s.Kept > 60 || s.SocketBound != 0 || n != s.Sockets+1 { // one is epoll's
		t.Errorf("%d sockets, %d kept, %d descriptors", s.Sockets, s.Kept, n)
	}
	for kernelOf(u).shed() {
	}
	if s := u.Stats(); s.Sockets != 0 || descriptors(t) != before+1 {
		t.Errorf("%d sockets after they were given up", s.Sockets)
	}
	if _, err := askReal(t, u, to, false); err != nil {
		t.Fatal(err)
	}
	u.Close()
	if n := descriptors(t); n != before {
		t.Errorf("%d descriptors more than before", n-before)
	}
}

// When the process has no descriptor left, one that is kept makes room for
// another socket; without one the question is not sent, and nobody is blamed.
func TestNoDescriptors(t *testing.T) {
	u := realUpstream(t)
	to := loopback(t, answers(reply{}, reply{}))
	if _, err := askReal(t, u, to, false); err != nil {
		t.Fatal(err)
	}
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &was)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	for kernelOf(u).shed() {
	}
	_, err := askReal(t, u, to, false)
	var e *Error
	if !errors.As(err, &e) || e.Result != event.Budget || u.Stats().LocalErrors != 1 || u.Stats().Sockets != 0 {
		t.Errorf("%v, %+v", err, u.Stats())
	}
}

// Few descriptors, few kept.
func TestFewDescriptors(t *testing.T) {
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &was)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 128, Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	to := loopback(t, answers(reply{}, reply{}))
	u := realUpstream(t)
	for range 100 {
		if _, err := askReal(t, u, to, false); err != nil {
			t.Fatal(err)
		}
	}
	if s := u.Stats(); s.Kept != 128/filesShare || s.Sockets != s.Kept {
		t.Errorf("%d sockets, %d kept", s.Sockets, s.Kept)
	}
}

// Many at once, with sockets that end all the time: each question gets its reply.
func TestRetiringUnderLoad(t *testing.T) {
	u := realUpstream(t)
	to := loopback(t, answers(reply{}, reply{}))
	end := make(chan struct{})
	var load, sweeping sync.WaitGroup
	sweeping.Go(func() {
		for {
			select {
			case <-end:
				return
			default:
				kernelOf(u).clear(func(d *datagram) bool { return d.slot%3 == 0 })
			}
		}
	})
	for range 16 {
		load.Go(func() {
			for range 200 {
				if _, err := askReal(t, u, to, false); err != nil {
					t.Error(err)
				}
			}
		})
	}
	load.Wait()
	close(end)
	sweeping.Wait()
	if s := u.Stats(); s.Sockets != s.Kept || s.Replies != 16*200 || s.WrongID+s.WrongQuestion+s.WrongShort != 0 {
		t.Errorf("%+v", s)
	}
}

// Ten thousand questions in flight have a socket each, and their replies come
// in any order.
func TestTenThousandInFlight(t *testing.T) {
	const n = 10_000
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil || files.Cur < n+500 {
		t.Skipf("%d descriptors, %v", files.Cur, err)
	}
	var mu sync.Mutex
	var all []seen
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	_ = pc.(*net.UDPConn).SetReadBuffer(8 << 20)
	to := pc.LocalAddr().(*net.UDPAddr).AddrPort()
	u := New(Options{Clock: clock.New(), Infra: infra.New(infra.Options{}), MaxSockets: n + 200})
	defer u.Close()
	go func() {
		buf := make([]byte, 512)
		for {
			k, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			v, _ := wire.Read(append([]byte(nil), buf[:k]...))
			mu.Lock()
			if all = append(all, seen{view: v, from: from.(*net.UDPAddr).AddrPort()}); len(all) == n {
				rand.Shuffle(n, func(i, j int) { all[i], all[j] = all[j], all[i] })
				for i, q := range all {
					_, _ = pc.WriteTo(reply{}.to(q), net.UDPAddrFromAddrPort(q.from))
					if i%50 == 0 {
						runtime.Gosched()
					}
				}
			}
			mu.Unlock()
		}
	}()
	var load sync.WaitGroup
	var failed atomic.Int64
	for range n {
		load.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			if _, err := u.Exchange(ctx, iterator.Query{Server: to, Name: asked, Type: wire.TypeA}); err != nil {
				failed.Add(1)
			}
		})
	}
	load.Wait()
	if s := u.Stats(); failed.Load() != 0 || s.Replies != n || s.SocketBound != 0 || s.Sockets != s.Kept || s.Kept > places {
		t.Errorf("%d failed: %+v", failed.Load(), s)
	}
}

// BenchmarkSocket is what a question pays for its socket: one of its own, as when
// no place has one, against one that is kept, connected to the same server or to
// another.
func BenchmarkSocket(b *testing.B) {
	to := [2]netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:9"), netip.MustParseAddrPort("127.0.0.2:9")}
	for name, c := range map[string]struct{ keep, alternate int }{"new": {0, 0}, "kept": {1, 0}, "kept-other-server": {1, 1}} {
		b.Run(name, func(b *testing.B) {
			k := newKernel(new(entropy).Read, clock.New(), func() bool { return true }, func() {})
			defer k.close()
			if c.keep == 0 {
				k.room = 0
			}
			once := func(i int) {
				d, err := k.dialDatagrams(k.clock.Now(), to[i*c.alternate&1])
				if err != nil {
					b.Fatal(err)
				}
				if !k.keep(d) {
					_ = d.Close()
				}
			}
			for i := range c.keep * 20 * places {
				once(i)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				once(i)
				i++
			}
		})
	}
}
