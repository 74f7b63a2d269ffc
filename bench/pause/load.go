package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"lastgood/bench/filling"
	"lastgood/bench/openloop"
)

// kind is what happens during a measurement.
type kind struct {
	name   string
	news   int  // every so manieth question is for a name that nobody asked for; 0: none
	saving bool // the cache is saved meanwhile
}

// kinds are those that letters are of. Every hundredth is new: at half of capacity more
// is lost to what is under way upstream.
func kinds(letters string) (list []kind) {
	for _, k := range []kind{{name: "cached names"}, {name: "and new ones, for which others go", news: 100}, {name: "while the cache is saved", saving: true}} {
		if strings.Contains(letters, k.name[:1]) {
			list = append(list, k)
		}
	}
	return list
}

const (
	probeRate    = 1000 // questions a second
	loadSockets  = 64
	loadBatch    = 4 // questions of one socket at once
	capacityRate = 1_000_000
)

// wait is what a measurement tells.
type wait struct {
	longest, p9999, p999, p50 time.Duration
	late                      time.Duration // the most that this program was late to ask
	lost, wrong               int
	rate                      float64 // replies a second
	evicted, collections      float64
	saves                     float64
	collected                 time.Duration // the longest stop of all by the collector, among the last 256
}

// questions makes the load's: names that are there, in no order, and new ones between.
type questions struct {
	names, news int
	turn        int
	rand        *rand.Rand
	epoch       int64 // of new names
}

func (q *questions) next(b []byte) []byte {
	label := append(make([]byte, 0, 24), 'n')
	if q.turn++; q.news > 0 && q.turn%q.news == 0 {
		label = strconv.AppendInt(append(strconv.AppendInt(append(label[:0], 'x'), q.epoch, 36), '-'), int64(q.turn), 36)
	} else {
		label = strconv.AppendInt(label, q.rand.Int64N(int64(q.names)), 10)
	}
	return filling.Question(b, 0, string(label))
}

// capacity is how many questions a second it answers when it is asked as many as there can be.
func capacity(ctx context.Context, names int) (float64, error) {
	q := &questions{names: names, rand: rand.New(rand.NewPCG(1, 1))}
	got, err := openloop.Load{Addr: netip.MustParseAddrPort(resolverAddr), Sockets: loadSockets, Rate: capacityRate, Batch: openloop.Batch, Next: q.next}.Run(ctx, 3*time.Second)
	if err != nil {
		return 0, err
	}
	return float64(got.Replies()) / got.Length.Seconds(), nil
}

// measure asks a server for a while, and sees how long a client waits.
func measure(ctx context.Context, addr string, o *options, k kind) (w wait, err error) {
	q := &questions{names: o.names, news: k.news, rand: rand.New(rand.NewPCG(2, uint64(time.Now().UnixNano()))), epoch: time.Now().UnixMilli()}
	load := openloop.Load{Addr: netip.MustParseAddrPort(addr), Sockets: loadSockets, Rate: o.rate, Batch: loadBatch, Next: q.next}
	type outcome struct {
		*openloop.Loaded
		err error
	}
	loaded := make(chan outcome, 1)
	go func() {
		l, err := load.Run(ctx, o.length+time.Second)
		loaded <- outcome{l, err}
	}()
	time.Sleep(500 * time.Millisecond)
	ask := openloop.Probe{Addr: addr, Rate: probeRate}
	for range 1000 {
		ask.Questions = append(ask.Questions, (&questions{names: o.names, rand: q.rand}).next(nil))
	}
	p, err := ask.Run(ctx, o.length)
	l := <-loaded
	if err == nil {
		err = l.err
	}
	if err != nil {
		return w, err
	}
	return wait{
		longest: longest(&p.Waits), p9999: p.Waits.Quantile(0.9999), p999: p.Waits.Quantile(0.999), p50: p.Waits.Quantile(0.5),
		late: longest(&p.Late), lost: p.Lost(), wrong: p.Wrong, rate: float64(l.Replies()) / l.Length.Seconds(),
	}, nil
}

// longest is the upper end of the last bucket that anything lies in.
func longest(h *openloop.Histogram) time.Duration { return h.Quantile(1 - 0.5/float64(h.Count())) }

// measureResolver is measure, with what the resolver says of itself.
func (s *subject) measureResolver(ctx context.Context, k kind) (wait, error) {
	before, err := metrics()
	if err != nil {
		return wait{}, err
	}
	if k.saving { // it saves soon after a flush
		if msg, err := exec.CommandContext(ctx, "taskset", "-c", loadCore, s.lastgood, "cache", "flush", "nothing.bench", "--config", s.config).CombinedOutput(); err != nil {
			return wait{}, fmt.Errorf("cache flush: %w\n%s", err, msg)
		}
	}
	w, err := measure(ctx, resolverAddr, &s.options, k)
	if err != nil {
		return w, err
	}
	after, err := metrics()
	if err != nil {
		return w, err
	}
	diff := func(name string) float64 { return after[name] - before[name] }
	for name := range after {
		if strings.HasPrefix(name, "lastgood_cache_evictions_total") {
			w.evicted += diff(name)
		}
	}
	w.collections = diff("go_gc_duration_seconds_count")
	w.collected = time.Duration(after[`go_gc_duration_seconds{quantile="1"}`] * float64(time.Second))
	if w.saves = diff("lastgood_snapshot_saves_total"); k.saving && w.saves == 0 {
		log.Printf("the cache was being saved all the %v, and is not yet", s.length)
	}
	return w, nil
}

// metrics are the resolver's.
func metrics() (map[string]float64, error) {
	resp, err := http.Get("http://" + controlAddr + "/metrics")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err != nil {
		return nil, err
	}
	all := map[string]float64{}
	for line := range bytes.Lines(text) {
		at := bytes.LastIndexByte(line, ' ')
		if at < 0 || line[0] == '#' {
			continue
		}
		if v, err := strconv.ParseFloat(strings.TrimSpace(string(line[at:])), 64); err == nil {
			all[string(line[:at])] = v
		}
	}
	return all, nil
}

// serveEcho sends every datagram back as a reply: what this machine does at the least.
func serveEcho() error {
	l, err := net.Listen("tcp", echoAddr) // tells that it is ready
	if err != nil {
		return err
	}
	defer l.Close()
	addr, err := net.ResolveUDPAddr("udp4", echoAddr)
	if err != nil {
		return err
	}
	conn, err := net.ListenUDP("udp4", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	for buf := make([]byte, 4096); ; {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return err
		}
		if n > 2 {
			buf[2] |= 0x80
			_, _ = conn.WriteToUDPAddrPort(buf[:n], from) // who is gone needs no reply
		}
	}
}
