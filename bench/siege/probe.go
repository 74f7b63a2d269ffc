package main

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// probe asks a cached question again and again in one way.
type probe struct {
	good, bad int
	took      []time.Duration
}

const (
	patience = 2 * time.Second
	pause    = 5 * time.Millisecond
)

func (p *probe) share() string {
	return fmt.Sprintf("%d of %d", p.good, p.good+p.bad)
}

func (p *probe) quantile(q float64) time.Duration { return quantile(p.took, q) }

func (p *probe) count(start time.Time, err error) {
	if err != nil {
		p.bad++
		return
	}
	p.good++
	p.took = append(p.took, time.Since(start))
}

// probeAll asks in three ways for a time: over UDP, over one TCP connection (a
// new one when it was closed), and over a new one each time.
func probeAll(length time.Duration) [3]*probe {
	all := [3]*probe{{}, {}, {}}
	end := time.Now().Add(length)
	var wg sync.WaitGroup
	wg.Go(func() {
		for time.Now().Before(end) {
			all[0].udp(patience)
			time.Sleep(pause)
		}
	})
	wg.Go(func() {
		var kept net.Conn
		for time.Now().Before(end) {
			kept = all[1].tcp(kept)
			time.Sleep(10 * pause)
		}
	})
	wg.Go(func() {
		for time.Now().Before(end) {
			if c := all[2].tcp(nil); c != nil {
				c.Close()
			}
			time.Sleep(10 * pause)
		}
	})
	wg.Wait()
	return all
}

func (p *probe) udp(within time.Duration) {
	start := time.Now()
	conn, err := net.Dial("udp4", fmt.Sprintf("127.0.0.1:%d", dnsPort))
	if err == nil {
		defer conn.Close()
		conn.SetDeadline(start.Add(within))
		conn.Write(question("www.example.com", 1))
		_, err = conn.Read(make([]byte, 1500))
	}
	p.count(start, err)
}

// tcp asks on a connection, on a new one for nil, and gives it back while it works.
func (p *probe) tcp(conn net.Conn) net.Conn {
	start := time.Now()
	var err error
	if conn == nil {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 77)}, Timeout: patience}
		conn, err = d.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", dnsPort))
	}
	if err == nil {
		conn.SetDeadline(start.Add(patience))
		var size [2]byte
		if _, err = conn.Write(framed(question("www.example.com", 1))); err == nil {
			if _, err = io.ReadFull(conn, size[:]); err == nil {
				_, err = io.ReadFull(conn, make([]byte, int(size[0])<<8|int(size[1])))
			}
		}
	}
	p.count(start, err)
	if err != nil && conn != nil {
		conn.Close()
		return nil
	}
	return conn
}

func question(name string, qtype byte) []byte {
	q := []byte{1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	for label := range strings.SplitSeq(name, ".") {
		q = append(append(q, byte(len(label))), label...)
	}
	return append(q, 0, 0, qtype, 0, 1)
}

func framed(q []byte) []byte { return append([]byte{byte(len(q) >> 8), byte(len(q))}, q...) }
