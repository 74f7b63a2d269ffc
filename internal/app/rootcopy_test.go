package app

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lastgood/internal/authority"
	"lastgood/internal/clock"
	"lastgood/internal/config"
	"lastgood/internal/control"
	"lastgood/internal/dnsname"
	"lastgood/internal/event"
	"lastgood/internal/iterator"
	"lastgood/internal/rootzone"
	"lastgood/internal/wire"
)

// rootPlan signs the root of the tests, with the words given.
func rootPlan(t *testing.T, words ...string) *authority.Plan {
	t.Helper()
	plan, err := authority.ParsePlan(dnsname.Root, append([]string{"zonemd"}, words...))
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// signedRoot makes a root zone of a serial, signed as of now.
func signedRoot(t *testing.T, serial int, words ...string) *authority.Zone {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "@ 3600 SOA ns. admin. %d 7200 900 604800 300\n@ NS ns.\nns. A 192.0.2.1\n", serial)
	for i := range 50 {
		fmt.Fprintf(&b, "tld%d. NS ns.tld%[1]d.\nns.tld%[1]d. A 192.0.2.2\n", i)
	}
	z, err := authority.ParseZone(".", "root", strings.NewReader(b.String()))
	if err == nil {
		z, err = rootPlan(t, words...).Sign(z, time.Now())
	}
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// zoneText is a zone as a file has it.
func zoneText(z *authority.Zone) string {
	var b strings.Builder
	for _, r := range z.Records() {
		b.WriteString(r.String() + "\n")
	}
	return b.String()
}

// stage is an app whose network is two servers, each a function of the query that
// gives the messages to send.
type stage struct {
	*App
	log     safeLog
	mu      sync.Mutex // guards what follows
	servers map[netip.Addr]func(query []byte) [][]byte
	state   string
}

// safeLog keeps what is logged.
type safeLog struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *safeLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *safeLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

var (
	firstGiver  = netip.MustParseAddr("192.0.2.7")
	secondGiver = netip.MustParseAddr("192.0.2.8")
)

// newStage prepares an app that asks both, the first one first.
func newStage(t *testing.T, state string) *stage {
	t.Helper()
	return newStageAt(t, clock.New(), state)
}

// newStageAt is newStage by another clock.
func newStageAt(t *testing.T, c *clock.Clock, state string) *stage {
	t.Helper()
	conf, err := config.Parse("test", []byte(`root-zone: {mode: local, sources: ["192.0.2.7", "192.0.2.8"]}`))
	if err != nil {
		t.Fatal(err)
	}
	ds, err := rootPlan(t).DS()
	if err != nil {
		t.Fatal(err)
	}
	conf.DNSSEC.TrustAnchors = []string{ds[0].String()}
	s := &stage{servers: map[netip.Addr]func([]byte) [][]byte{}, state: state}
	if s.App, err = New(Options{Config: conf, Clock: c, Log: slog.New(slog.NewTextHandler(&s.log, nil)), Upstream: s, Seed: 1, State: state}); err != nil {
		t.Fatal(err)
	}
	return s
}

// run keeps the copy for so long.
func (s *stage) run(d time.Duration) {
	ctx, end := context.WithCancel(context.Background())
	s.startRoot(ctx)
	time.Sleep(d)
	end()
	s.tasks.Wait()
}

func (s *stage) DialUDP(context.Context, netip.AddrPort) (net.Conn, error) {
	return nil, errors.New("no datagrams here")
}

func (s *stage) DialTCP(_ context.Context, to netip.AddrPort) (net.Conn, error) {
	s.mu.Lock()
	react := s.servers[to.Addr()]
	s.mu.Unlock()
	if react == nil {
		return nil, errors.New("nobody is there")
	}
	here, there := net.Pipe()
	go func() {
		defer there.Close()
		var size [2]byte
		if _, err := io.ReadFull(there, size[:]); err != nil {
			return
		}
		query := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(there, query); err != nil {
			return
		}
		for _, m := range react(query) {
			if _, err := there.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...)); err != nil {
				return
			}
		}
	}()
	return here, nil
}

// honest gives transfers of a zone, and of what it was before.
func honest(zones ...*authority.Zone) func([]byte) [][]byte {
	a := authority.NewServer(authority.Options{Transfers: true})
	for _, z := range zones {
		a.SetZone(z)
	}
	return func(query []byte) [][]byte {
		re := a.Handle(query, event.TCP, netip.AddrPort{}, nil)
		return append([][]byte{re.Reply}, re.More...)
	}
}

