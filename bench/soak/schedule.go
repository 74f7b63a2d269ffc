package main

import (
	"context"
	"math/rand/v2"
	"time"
)

// targets are the zones and servers that are at fault now and then. Never
// example.com, the home of the steady names.
var targets = []string{
	"cdn.example", "example.org", "shop.example.com", "short.example.com", "alias.example.com", "example.net",
	"corp.example", "tree.example.net", "onedead.example.com", "slow.example.org", "org", "com",
	"edge1.cdn.example", "ns1.example.com", "a.root-servers.example", "ns1.dns-host.example", "b.gtld.example",
}

var ills = []string{
	"blackhole", "blackhole", "slow=200ms", "slow=2s", "loss=30%", "loss=80%", "servfail", "refused", "notimp", "formerr",
	"lame", "truncate", "truncate,stall-tcp", "no-tcp", "garbage", "wrong-id", "drop-edns", "badvers", "mangle-case", "slow=800ms,loss=30%",
}

// episode is one fault from its beginning to its end, since the soak began.
type episode struct {
	target, ill string
	from, to    time.Duration
}

// schedule plans the faults: at most 4 at once, none twice at one target at a
// time, all ended before the end.
func schedule(seed uint64, length time.Duration) []episode {
	r := rand.New(rand.NewPCG(seed, 2))
	var plan []episode
	free := map[string]time.Duration{}
	for at := 5 * time.Second; at < length-10*time.Second; at += time.Duration(3+r.IntN(8)) * time.Second {
		e := episode{targets[r.IntN(len(targets))], ills[r.IntN(len(ills))], at, at + time.Duration(5+r.IntN(20))*time.Second}
		e.to = min(e.to, length-5*time.Second)
		if free[e.target] > at || atOnce(plan, at) >= 4 {
			continue
		}
		free[e.target] = e.to
		plan = append(plan, e)
	}
	return plan
}

func atOnce(plan []episode, at time.Duration) int {
	n := 0
	for _, e := range plan {
		if e.from <= at && at < e.to {
			n++
		}
	}
	return n
}

// apply switches the faults that are due between two moments.
func apply(ctx context.Context, l *lab, plan []episode, from, to time.Duration) error {
	for _, e := range plan {
		if e.from >= from && e.from < to {
			if err := l.fault(ctx, e.target, e.ill); err != nil {
				return err
			}
		}
		if e.to >= from && e.to < to {
			if err := l.fault(ctx, e.target, "off"); err != nil {
				return err
			}
		}
	}
	return nil
}
