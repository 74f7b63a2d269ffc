package main

import (
	"encoding/xml"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"

	"lastgood/bench/ask"
	"lastgood/bench/perquestion"
)

func result(workload, server string, round int, micros float64) perquestion.Result {
	return perquestion.Result{Workload: workload, Server: server, Round: round, Micros: micros}
}

// A target is met by the median of the rounds' ratios, or by the echo and what may be
// added to it.
func TestJudge(t *testing.T) {
	var results []perquestion.Result
	for round := range 3 {
		slow := float64(1 + round) // the machine's speed
		results = append(results,
			result("cached", "unbound", round, 4*slow), result("cached", "lastgood", round, 3.2*slow),
			result("chain", "unbound", round, 4*slow), result("chain", "lastgood", round, 3.2*slow),
			result("hot", "unbound", round, 3), result("hot", "lastgood", round, 2.7), result("hot", "echo", round, 2.4),
			result("rate", "unbound", round, 3), result("rate", "lastgood", round, 2.7), result("rate", "echo", round, 2.2))
	}
	got := map[string]bool{}
	for _, j := range judge(results, []memory{{server: "unbound", perName: 600}, {server: "lastgood", perName: 251}}, 0.0004) {
		got[j.what] = j.met
	}
	want := map[string]bool{
		"CPU, 100,000 cached names": false, "CPU, 1,000 chains of three aliases, cached": true, "CPU, 1,000 hot names, as fast as dnsperf can": true,
		"CPU, 1,000 hot names, 50,000 questions/s": false, "heap allocations per cached question": true, "memory per cached name": false,
	}
	for what, met := range want {
		if is, ok := got[what]; !ok || is != met {
			t.Errorf("%s: met %t (judged: %t), want %t", what, is, ok, met)
		}
	}
	if len(got) != len(want) {
		t.Errorf("judged %v", got)
	}
	if text := verdicts(judge(results, nil, -1)); !strings.Contains(text, "**missed**") || !strings.Contains(text, "0.80 × (0.80 – 0.80)") {
		t.Error(text)
	}
}

// The chart is well-formed, and has a bar for each figure.
func TestChart(t *testing.T) {
	var results []perquestion.Result
	for _, server := range []string{"unbound", "lastgood", "echo"} {
		results = append(results, result("hot", server, 0, 2), result("hot", server, 1, 3), result("cold", server, 0, 30))
	}
	text := chart(results, []memory{{server: "lastgood", perName: 300}})
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(text, `class="spread"`); n != 7 {
		t.Errorf("%d bars", n)
	}
	if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
		t.Error(text)
	}
	chart(nil, nil) // nothing was measured: no panel, and no panic
}

// Replies are checked by the name's number.
func TestRight(t *testing.T) {
	good := ask.Reply{Addrs: []netip.Addr{netip.MustParseAddr("10.1.0.5")}}
	for _, c := range []struct {
		check func(string, ask.Reply) error
		name  string
		reply ask.Reply
		right bool
	}{
		{address, "n65541.plain.bench", good, true}, {address, "n65542.plain.bench", good, false}, {address, "n65541.plain.bench", ask.Reply{}, false},
		{chain, "x65541.plain.bench", good, false}, {chain, "x65541.plain.bench", ask.Reply{Addrs: good.Addrs, Aliases: 3}, true},
		{signed, "n65541.signed.bench", good, false}, {signed, "n65541.signed.bench", ask.Reply{Addrs: good.Addrs, AD: true, Signed: 1}, true},
		{denied, "no0.z1.bench", ask.Reply{Rcode: 3}, false}, {denied, "no0.z1.bench", ask.Reply{Rcode: 3, AD: true}, true},
	} {
		if err := c.check(c.name, c.reply); (err == nil) != c.right {
			t.Errorf("%s, %+v: %v", c.name, c.reply, err)
		}
	}
}

// Every workload has a title for the chart, and can be chosen alone.
func TestWorkloads(t *testing.T) {
	for _, g := range groups() {
		for _, w := range g.workloads {
			if short[w.key] == "" {
				t.Errorf("%s has no short title", w.key)
			}
			if list, err := chosen([]string{w.key}); err != nil || len(list) != 1 || len(list[0].workloads) != 1 || list[0].workloads[0].key != w.key {
				t.Errorf("%s: %+v, %v", w.key, list, err)
			}
		}
	}
	if list, err := chosen([]string{"memory"}); err != nil || len(list) != 1 {
		t.Errorf("memory: %d groups, %v", len(list), err)
	}
	if _, err := chosen([]string{"warm"}); err == nil {
		t.Error("an unknown workload is no error")
	}
}