// said is one message with these records.
func said(query []byte, records ...authority.Record) []byte {
	v, _ := wire.Read(query)
	q, _ := v.Question()
	var b wire.Builder
	b.Reset(nil, wire.MaxMessage, wire.Header{ID: v.ID(), Response: true, AA: true})
	b.Question(dnsname.Alias(q.Name), q.Type, q.Class)
	for _, r := range records {
		b.Record(wire.AnswerSection, r.Name, r.Type, wire.ClassIN, r.TTL, r.Data)
	}
	return b.Bytes()
}

// transfer is what a source gives, and what is said of it.
type transfer struct {
	name, want string
	react      func(query []byte) [][]byte
}

// hostile are transfers of a zone, its SOA record an older one's and the rest, that
// nobody must take.
func hostile(soa, older authority.Record, rest []authority.Record) []transfer {
	all := func(first, last authority.Record) []authority.Record {
		return slices.Concat([]authority.Record{first}, rest, []authority.Record{last})
	}
	address := func(i int) authority.Record {
		return authority.Record{Name: dnsname.MustParse(fmt.Sprintf("n%d.tld1.", i)), Type: wire.TypeA, TTL: 60, Data: []byte{192, 0, 2, 1}}
	}
	return []transfer{
		{"endless", "more than 150000 records", func(q []byte) [][]byte {
			messages := [][]byte{said(q, soa)}
			for i := range 200 {
				var many []authority.Record
				for k := range 1000 {
					many = append(many, address(1000*i+k))
				}
				messages = append(messages, said(q, many...))
			}
			return messages
		}},
		{"no octet", "EOF", func([]byte) [][]byte { return nil }},
		{"empty messages", "a message has no records", func(q []byte) [][]byte { return [][]byte{said(q, soa), said(q)} }},
		{"another beginning", "does not begin with the zone's SOA record", func(q []byte) [][]byte { return [][]byte{said(q, all(rest[0], soa)...)} }},
		{"another end", "its last SOA record is not its first", func(q []byte) [][]byte { return [][]byte{said(q, all(soa, older)...)} }},
		{"records behind the end", "records behind the end", func(q []byte) [][]byte { return [][]byte{said(q, append(all(soa, soa), address(1))...)} }},
		{"octets behind the end", "octets behind the end", func(q []byte) [][]byte { return [][]byte{append(said(q, all(soa, soa)...), 0)} }},
		{"a record more", "is not what its ZONEMD record says", func(q []byte) [][]byte {
			return [][]byte{said(q, slices.Concat([]authority.Record{soa}, rest, []authority.Record{address(1), soa})...)}
		}},
		{"a record less", "is not what its ZONEMD record says", func(q []byte) [][]byte {
			without := slices.DeleteFunc(all(soa, soa), func(r authority.Record) bool { return r.Name == dnsname.MustParse("ns.tld7.") })
			return [][]byte{said(q, without...)}
		}},
		{"refused", "answered with REFUSED", func(q []byte) [][]byte {
			m := said(q)
			m[3] |= byte(wire.RcodeRefused)
			return [][]byte{m}
		}},
		{"another question", "not a reply to the request", func(q []byte) [][]byte {
			m := said(q, all(soa, soa)...)
			m[wire.HeaderLen+2] = byte(wire.TypeSOA)
			return [][]byte{m}
		}},
		{"another id", "belongs to another query", func(q []byte) [][]byte {
			m := said(q, all(soa, soa)...)
			m[1] ^= 1
			return [][]byte{m}
		}},
	}
}

