package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
)

// class is a kind of question.
type class uint8

const (
	steady  class = iota // popular, of a zone that is never at fault: cached but for a moment an hour
	popular              // popular, of zones that are at fault now and then
	lesser               // less popular
	odd                  // random, nonexistent or of a zone that has a defect for good
	classes = iota
)

func (c class) String() string {
	return [...]string{"cached", "popular", "less popular", "odd"}[c]
}

// question is a packed question, id 0.
type question struct {
	name  string
	class class
	msg   []byte
}

const (
	typeA    = 1
	typeAAAA = 28
	typeTXT  = 16
)

// pack makes a question with RD and EDNS, 1232 octets.
func pack(name string, qtype uint16) []byte {
	msg := []byte{0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1}
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		msg = append(append(msg, byte(len(label))), label...)
	}
	msg = binary.BigEndian.AppendUint16(append(msg, 0), qtype)
	msg = append(msg, 0, 1)
	return append(msg, 0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0)
}

// mix draws questions: 80 % popular, of them half steady, 15 % less popular,
// 5 % odd.
type mix struct {
	r       *rand.Rand
	zipf    *rand.Zipf
	popular [2][]question // steady, popular; the first ones are asked most
	lesser  []question
	serial  int
}

const (
	popularNames = 500
	lesserNames  = 20000
)

func newMix(seed uint64) *mix {
	m := &mix{r: rand.New(rand.NewPCG(seed, 1))}
	m.zipf = rand.NewZipf(m.r, 1.1, 1, popularNames-1)
	for i := range popularNames {
		m.popular[steady] = append(m.popular[steady], newQuestion(fmt.Sprintf("p%d.wild.example.com", i), typeA, steady))
		if i < len(attractions) {
			m.popular[popular] = append(m.popular[popular], newQuestion(attractions[i], typeA, popular))
			continue
		}
		// 30 s to live: these are refreshed all the time.
		m.popular[popular] = append(m.popular[popular], newQuestion(fmt.Sprintf("p%d.edge.cdn.example", i), typeA, popular))
	}
	for i := range lesserNames {
		t := uint16(typeA)
		if i%3 == 0 {
			t = typeTXT
		}
		m.lesser = append(m.lesser, newQuestion(fmt.Sprintf("l%d.wild.example.com", i), t, lesser))
	}
	return m
}

// attractions are the lab's real names in zones that are at fault now and then.
var attractions = []string{
	"www.example.org", "www.shop.example.com", "www.short.example.com", "www.example.net", "two.alias.example.com",
	"www.onedead.example.com", "www.corp.example", "www.glueless.example.org", "www.slow.example.org", "www.big.example.org",
	"one.alias.example.com", "three.alias.example.com", "www.halflame.example.com", "www.tree.example.net",
	"www.disagree.example.com", "www.tcponly.example.org", "www.pair-a.example.com",
}

// defective are zones of which some questions fail or take a detour.
var defective = []string{
	"alldead.example.org", "selfish.example.org", "halflame.example.com", "onedead.example.com", "noedns.example.net",
	"dropedns.example.net", "tcponly.example.org", "notcp.example.org", "v6only.example.net", "slow.example.org",
	"mangle.example.net", "entless.example.org", "noaaaa.example.com", "disagree.example.com", "pair-a.example.com",
	"knot-a.example.com", "leaf.twig.branch.tree.example.net",
}

func newQuestion(name string, qtype uint16, c class) question {
	return question{name, c, pack(name, qtype)}
}

// next draws a question; its message is not to be changed.
func (m *mix) next() question {
	switch p := m.r.IntN(100); {
	case p < 80:
		return m.popular[p&1][m.zipf.Uint64()]
	case p < 95:
		return m.lesser[m.r.IntN(len(m.lesser))]
	}
	m.serial++
	switch m.r.IntN(4) {
	case 0: // nonexistent
		return newQuestion(fmt.Sprintf("x%d.example.com", m.serial), typeA, odd)
	case 1: // never asked before
		return newQuestion(fmt.Sprintf("o%d.edge.cdn.example", m.serial), typeA, odd)
	case 2:
		return newQuestion("www."+defective[m.r.IntN(len(defective))], typeAAAA, odd)
	}
	zone := defective[m.r.IntN(len(defective))]
	return newQuestion(fmt.Sprintf("r%d.%s", m.r.IntN(2000), zone), typeA, odd)
}
