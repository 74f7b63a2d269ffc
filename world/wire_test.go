package world

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"lastgood/internal/dnsname"
	"lastgood/internal/simnet"
	"lastgood/internal/wire"
)

// hash is chance that depends on the seed, the moment and its arguments, and not
// on who came first.
func (w *player) hash(what, key string, n uint64) uint64 {
	h := fnv.New64a()
	var b [24]byte
	binary.BigEndian.PutUint64(b[:], w.p.seed)
	binary.BigEndian.PutUint64(b[8:], uint64(w.now()))
	binary.BigEndian.PutUint64(b[16:], n)
	h.Write(b[:])
	h.Write([]byte(what))
	h.Write([]byte(key))
	x := h.Sum64() // its low bits are not worth much
	x ^= x >> 32
	x *= 0x9e3779b97f4a7c15
	return x ^ x>>29
}

// questionOf reads a message's question, the name in lower case.
func questionOf(msg []byte) (name dnsname.Name, t wire.Type, ok bool) {
	if len(msg) < wire.HeaderLen+5 {
		return "", 0, false
	}
	n := dnsname.WireLen(msg[wire.HeaderLen:])
	rest := msg[wire.HeaderLen+n:]
	name, err := dnsname.FromWire(msg[wire.HeaderLen:][:n])
	if err != nil || len(rest) < 4 {
		return "", 0, false
	}
	return name, wire.Type(binary.BigEndian.Uint16(rest)), true
}

// filter gives every datagram a delay of its own, so that hardly ever two things
// happen at one instant, and loses those that a fault wants lost.
func (w *player) filter(p *simnet.Packet) bool {
	name, t, _ := questionOf(p.Payload)
	key := string(name) + p.From.Addr().String() + p.To.Addr().String()
	x := w.hash("packet", key, uint64(t))
	p.Delay = time.Duration(x % 400_000)
	server, ok := w.h.byAddr[p.To.Addr()]
	if !ok {
		if server, ok = w.h.byAddr[p.From.Addr()]; !ok {
			return true
		}
	}
	p.Delay += time.Duration(x >> 20 % 2_000_000)
	now := w.now()
	for i := range w.p.faults {
		f := &w.p.faults[i]
		if f.kind == "loss" && f.during(server, now, now) && float64(w.hash("loss", key, uint64(t)+uint64(i)<<20)%1e6) < f.share*1e6/2 {
			return false
		}
	}
	return true
}

// tap writes down what the resolver sends.
func (w *player) tap(p simnet.Packet) {
	w.show(p.From.String()+" > "+p.To.String()+" "+p.Fate.String(), p.Payload)
	if to := p.To.Addr(); (to == resolver4 || to == resolver6) && p.Fate == simnet.Passed {
		w.hears(p.From.Addr(), w.now()+p.Delay, p.Payload)
	}
	if p.From.Addr() != resolver4 && p.From.Addr() != resolver6 || len(p.Payload) < 3 || p.Payload[2]&0x80 != 0 {
		return
	}
	name, t, ok := questionOf(p.Payload)
	if !ok {
		return
	}
	w.noteQuery(p.To.Addr(), name, t, false, p.Fate != simnet.Passed)
}

// hears writes down that a server's useful reply reaches the resolver.
func (w *player) hears(from netip.Addr, at time.Duration, reply []byte) {
	server, ok := w.h.byAddr[from]
	if !ok || len(reply) < wire.HeaderLen || reply[2]&0x80 == 0 || reply[3]&0xf != 0 && reply[3]&0xf != 3 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.spoken = append(w.spoken, spoken{at, server})
}

func (w *player) noteQuery(to netip.Addr, name dnsname.Name, t wire.Type, tcp, lost bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queries = append(w.queries, query{at: w.now(), to: to, name: name, typ: t, tcp: tcp, lost: lost})
}

// show writes messages about the name that -world.watch names.
func (w *player) show(way string, msg []byte) {
	if *watchFlag == "" {
		return
	}
	m := new(dns.Msg)
	if name, _, ok := questionOf(msg); ok && strings.EqualFold(name.String(), *watchFlag) {
		err := m.Unpack(msg)
		w.watched = append(w.watched, told{w.now(), fmt.Sprintf("%s %v\n%s", way, err, m)})
	}
}