// TestHostileTransfers: what a source must not do is refused and said, and the next
// source gives the zone.
func TestHostileTransfers(t *testing.T) {
	var soa, older authority.Record
	var rest []authority.Record
	synctest.Test(t, func(t *testing.T) { // signatures are of the bubble's time
		for _, r := range signedRoot(t, 7).Records() {
			if r.Type == wire.TypeSOA {
				soa = r
			} else {
				rest = append(rest, r)
			}
		}
		for _, r := range signedRoot(t, 6).Records() {
			if r.Type == wire.TypeSOA {
				older = r
			}
		}
	})
	for _, test := range hostile(soa, older, rest) {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, "")
				s.servers[firstGiver], s.servers[secondGiver] = test.react, honest(signedRoot(t, 7))
				s.run(time.Minute)
				z := s.RootZone()
				if !z.Usable || z.Serial != 7 || z.Source != "tcp://192.0.2.8:53" || z.Failures != 1 || !strings.Contains(z.Sources[0].Failure, test.want) {
					t.Errorf("%+v", z)
				}
				if text := s.log.String(); !strings.Contains(text, test.want) || !strings.Contains(text, "source=tcp://192.0.2.7:53") {
					t.Errorf("the log does not say %q: %s", test.want, text)
				}
			})
		})
	}
}

// TestClockSet: what was refused for a clock that was wrong is fetched as soon as the
// clock is set, not when the pause of sources that failed is over.
func TestClockSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var shift clock.Shift
		shift.Step(-365 * 24 * time.Hour)
		s := newStageAt(t, clock.Simulated(&shift), "")
		s.servers[firstGiver], s.servers[secondGiver] = honest(signedRoot(t, 7)), honest(signedRoot(t, 7))
		ctx, end := context.WithCancel(t.Context())
		s.startRoot(ctx)
		time.Sleep(20 * time.Minute)
		if z := s.RootZone(); z.Usable || z.Failures == 0 {
			t.Errorf("by a clock that is a year behind: %+v", z)
		}
		shift.Step(365 * 24 * time.Hour)
		time.Sleep(rootNap + time.Second)
		if z := s.RootZone(); !z.Usable {
			t.Errorf("as soon as it was set: %+v", z)
		}
		before := s.RootZone()
		shift.Step(time.Hour)
		time.Sleep(rootNap + time.Second)
		if after := s.RootZone(); after.Confirmed != before.Confirmed || after.Failures != before.Failures {
			t.Errorf("asked though nothing had failed: %+v, %+v", before, after)
		}
		end()
		s.tasks.Wait()
	})
}

// TestMixedCase: letters' case is no part of names, so the zone is the same; but of
// what NSEC records lead to it is (RFC 6840 §5.1).
func TestMixedCase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "")
		z := signedRoot(t, 7)
		s.servers[firstGiver] = func(query []byte) (messages [][]byte) {
			var soa authority.Record
			var rest []authority.Record
			for _, r := range z.Records() {
				if r.Type == wire.TypeSOA {
					soa = r
				} else {
					rest = append(rest, r)
				}
			}
			for _, r := range slices.Concat([]authority.Record{soa}, rest, []authority.Record{soa}) {
				m := said(query, r)
				if r.Type != wire.TypeNSEC {
					m = bytes.ReplaceAll(m, []byte("tld"), []byte("TlD"))
				}
				messages = append(messages, m)
			}
			return messages
		}
		s.run(time.Second)
		if z := s.RootZone(); !z.Usable || z.Failures > 0 {
			t.Errorf("%+v", z)
		}
	})
}

// TestGaps: differences that do not begin with what is held are not taken; the same
// source gives the whole.
func TestGaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "")
		zones := []*authority.Zone{signedRoot(t, 7), signedRoot(t, 8), signedRoot(t, 9)}
		newest := honest(zones...)
		s.servers[firstGiver] = honest(zones[0])
		ctx, end := context.WithCancel(context.Background())
		s.startRoot(ctx)
		time.Sleep(time.Minute)
		var asked []wire.Type
		s.mu.Lock()
		s.servers[firstGiver] = func(query []byte) [][]byte {
			s.mu.Lock()
			defer s.mu.Unlock()
			v, _ := wire.Read(query)
			q, _ := v.Question()
			if asked = append(asked, q.Type); q.Type == wire.TypeAXFR {
				return newest(query)
			}
			soas := map[uint32]authority.Record{}
			for _, z := range zones {
				for _, r := range z.Records() {
					if r.Type == wire.TypeSOA {
						soas[z.Serial()] = r
					}
				}
			}
			return [][]byte{said(query, soas[9], soas[8], soas[9], soas[9])}
		}
		s.mu.Unlock()
		time.Sleep(2 * time.Hour)
		end() // before the lock is taken: whoever dials wants it, and a mutex is nothing that a bubble sees through
		s.tasks.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		if z := s.RootZone(); z.Serial != 9 || z.Source != "tcp://192.0.2.7:53" || !slices.Equal(asked, []wire.Type{wire.TypeIXFR, wire.TypeAXFR}) {
			t.Errorf("%+v, asked for %v", z, asked)
		}
		if !strings.Contains(s.log.String(), "the differences do not fit: they are from serial 8, not 7") {
			t.Error(s.log.String())
		}
	})
}

