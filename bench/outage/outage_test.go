package main

import (
	"encoding/binary"
	"encoding/xml"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// The reply of the authority, with an extended error put in, is read as it was meant.
func TestReplyIsRead(t *testing.T) {
	z := &zone{200, 5}
	now := time.Now()
	query := appendQuery(nil, 4711, "n123."+zoneName)
	copy(query[headerSize:], "\x04N123") // letters are repeated as they came
	msg := z.answer(query, now)
	r, err := parseReply(msg)
	if err != nil {
		t.Fatal(err)
	}
	if r.id != 4711 || r.rcode != 0 || r.name != 123 || !r.found || r.ttl != 5 || r.stale || r.truncated || r.address != address(123, generation(now)) {
		t.Errorf("%+v", r)
	}
	if got := string(msg[headerSize : headerSize+5]); got != "\x04N123" {
		t.Errorf("question %q", got)
	}
	for _, c := range []struct {
		codes []byte
		stale bool
		cause uint16
	}{{[]byte{3}, true, 0}, {[]byte{22, 3}, true, 22}, {[]byte{19}, true, 0}, {[]byte{22, 23}, false, 22}, {nil, false, 0}} {
		var options []byte
		for _, code := range c.codes {
			options = append(options, 0, optionEDE, 0, 4, 0, code, 'h', 'i')
		}
		with := append(append([]byte(nil), msg...), options...)
		binary.BigEndian.PutUint16(with[len(msg)-2:], uint16(len(options)))
		if r, err := parseReply(with); err != nil || r.stale != c.stale || r.cause != c.cause {
			t.Errorf("codes %v: stale %v cause %d, %v", c.codes, r.stale, r.cause, err)
		}
	}
	for n := range msg {
		if _, err := parseReply(msg[:n]); err == nil {
			t.Errorf("%d of %d octets are a reply", n, len(msg))
		}
	}
}

func TestAuthority(t *testing.T) {
	z := &zone{200, 5}
	for _, c := range []struct {
		name    string
		qtype   uint16
		rcode   int
		answers byte
	}{
		{"n199.bench.", typeA, 0, 1}, {"n199.bench.", 28, 0, 0}, {"n200.bench.", typeA, rcodeNXDomain, 0}, {"ns.bench.", typeA, 0, 1},
		{"bench.", typeSOA, 0, 1}, {"bench.", typeNS, 0, 1}, {"bench.", typeA, 0, 0}, {"a.n1.bench.", typeA, rcodeNXDomain, 0},
		{".", typeNS, rcodeRefused, 0}, {"notbench.", typeA, rcodeRefused, 0},
	} {
		query := appendQuery(nil, 1, c.name)
		binary.BigEndian.PutUint16(query[len(query)-15:], c.qtype)
		msg := z.answer(query, time.Now())
		r, err := parseReply(msg)
		if err != nil || r.rcode != c.rcode || msg[7] != c.answers || msg[11] != 1 {
			t.Errorf("%s %d: %+v, %d answers, %v", c.name, c.qtype, r, msg[7], err)
		}
	}
	if z.answer([]byte("no question"), time.Now()) != nil {
		t.Error("what is no question is answered")
	}
	r, err := parseReply(errorReply(appendQuery(nil, 9, "n7.bench."), rcodeServFail))
	if err != nil || r.id != 9 || r.rcode != rcodeServFail || r.name != 7 || r.found {
		t.Errorf("SERVFAIL: %+v, %v", r, err)
	}
}

// The generation tells to a tick when an address was made, also across its end.
func TestGeneration(t *testing.T) {
	for _, ago := range []time.Duration{0, time.Second, 90 * time.Second, 100 * time.Minute} {
		for _, now := range []time.Time{time.Unix(1_800_000_000, 12345), time.Unix(0, 65536*int64(tick)+int64(30*time.Second))} {
			then := now.Add(-ago)
			got := time.Unix(0, made(address(3, generation(then)), now.UnixNano()))
			if late := then.Sub(got); late < 0 || late >= tick {
				t.Errorf("made %v ago seems to be %v earlier", ago, late)
			}
		}
	}
}

func TestNameNumber(t *testing.T) {
	for name, want := range map[string]int{"n0.bench.": 0, "N17.BENCH.": 17, "ns.bench.": -1, "n1.bench.example.": -1, "n.bench.": -1, "x1.bench.": -1, "bench.": -1, "n-1.bench.": -1} {
		if got := nameNumber(appendName(nil, name)); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
}

func TestArrival(t *testing.T) {
	for _, a := range []arrival{{1_800_000_000_123_456_789, false}, {5, true}} {
		if got, err := parseArrival(a.String() + "\n"); err != nil || got != a {
			t.Errorf("%v is read as %v, %v", a, got, err)
		}
	}
	for _, line := range []string{"", "12", "x udp", "12 sctp"} {
		if _, err := parseArrival(line); err == nil {
			t.Errorf("%q is an arrival", line)
		}
	}
}

func TestQuantiles(t *testing.T) {
	var list []time.Duration
	for i := range 1000 {
		list = append(list, time.Duration(1000-i))
	}
	if a, b, c := quantiles(list); a != 500 || b != 990 || c != 1000 {
		t.Errorf("%d %d %d", a, b, c)
	}
	if a, b, c := quantiles([]time.Duration{7}); a != 7 || b != 7 || c != 7 {
		t.Errorf("%d %d %d", a, b, c)
	}
}

func usual() *options {
	o, err := parse(nil)
	if err != nil {
		panic(err)
	}
	return o
}

// The names enter evenly, and the questions are evenly spaced.
func TestSchedule(t *testing.T) {
	o := usual()
	list := schedule(o, rand.New(rand.NewPCG(1, 1)), 40*time.Second)
	if len(list) != 16000 {
		t.Fatalf("%d questions", len(list))
	}
	seen := make(map[int]time.Duration)
	for i, q := range list {
		if q.due != time.Duration(i)*2500*time.Microsecond || q.name < 0 || q.name >= o.names {
			t.Fatalf("question %d: %v n%d", i, q.due, q.name)
		}
		if _, ok := seen[q.name]; !ok {
			seen[q.name] = q.due
		}
	}
	for name, at := range seen {
		if entered := time.Duration(name) * o.enter / time.Duration(o.names-1); at < entered || at > entered+6*time.Second {
			t.Errorf("n%d is first asked for at %v, entered at %v", name, at, entered)
		}
	}
	if len(seen) != o.names {
		t.Errorf("%d names", len(seen))
	}
}

// ideal is a run as it should be: answers expire in the outage, are stale at
// once, and fresh within a second of the return.
func ideal() *record {
	o := usual()
	s := &server{name: "lastgood", grace: fineGrace}
	r := &record{trial: trial{server: s, authority: ownAuthority, kind: silence, number: 1}, o: o, began: 1_800_000_000 * int64(time.Second)}
	r.stop, r.back = 42*time.Second, 72*time.Second
	r.questions = schedule(o, rand.New(rand.NewPCG(1, 1)), r.back+o.after)
	stored := make([]time.Duration, o.names)
	for i := range stored {
		stored[i] = -time.Hour
	}
	for i := range r.questions {
		q := &r.questions[i]
		q.sent = q.due + 20*time.Microsecond
		wait := 100 * time.Microsecond
		old := q.sent-stored[q.name] >= o.ttl
		if out := q.sent >= r.stop && q.sent < r.back+time.Second; old && !out {
			wait, old, stored[q.name] = 600*time.Microsecond, false, q.sent
		}
		q.received = q.sent + wait
		at := time.Unix(0, r.began+int64(stored[q.name]))
		q.reply = reply{name: q.name, found: true, ttl: 5, address: address(q.name, generation(at)), stale: old}
	}
	for i := range 31 {
		r.arrivals = append(r.arrivals, arrival{at: r.began + int64(r.stop+time.Duration(i)*time.Second+500*time.Millisecond)})
	}
	return r
}

func TestIdealRunHolds(t *testing.T) {
	f := ideal().figures()
	for _, v := range f.judge(false) {
		if !v.ok {
			t.Errorf("%s: %s, bound %s", v.what, v.found, v.bound)
		}
	}
	if f.outage.asked != 12000 || f.outage.stale < 9000 || f.said < f.old || f.said-f.old > f.margin || f.margin > 1000 {
		t.Errorf("%d asked, %d stale; %d said, %d old, %d between", f.outage.asked, f.outage.stale, f.said, f.old, f.margin)
	}
	if f.upstreamFirst != 1 || f.upstreamMost != 1 || f.upstreamMean != 1 {
		t.Errorf("upstream %d, %d, %v", f.upstreamFirst, f.upstreamMost, f.upstreamMean)
	}
	if f.first < time.Second || f.first > 1100*time.Millisecond || f.last < 800*time.Millisecond || f.last > time.Second {
		t.Errorf("first fresh %v, last stale %v", f.first, f.last)
	}
}

// Each target notices what breaks it, and nothing else does.
func TestJudgeSeesFaults(t *testing.T) {
	const broken = "extended errors and data that contradict each other"
	in := func(r *record, from, to time.Duration, change func(q *question)) {
		for i := range r.questions {
			if q := &r.questions[i]; q.due >= from && q.due < to {
				change(q)
			}
		}
	}
	for name, c := range map[string]struct {
		change func(r *record)
		fails  []string
	}{
		"one SERVFAIL": {func(r *record) {
			in(r, r.stop+time.Second, r.stop+1002*time.Millisecond, func(q *question) { q.reply.rcode = 2 })
		}, []string{"good answers in the outage"}},
		"no answer": {func(r *record) {
			in(r, r.stop+time.Second, r.stop+1002*time.Millisecond, func(q *question) { q.received = 0 })
		}, []string{"good answers in the outage"}},
		"an answer for another name": {func(r *record) {
			in(r, r.stop+time.Second, r.stop+1002*time.Millisecond, func(q *question) { q.reply.address[1]++ })
		}, []string{"good answers in the outage"}},
		"slow": {func(r *record) {
			in(r, r.stop+time.Second, r.stop+2*time.Second, func(q *question) { q.received = q.sent + 2*time.Millisecond })
		}, []string{"p99 in the outage"}},
		"some wait": {func(r *record) {
			in(r, r.stop+time.Second, r.stop+1052500*time.Microsecond, func(q *question) { q.received += 11 * time.Millisecond })
		}, []string{"questions of the outage that waited more than 10 ms"}},
		"stale in health": {func(r *record) {
			in(r, 30*time.Second, 30002*time.Millisecond, func(q *question) { q.reply.stale = true; q.reply.address = address(q.name, q.reply.generation()-100) })
		}, []string{"stale answers while healthy"}},
		"stale long after": {func(r *record) {
			in(r, r.back+4*time.Second, r.back+4002*time.Millisecond, func(q *question) { q.reply.stale = true; q.reply.address = address(q.name, q.reply.generation()-100) })
		}, []string{"last stale answer after the return"}},
		"never fresh": {func(r *record) {
			in(r, r.back, r.back+time.Hour, func(q *question) { q.reply.rcode = 2 })
		}, []string{"first fresh answer after the return"}},
		"old, not said": {func(r *record) {
			in(r, r.stop+20*time.Second, r.stop+20002*time.Millisecond, func(q *question) { q.reply.stale = false })
		}, []string{broken}},
		"said, not old": {func(r *record) {
			in(r, r.stop+100*time.Millisecond, r.stop+300*time.Millisecond, func(q *question) { q.reply.stale = true })
		}, []string{broken}},
		"busy upstream": {func(r *record) {
			for range 3 {
				r.arrivals = append(r.arrivals, arrival{at: r.began + int64(r.stop+1600*time.Millisecond), tcp: true})
			}
		}, []string{"queries to the authority, worst second after the first"}},
		"busy in the first second": {func(r *record) {
			for range 300 {
				r.arrivals = append(r.arrivals, arrival{at: r.began + int64(r.stop+600*time.Millisecond)})
			}
		}, nil},
		"late generator": {func(r *record) {
			in(r, r.back, r.back+2*time.Second, func(q *question) { q.sent += 2 * time.Millisecond; q.received += 2 * time.Millisecond })
		}, []string{"generator's lateness, p99"}},
	} {
		r := ideal()
		c.change(r)
		var failed []string
		for _, v := range r.figures().judge(false) {
			if !v.ok {
				failed = append(failed, v.what)
			}
		}
		if strings.Join(failed, "|") != strings.Join(c.fails, "|") {
			t.Errorf("%s: fails %q, want %q", name, failed, c.fails)
		}
	}
}

func (r *reply) generation() uint16 { return binary.BigEndian.Uint16(r.address[2:]) }

// With NSD staleness shows by what the server says, by a raised TTL, or not at all.
func TestNSDRun(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(q *question)
		visible bool
	}{
		"extended error": {func(*question) {}, true},
		"TTL": {func(q *question) {
			if q.reply.stale {
				q.reply.stale, q.reply.ttl = false, 30
			}
		}, true},
		"nothing": {func(q *question) { q.reply.stale = false }, false},
	} {
		r := ideal()
		r.authority = nsd
		for i := range r.questions {
			c.change(&r.questions[i])
		}
		f := r.figures()
		if visible := f.last >= 800*time.Millisecond && f.last <= time.Second && f.outage.stale > 9000; visible != c.visible {
			t.Errorf("%s: last stale %v, %d in the outage", name, f.last, f.outage.stale)
		}
		if hidden := f.first == unseen && f.last == unseen; hidden == c.visible {
			t.Errorf("%s: first fresh %s, last stale %s", name, moment(f.first), moment(f.last))
		}
	}
}

func TestKilledRun(t *testing.T) {
	r := ideal()
	r.killed, r.restart = true, r.stop+15*time.Second
	lose := func(from, to time.Duration) bool {
		for i := range r.questions {
			if q := &r.questions[i]; q.due >= from && q.due < to {
				q.received = 0
			}
		}
		return passed(r.figures().judge(true))
	}
	if !lose(r.restart, r.restart+time.Second) {
		t.Error("the first second counts")
	}
	if !lose(r.restart+2*time.Second, r.restart+2100*time.Millisecond) {
		t.Error("less than 1 % fails")
	}
	if lose(r.restart+3*time.Second, r.restart+3100*time.Millisecond) {
		t.Error("more than 1 % passes")
	}
}

func TestShownFigures(t *testing.T) {
	for v, want := range map[float64]string{1: "100.00 %", 0.99999: "99.99 %", 0.87: "87.00 %", 0: "0.00 %"} {
		if got := percent(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
	for d, want := range map[time.Duration]string{0: "0s", 123456: "123µs", 1234567: "1.23ms", 378_400_000: "378ms", 1_513_000_000: "1.51s", 12_345_000_000: "12.3s"} {
		if got := short(d); got != want {
			t.Errorf("%d: %s, want %s", d, got, want)
		}
	}
}

// The chart is well-formed, and the report has a line for every target.
func TestReport(t *testing.T) {
	r := ideal()
	b := &bench{o: r.o, found: []*server{r.server}, records: []*record{r}}
	b.o.kinds = []string{silence}
	text, ok := b.markdown()
	if !ok {
		t.Error("an ideal run fails")
	}
	for _, v := range r.figures().judge(false) {
		if !strings.Contains(text, "| "+v.what+" | "+v.bound+" | "+v.found+" | holds |") {
			t.Errorf("no line for %s in\n%s", v.what, text)
		}
	}
	picture := chart(silence, b.groups(silence, ownAuthority))
	for d := xml.NewDecoder(strings.NewReader(picture)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{`class="fresh" d=`, `class="stale" d=`, `class="p99" points=`, "prefers-color-scheme:dark", "100.00 % good"} {
		if !strings.Contains(picture, want) {
			t.Errorf("the chart has no %s", want)
		}
	}
	if strings.Contains(picture, `class="nothing" d=`) {
		t.Error("the chart shows failures of a run without any")
	}
}

func TestOptions(t *testing.T) {
	for _, args := range []string{"-kinds flood", "-names 251", "-ttl 1s", "-ttl 2500ms", "-healthy 20s", "-outage 1s", "-runs -1", "-rate 1000000"} {
		if _, err := parse(strings.Fields(args)); err == nil {
			t.Errorf("%s is taken", args)
		}
	}
	o, err := parse([]string{"-kill", "-runs", "3"})
	if err != nil || len(o.servers) != 1 || len(o.kinds) != 1 || o.nsdRuns != 0 {
		t.Errorf("%+v, %v", o, err)
	}
}
