package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// bin is what the questions of a span of the evening got, of one resolver.
type bin struct {
	at                    time.Duration // time of day
	asked, good           int
	knownAsked, knownGood int // of names that it answered before the zone broke
	stale, secure         int
}

// course is the evening of one resolver.
type course struct {
	name string
	bins []bin
}

// at is the bin of a time of day.
func (c *course) at(t time.Duration) *bin {
	n := int((t - evening) / binned)
	for len(c.bins) <= n {
		c.bins = append(c.bins, bin{at: evening + time.Duration(len(c.bins))*binned})
	}
	return &c.bins[n]
}

// span adds up what begins in a span.
func (c *course) span(from, until time.Duration) (sum bin) {
	for _, b := range c.bins {
		if b.at >= from && b.at+binned <= until {
			sum.asked += b.asked
			sum.good += b.good
			sum.knownAsked += b.knownAsked
			sum.knownGood += b.knownGood
			sum.stale += b.stale
			sum.secure += b.secure
		}
	}
	return sum
}

func (b bin) known() float64 { return percent(b.knownGood, b.knownAsked) }
func (b bin) all() float64   { return percent(b.good, b.asked) }

func percent(n, of int) float64 {
	if of == 0 {
		return 0
	}
	return 100 * float64(n) / float64(of)
}

// client asks one resolver and counts.
type client struct {
	*resolver
	course *course

	mu    sync.Mutex
	known map[string]bool
	asks  sync.WaitGroup
}

// question asks for a name at a time of day; what comes within two seconds counts.
func (c *client) question(name string, at time.Duration) {
	c.asks.Go(func() {
		reply, err := exchange(c.port, name, patience)
		good := err == nil && reply.rcode == 0 && reply.answers > 0
		c.mu.Lock()
		defer c.mu.Unlock()
		b := c.course.at(at)
		if good && at < breaks {
			c.known[name] = true
		}
		b.asked++
		b.good += count(good)
		if at < breaks || c.known[name] {
			b.knownAsked++
			b.knownGood += count(good)
		}
		b.secure += count(good && reply.ad)
		b.stale += count(good && reply.stale)
	})
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// draw gives the names that are asked for: of each hundred 98 of zones along Zipf's
// law, the others of the same zones, but never asked for before.
type draw struct {
	*rand.Rand
	zipf *rand.Zipf
	n    int
}

func newDraw(seed uint64) *draw {
	r := rand.New(rand.NewPCG(seed, 9))
	return &draw{Rand: r, zipf: rand.NewZipf(r, 1.05, 2, zones-1)}
}

func (d *draw) name() string {
	label := "www"
	if d.IntN(100) < 2 {
		d.n++
		label = "n" + strconv.Itoa(d.n)
	}
	return fmt.Sprintf("%s.d%d.tld.", label, d.zipf.Uint64())
}

// reply is what is looked at.
type reply struct {
	rcode, answers int
	ad, stale      bool
}

var errReply = errors.New("not a reply to the question")

func ask(port int, name string, wait time.Duration) (rcode int, err error) {
	r, err := exchange(port, name, wait)
	return r.rcode, err
}

// exchange asks for a name's address, from a socket of its own.
func exchange(port int, name string, wait time.Duration) (r reply, err error) {
	conn, err := net.Dial("udp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return r, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(wait))
	id := uint16(rand.Uint32())
	q := binary.BigEndian.AppendUint16(nil, id)
	q = append(q, 0x01, 0x20, 0, 1, 0, 0, 0, 0, 0, 1) // RD and AD
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		q = append(append(q, byte(len(label))), label...)
	}
	q = append(q, 0, 0, 1, 0, 1)
	question := len(q)
	q = append(q, 0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0)
	if _, err := conn.Write(q); err != nil {
		return r, err
	}
	b := make([]byte, 4096)
	n, err := conn.Read(b)
	if err != nil {
		return r, err
	}
	if n < question || binary.BigEndian.Uint16(b) != id || b[2]&0x80 == 0 {
		return r, errReply
	}
	r.rcode, r.answers, r.ad = int(b[3]&15), int(binary.BigEndian.Uint16(b[6:])), b[3]&0x20 != 0
	// Options stand at the end: code 15, length, and 3 is Stale Answer.
	r.stale = strings.Contains(string(b[question:n]), "\x00\x0f") && staleIn(b[question:n])
	return r, nil
}

// staleIn looks for the extended error Stale Answer in the last record, OPT.
func staleIn(b []byte) bool {
	for i := 0; i+6 <= len(b); i++ {
		if b[i] == 0 && b[i+1] == 15 && binary.BigEndian.Uint16(b[i+4:]) == 3 && int(binary.BigEndian.Uint16(b[i+2:])) <= len(b)-i-4 {
			return true
		}
	}
	return false
}