// TestStoredRoot: a damaged or foreign file is refused and replaced.
func TestStoredRoot(t *testing.T) {
	for _, test := range []struct {
		name, want string
		spoil      func(b []byte) []byte
	}{
		{"whole", "the stored root zone was verified", func(b []byte) []byte { return b }},
		{"a bit", "wrong checksum", func(b []byte) []byte { b[len(b)/2] ^= 1; return b }},
		{"half", "the stored root zone is damaged", func(b []byte) []byte { return b[:len(b)/2] }},
		{"another file", "not a stored root zone", func([]byte) []byte { return []byte("no zone") }},
		{"huge", "not a stored root zone", func(b []byte) []byte { return append(b, make([]byte, rootzone.MaxFile)...) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, dir)
				s.servers[firstGiver] = honest(signedRoot(t, 7))
				s.run(time.Second)
				path := filepath.Join(dir, rootFile)
				b, err := os.ReadFile(path)
				if err != nil || !s.RootZone().Stored {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, test.spoil(b), 0o600); err != nil {
					t.Fatal(err)
				}
				again := newStage(t, dir)
				again.run(time.Second) // nobody is there
				if z := again.RootZone(); z.Usable != (test.name == "whole") || z.Stored != z.Usable {
					t.Errorf("%+v", z)
				}
				if !strings.Contains(again.log.String(), test.want) {
					t.Error(again.log.String())
				}
				again = newStage(t, dir)
				again.servers[secondGiver] = honest(signedRoot(t, 8))
				again.run(3 * time.Hour)
				if z := again.RootZone(); !z.Usable || z.Serial != 8 {
					t.Errorf("%+v", z)
				}
			})
		})
	}
}

// TestRootAnswers: only questions to the root's own servers are answered, with
// signatures when answers are validated.
func TestRootAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "")
		s.servers[firstGiver] = honest(signedRoot(t, 7))
		junk := iterator.Query{Zone: dnsname.Root, Name: dnsname.MustParse("junk."), Type: wire.TypeA}
		if _, ok := s.root.answer(&junk); ok {
			t.Error("answered without a zone")
		}
		s.run(time.Second)
		r, ok := s.root.answer(&junk)
		if !ok || r.View.Rcode() != wire.RcodeNXDomain || r.Transport != event.Local || r.At == 0 {
			t.Fatalf("%v %+v", ok, r)
		}
		signed := false
		for c := r.View.Records(); c.Next(); {
			signed = signed || c.Record().Type == wire.TypeRRSIG
		}
		if !signed {
			t.Error("without signatures")
		}
		forwarded, below := junk, junk
		forwarded.RD = true
		below.Zone = dnsname.MustParse("tld1.")
		signal := iterator.Query{Zone: dnsname.Root, Name: dnsname.MustParse("_ta-4f66."), Type: wire.TypeNULL}
		for _, q := range []iterator.Query{forwarded, below, signal} {
			if _, ok := s.root.answer(&q); ok {
				t.Errorf("answered %+v", q)
			}
		}
		if z := s.RootZone(); z.Answers != 1 || z.Fallbacks != 1 {
			t.Errorf("%+v", z)
		}
		counts := map[string]float64{}
		s.gather(func(m control.Metric) { counts[m.Name+strings.Join(m.Labels, "")] = m.Value })
		if counts["lastgood_root_zone_usable"] != 1 || counts["lastgood_root_zone_serial"] != 7 || counts["lastgood_root_zone_questions_totalbycopy"] != 1 {
			t.Errorf("%v", counts)
		}
	})
}

// TestNoAnchor: without a trust anchor of the root nothing is believed.
func TestNoAnchor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "")
		s.servers[firstGiver] = honest(signedRoot(t, 7))
		s.root.anchor = func(time.Time) rootzone.Anchor { return nil }
		s.run(time.Second)
		if z := s.RootZone(); z.Usable || !strings.Contains(s.log.String(), "there is no trust anchor of the root") {
			t.Errorf("%+v %s", z, s.log.String())
		}
	})
}
