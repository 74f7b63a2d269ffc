package main

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"lastgood/bench/ask"
	"lastgood/bench/world"
)

// How many names the workloads have.
const (
	hotNames    = 1_000
	cachedNames = 100_000
	coldNames   = 50_000
	coldZones   = 2_000
)

// cacheMiB is the caches' size where it is not memory that is measured.
const cacheMiB = 768

// workload is one way of asking.
type workload struct {
	key, title string
	names      iter.Seq[string]
	args       []string // of dnsperf
	do         bool     // with the DO bit
	once       bool     // each name is asked once; the others go round for a time
	stream     bool     // over TCP, which neither the echo server nor the prober knows
	rcode      string
	right      func(name string, r ask.Reply) error
}

// group is workloads that are measured on the same processes, one after the other.
type group struct {
	validate  bool
	workloads []workload
	key       string // of a group that has no workloads, but measures something else
	run       func(context.Context, *field, group) error
}

func groups() []group {
	plain := func(prefix string, count int) iter.Seq[string] { return world.Names(prefix, "plain.bench", 0, count) }
	zones := func(prefix string, first int) iter.Seq[string] {
		return func(yield func(string) bool) {
			for i := range coldZones {
				if !yield(fmt.Sprintf("%s%d.z%d.bench", prefix, first, i)) {
					return
				}
			}
		}
	}
	busy := []string{"-q", "200"}
	return []group{
		{run: kept, workloads: []workload{
			{key: "hot", title: "1,000 hot names, as fast as dnsperf can", names: plain("n", hotNames), args: busy, rcode: "NOERROR", right: address},
			{key: "rate", title: "1,000 hot names, 50,000 questions/s", names: plain("n", hotNames), args: append([]string{"-Q", "50000"}, busy...), rcode: "NOERROR", right: address},
			{key: "chain", title: "1,000 chains of three aliases, cached", names: plain("x", hotNames), args: busy, rcode: "NOERROR", right: chain},
			{key: "tcp", title: "1,000 hot names over 10 TCP connections", names: plain("n", hotNames), args: []string{"-m", "tcp", "-c", "10", "-q", "200"}, stream: true, rcode: "NOERROR", right: address},
			{key: "cached", title: "100,000 cached names", names: plain("n", cachedNames), args: busy, rcode: "NOERROR", right: address},
		}},
		{run: kept, validate: true, workloads: []workload{
			{key: "signed", title: "1,000 signed names, DO, cached", names: world.Names("n", "signed.bench", 0, hotNames), args: append([]string{"-D"}, busy...), do: true, rcode: "NOERROR", right: signed},
		}},
		{run: fresh, workloads: []workload{
			{key: "cold", title: "cold: names nobody asked for, one upstream question each", names: plain("f", coldNames), args: []string{"-q", "100"}, once: true, rcode: "NOERROR", right: address},
		}},
		{run: fresh, validate: true, workloads: []workload{
			{key: "zones", title: "cold, signed: the first name of a zone", names: zones("n", 0), args: []string{"-D", "-q", "100"}, do: true, once: true, rcode: "NOERROR", right: signed},
			{key: "names", title: "cold, signed: another name of a known zone", names: zones("n", 1), args: []string{"-D", "-q", "100"}, do: true, once: true, rcode: "NOERROR", right: signed},
			{key: "denials", title: "cold, signed: no such name in a known zone", names: zones("no", 0), args: []string{"-D", "-q", "100"}, do: true, once: true, rcode: "NXDOMAIN", right: denied},
		}},
		{run: allocations, key: "allocations"},
		{run: fill, key: "memory"},
	}
}

// keys are the names of all workloads.
func keys() (list []string) {
	for _, g := range groups() {
		for _, w := range g.workloads {
			list = append(list, w.key)
		}
		if g.key != "" {
			list = append(list, g.key)
		}
	}
	return list
}

// chosen are the groups with the workloads that are wanted alone.
func chosen(wanted []string) (list []group, err error) {
	for _, key := range wanted {
		if !slices.Contains(keys(), key) {
			return nil, fmt.Errorf("unknown workload %q: there are %s", key, strings.Join(keys(), ", "))
		}
	}
	for _, g := range groups() {
		g.workloads = slices.DeleteFunc(g.workloads, func(w workload) bool { return !slices.Contains(wanted, w.key) })
		if len(g.workloads) > 0 || slices.Contains(wanted, g.key) {
			list = append(list, g)
		}
	}
	return list, nil
}

// number is the number in a name's first label.
func number(name string) int {
	label, _, _ := strings.Cut(name, ".")
	n, err := strconv.Atoi(strings.TrimLeft(label, "abcdefghijklmnopqrstuvwxyz"))
	if err != nil {
		return -1
	}
	return n
}

// address says what is wrong with a reply that should have the name's address alone.
func address(name string, r ask.Reply) error {
	if want := world.Address(number(name)); r.Rcode != 0 || len(r.Addrs) != 1 || r.Addrs[0] != want {
		return fmt.Errorf("%+v, want %s", r, want)
	}
	return nil
}

func chain(name string, r ask.Reply) error {
	if r.Aliases != 3 {
		return fmt.Errorf("%d aliases, want 3", r.Aliases)
	}
	return address(name, r)
}

func signed(name string, r ask.Reply) error {
	if !r.AD || r.Signed != 1 {
		return fmt.Errorf("AD %t, %d signatures: want it validated", r.AD, r.Signed)
	}
	return address(name, r)
}

func denied(_ string, r ask.Reply) error {
	if !r.AD || r.Rcode != 3 {
		return fmt.Errorf("AD %t, rcode %d: want a validated NXDOMAIN", r.AD, r.Rcode)
	}
	return nil
}
